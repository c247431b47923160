"""Requests by kind: get, list, watch and the writes, over any Transport. Reads of the cache do not come by here."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar, overload

import attrs

from ..errors import ScopedCacheError, TransportError
from ..kinds import Kind, ObjectKey, Resource
from ..objects import Object
from ..selectors import LabelSelector
from .codec import ListPage, decode_error, decode_event, decode_object, decode_page, decode_status, encode
from .configuration import Configuration, load, of_client
from .request_info import RequestInfo
from .session import APPLY, Session, not_json
from .status_errors import error_of, of_status
from .transport import Query, Response, Stream, Transport
from .watch.line_splitter import LineSplitter

T = TypeVar("T")
Labels = str | Mapping[str, str] | LabelSelector | None
PatchType = Literal["merge", "json", "strategic", "apply"]
Propagation = Literal["Background", "Foreground", "Orphan"]

FIELD_MANAGER = "scopedcache"
# Small enough that decoding one page does not hold the loop for more than a few milliseconds.
PAGE_OBJECTS = 250
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
METADATA_WATCH = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_PATCH_TYPES: dict[PatchType, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": APPLY,
}


@attrs.frozen
class ObjectList(Sequence[Object]):
    """What a list returned, and the resource version it stands for."""

    items: tuple[Object, ...]
    resource_version: str

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]


class Client(Session):
    """A client of one API server, belonging to the running loop; use it with `async with`.

    Every method waits for the server, and raises `APIError` (the server said no), `TransportError` (nobody answered)
    or `ProtocolError` (the answer could not be read).
    """

    def __init__(self, transport: Transport, *, namespace: str | None = None) -> None:
        super().__init__(transport)
        self.namespace = namespace

    @classmethod
    def connect(
        cls,
        *,
        kubeconfig: str | os.PathLike[str] | None = None,
        context: str | None = None,
        client: Any = None,
        answer_limit_bytes: int | None = None,
    ) -> Client:
        """Return a client from a kubeconfig, the Pod's account, or a ready client of another library.

        Sends nothing yet and runs no plugin; reads files at once. `client` is an `ApiClient`, or its `Configuration`,
        of `kubernetes` or `kubernetes_asyncio`. An answer over the limit (1 GiB) is a ProtocolError.

        Raises:
            ConfigurationError: see `api.configuration.load`.
        """
        configuration = of_client(client) if client is not None else load(kubeconfig, context)
        return cls.configured(configuration, answer_limit_bytes=answer_limit_bytes)

    @classmethod
    def configured(cls, configuration: Configuration, *, answer_limit_bytes: int | None = None) -> Client:
        """Return a client over HTTP from a configuration."""
        from .http_transport import ANSWER_LIMIT_BYTES, HTTPTransport

        transport = HTTPTransport(configuration, answer_limit_bytes=answer_limit_bytes or ANSWER_LIMIT_BYTES)
        return cls(transport, namespace=configuration.namespace)

    # -- other libraries' clients --------------------------------------------------------------------------------

    def kubernetes(self) -> Any:
        """Return an `ApiClient` of `kubernetes` with our credentials, renewed; for its typed APIs, from threads.

            AppsV1Api(client.kubernetes()).read_namespaced_deployment("web", "default")

        Call this on the client's loop; close what it returns. Its calls block their thread, which must not be the
        loop's. What they write is not seen by a cache until its watch tells.

        Raises:
            ConfigurationError: this client does not speak HTTP.
        """
        from . import official_clients

        return official_clients.blocking_client(self.transport)

    def kubernetes_asyncio(self) -> Any:
        """Return an `ApiClient` of `kubernetes_asyncio` with our credentials, renewed; for its typed APIs.

            await AppsV1Api(client.kubernetes_asyncio()).patch_namespaced_deployment_scale("web", "default", body)

        Close what it returns. What its calls write is not seen by a cache until its watch tells.

        Raises:
            ConfigurationError: this client does not speak HTTP.
        """
        from . import official_clients

        return official_clients.asyncio_client(self.transport)

    # -- reads ---------------------------------------------------------------------------------------------------

    @overload
    async def get(
        self, kind: Kind, name: str | ObjectKey, *, namespace: str | None = None, subresource: str | None = None
    ) -> Object: ...
    @overload
    async def get(
        self,
        kind: Kind,
        name: str | ObjectKey,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        model: type[T],
    ) -> T: ...

    async def get(
        self,
        kind: Kind,
        name: str | ObjectKey,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        model: type[T] | None = None,
    ) -> Object | T:
        """Get one object, or its `status` or `scale`, from the server, as an Object or as a `model`.

        Raises:
            NotFoundError: it is not there.
        """
        info = await self._info("get", kind, name, namespace, subresource)
        found = _object(info.resource, await self._send(info, "GET"))
        return found.to_model(model) if model else found

    async def list(
        self,
        kind: Kind,
        *,
        namespace: str | None = None,
        labels: Labels = None,
        fields: str | None = None,
        page: int = PAGE_OBJECTS,
    ) -> ObjectList:
        """List from the server, page by page; None is all namespaces."""
        items: list[Object] = []
        version = ""
        async for listed, info in self.pages(kind, namespace=namespace, labels=labels, fields=fields, page=page):
            version = listed.metadata.resource_version
            for raw in listed.items or ():
                entry, _ = decode_object(bytes(raw))
                items.append(Object(entry.metadata, entry.raw, info.resource.gvk))
        return ObjectList(tuple(items), version)

    async def pages(
        self,
        kind: Kind,
        *,
        namespace: str | None = None,
        labels: Labels = None,
        fields: str | None = None,
        page: int = PAGE_OBJECTS,
        metadata_only: bool = False,
        resource_version: str | None = None,
    ) -> AsyncIterator[tuple[ListPage, RequestInfo]]:
        """Yield the pages of a consistent list; their items are undecoded bytes."""
        info = attrs.evolve(await self._info("list", kind, None, namespace), name=_named(fields))
        query = [*_selectors(labels, fields), ("limit", str(page))]
        if resource_version:
            query += [("resourceVersion", resource_version), ("resourceVersionMatch", "NotOlderThan")]
        token: str | None = None
        while True:
            # A continue token stands for the snapshot it began with, so it goes without a version.
            asked = [*_selectors(labels, fields), ("limit", str(page)), ("continue", token)] if token else query
            accept = METADATA_LIST if metadata_only else "application/json"
            listed = decode_page((await self._send(info, "GET", query=asked, accept=accept)).body)
            yield listed, info
            token = listed.metadata.continue_
            if not token:
                return

    @asynccontextmanager
    async def open_watch(
        self,
        kind: Kind,
        *,
        namespace: str | None = None,
        labels: Labels = None,
        fields: str | None = None,
        resource_version: str = "",
        initial_events: bool = False,
        timeout: float | None = None,
        idle_timeout: float = 75.0,
        metadata_only: bool = False,
    ) -> AsyncIterator[Stream]:
        """Open a watch and hand out its byte stream: what the informer reads.

        `timeout` is what the server is asked for (`timeoutSeconds`); a stream silent for `idle_timeout` is cut.
        """
        info = attrs.evolve(await self._info("watch", kind, None, namespace), name=_named(fields))
        query = [*_selectors(labels, fields), ("watch", "true"), ("allowWatchBookmarks", "true")]
        if initial_events:
            query += [("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan")]
        if resource_version:
            query.append(("resourceVersion", resource_version))
        if timeout:
            query.append(("timeoutSeconds", str(max(1, round(timeout)))))
        accept = METADATA_WATCH if metadata_only else "application/json"
        try:
            opened = self.transport.stream(info.path, query, accept=accept, idle_timeout=idle_timeout)
            stream = await opened.__aenter__()
        except TransportError as error:
            self._observed(info, error)
            raise
        try:
            refusal = await _refusal(info, stream)
            if refusal is not None:
                raise refusal if isinstance(refusal, TransportError) else self._refused(info, refusal)
            self._observed(info, None)
            yield stream
        except TransportError as error:
            # Cut in the middle: the server may be restarting. One that we cut for its silence says no such thing, and a
            # quiet kind whose bookmarks are late would otherwise keep the longer hold-off in force.
            if not isinstance(error.__cause__, TimeoutError):
                self._observed(info, error)
            raise
        finally:
            await opened.__aexit__(None, None, None)

    async def watch(
        self,
        kind: Kind,
        *,
        namespace: str | None = None,
        labels: Labels = None,
        fields: str | None = None,
        resource_version: str = "",
        timeout: float | None = None,
    ) -> AsyncGenerator[tuple[str, Object], None]:
        """Yield (type, object) of one watch until the server ends it; BOOKMARKs are left out.

        One plain stream, without resuming: an `Informer` is what keeps a view up to date. Who leaves the loop early
        closes the stream with `contextlib.aclosing`.
        """
        resource = await self.discovery.resolve(kind)
        splitter = LineSplitter()
        opened = self.open_watch(
            resource,
            namespace=namespace,
            labels=labels,
            fields=fields,
            resource_version=resource_version,
            timeout=timeout,
        )
        async with opened as stream:
            async for chunk in stream.chunks():
                for line in splitter.feed(chunk):
                    event = decode_event(line)
                    if event.type == "ERROR":
                        said = decode_error(line)
                        raise of_status(RequestInfo("watch", resource, namespace), said.code or 500, said)
                    if event.type != "BOOKMARK":
                        yield event.type, Object(event.entry.metadata, event.entry.raw, resource.gvk)

    # -- writes --------------------------------------------------------------------------------------------------

    async def create(
        self,
        obj: Object | Mapping[str, Any],
        *,
        namespace: str | None = None,
        field_manager: str = FIELD_MANAGER,
        dry_run: bool = False,
    ) -> Object:
        """Create an object.

        Raises:
            AlreadyExistsError: an object of this name is there.
        """
        wanted = _as_object(obj)
        info = await self._info("create", wanted.gvk, wanted.name or None, wanted.namespace or namespace)
        query = _write_query(field_manager, dry_run)
        return await self._write(info, "POST", query, wanted.to_json())

    async def update(
        self,
        obj: Object | Mapping[str, Any],
        *,
        kind: Kind | None = None,
        subresource: str | None = None,
        field_manager: str = FIELD_MANAGER,
        dry_run: bool = False,
    ) -> Object:
        """Replace an object, or its `status` or `scale`.

        `kind` is the kind whose subresource this is, where the object is of another one (a Scale of a Deployment).

        Raises:
            ConflictError: it changed since it was read.
            ValueError: the Object is metadata only or was transformed: an update would delete what it lacks.
        """
        wanted = _as_object(obj)
        if wanted.partial:
            raise ValueError(
                f"{wanted.kind} {wanted.key} is not whole (metadata only, or transformed): patch it instead"
            )
        info = await self._info("update", kind or wanted.gvk, wanted.key, None, subresource)
        return await self._write(info, "PUT", _write_query(field_manager, dry_run), wanted.to_json())

    async def patch(
        self,
        kind: Kind,
        name: str | ObjectKey,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        namespace: str | None = None,
        type: PatchType = "merge",
        subresource: str | None = None,
        field_manager: str = FIELD_MANAGER,
        force: bool | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Patch an object: `merge`, `json` (a list of operations), `strategic` (built-in kinds), `apply`."""
        info = await self._info("patch", kind, name, namespace, subresource)
        query = _write_query(field_manager, dry_run)
        if force is not None:
            query.append(("force", "true" if force else "false"))
        return await self._write(info, "PATCH", query, encode(patch), _PATCH_TYPES[type])

    async def apply(
        self,
        obj: Object | Mapping[str, Any],
        *,
        namespace: str | None = None,
        field_manager: str = FIELD_MANAGER,
        force: bool = True,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Apply an object on the server: fields left out, and owned by nobody else, are removed."""
        wanted = _as_object(obj)
        body = {k: v for k, v in wanted.to_dict().items() if k != "status" or subresource == "status"}
        place = wanted.namespace or namespace
        return await self.patch(
            wanted.gvk, wanted.name, body, namespace=place, type="apply", subresource=subresource,
            field_manager=field_manager, force=force, dry_run=dry_run,
        )  # fmt: skip

    async def delete(
        self,
        kind: Kind | Object,
        name: str | ObjectKey | None = None,
        *,
        namespace: str | None = None,
        propagation: Propagation | None = None,
        uid: str | None = None,
    ) -> Object | None:
        """Delete an object. Return it as it is now where finalizers or a grace period hold it, None where it is gone.

        `uid` is a precondition: an object recreated under the same name is left alone (ConflictError).

        Raises:
            NotFoundError: it is not there.
        """
        wanted, key = (kind.gvk, kind.key) if isinstance(kind, Object) else (kind, name)
        if key is None:
            raise ValueError("delete needs the name of the object; delete_collection takes many")
        info = await self._info("delete", wanted, key, namespace)
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if propagation:
            options["propagationPolicy"] = propagation
        if uid:
            options["preconditions"] = {"uid": uid}
        answer = await self._change(info, "DELETE", body=encode(options))
        status = decode_status(answer.body)
        if status is not None:
            gone = str((status.details or {}).get("uid", ""))
        else:
            remaining = _object(info.resource, answer)
            # Some kinds (Services, ServiceAccounts …) answer with the object although it is gone: it carries no
            # deletion then, for that is only marked on what has to wait.
            if remaining.deletion_timestamp is not None:
                for listener in self._write_listeners:
                    listener.written(info.resource, remaining)
                return remaining
            gone = remaining.uid
        for listener in self._write_listeners:
            listener.deleted(info.resource, ObjectKey(info.namespace or "", info.name or ""), gone)
        return None

    async def delete_collection(
        self, kind: Kind, *, namespace: str | None = None, labels: Labels = None, fields: str | None = None
    ) -> None:
        """Delete everything that the selectors match in one namespace, or everywhere for cluster-scoped kinds."""
        info = await self._info("deletecollection", kind, None, namespace)
        await self._change(info, "DELETE", query=_selectors(labels, fields))

    async def _write(
        self, info: RequestInfo, method: str, query: Query, body: bytes, content_type: str = "application/json"
    ) -> Object:
        answer = await self._change(info, method, query=query, body=body, content_type=content_type)
        written = _object(info.resource, answer)
        if info.subresource in (None, "status") and ("dryRun", "All") not in query:
            for listener in self._write_listeners:
                listener.written(info.resource, written)
        return written


def _object(resource: Resource, response: Response) -> Object:
    entry, gvk = decode_object(response.body)
    return Object(entry.metadata, entry.raw, gvk if gvk.kind else resource.gvk)


def _as_object(obj: Object | Mapping[str, Any]) -> Object:
    return obj if isinstance(obj, Object) else Object.from_dict(obj)


def _selectors(labels: Labels, fields: str | None) -> list[tuple[str, str]]:
    chosen = str(LabelSelector.parse(labels))
    query = [("labelSelector", chosen)] if chosen else []
    return query + ([("fieldSelector", fields)] if fields else [])


def _named(fields: str | None) -> str | None:
    """Return the one name a field selector asks for: RBAC's `resourceNames` may then allow the list."""
    prefix = "metadata.name="
    return fields.removeprefix(prefix) if fields and fields.startswith(prefix) and "," not in fields else None


def _write_query(field_manager: str, dry_run: bool) -> list[tuple[str, str]]:
    return [("fieldManager", field_manager)] + ([("dryRun", "All")] if dry_run else [])


async def _refusal(info: RequestInfo, stream: Stream) -> ScopedCacheError | None:
    """Return the error a stream stands for that is no watch, None where it is one."""
    if stream.status != 200:
        return error_of(info, stream.status, stream.content_type, stream.headers, await stream.read())
    if not stream.content_type.endswith("json"):
        return not_json(info, stream.content_type, await stream.read())
    return None
