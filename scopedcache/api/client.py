"""Requests by kind: get, list, watch and the writes, over any Transport. Reads of the cache do not come by here."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, Final, Self, TypeVar, overload

import attrs

from ..clock import loop_time
from ..errors import ConfigurationError
from ..identity import Identity
from ..kinds import Kind, ObjectKey
from ..metrics import Instrumentation
from ..objects import Object
from ..selectors import Labels
from . import request_query
from .access_reviews import Rules
from .codec import ListPage, decode_items, encode_body, page_steps
from .configuration import Configuration, load, of_client
from .object_list import ObjectList
from .permission import Permission
from .ready_answer import ReadyAnswer
from .recording import Recording
from .request_info import Observer, RequestInfo
from .request_query import FIELD_MANAGER, JSON, PAGE_OBJECTS, PatchType, Propagation
from .session import Session, WriteFence, WriteListener, object_from
from .transport import IDLE_TIMEOUT_SECONDS, REQUEST_TIMEOUT_SECONDS, Stream, Transport
from .unreadable_objects import UnreadableObjects
from .watch.event_decoder import UNREADABLE_OBJECT, EventDecoder
from .watch.pace import take_steps
from .watch.watch_stream import INITIAL_EVENTS_END, WatchStream

T = TypeVar("T")


async def load_http() -> None:
    """Import what speaks HTTP in a thread: aiohttp alone would hold the loop for a third of a second."""
    await asyncio.to_thread(import_module, "scopedcache.api.http_transport")


class Client:
    """A client of one API server, belonging to the running loop; use it with `async with`.

    Every method waits for the server, and raises `APIError` (the server said no), `TransportError` (nobody answered)
    or `ProtocolError` (the answer could not be read).

    Attributes:
        transport: the way to the server.
        discovery: what is known about the kinds the server serves.
        namespace: the namespace of the context, None where it names none.
    """

    def __init__(self, transport: Transport, *, namespace: str | None = None, _session: Session | None = None) -> None:
        self.namespace = namespace
        self.transport: Final = transport
        self._session: Final = Session(transport) if _session is None else _session
        self._unreadable: Final = UnreadableObjects()
        self.discovery: Final = self._session.discovery

    @classmethod
    def connect(
        cls,
        *,
        kubeconfig: str | os.PathLike[str] | None = None,
        context: str | None = None,
        client: Any = None,
    ) -> Client:
        """Return a client from a kubeconfig, the Pod's account, or a ready client of another library.

        Sends nothing yet and runs no plugin; reads files at once, and the first time imports what speaks HTTP, which
        holds the loop for a third of a second (`ScopedCache.connect` does that in a thread). `client` is an
        `ApiClient`, or its `Configuration`, of `kubernetes` or `kubernetes_asyncio`.

        Raises:
            ConfigurationError: see `api.configuration.load`.
        """
        return cls.configured(of_client(client) if client is not None else load(kubeconfig, context))

    @classmethod
    def configured(cls, configuration: Configuration, *, answer_limit_bytes: int | None = None) -> Client:
        """Return a client over HTTP from a configuration; an answer over the limit (1 GiB) is a ProtocolError."""
        from .http_transport import ANSWER_LIMIT_BYTES, HTTPTransport

        transport = HTTPTransport(configuration, answer_limit_bytes=answer_limit_bytes or ANSWER_LIMIT_BYTES)
        return cls(transport, namespace=configuration.namespace)

    @property
    def identity(self) -> Identity | None:
        """Return as whom it sends, None for the user of its configuration."""
        return self._session.identity

    def acting_as(self, identity: Identity) -> Client:
        """Return a client of the same server that sends as somebody else; it asks for nothing yet.

        It shares what is known of kinds, the connections, and the fences of writes; close it when it is not needed any
        more. It ends with this one.

            async with client.acting_as(As("alice", groups=["team-a"])) as alice: ...

        Raises:
            ConfigurationError: this client acts as somebody else itself, or its transport can send as nobody else.
        """
        acting_as = getattr(self.transport, "acting_as", None)
        if self.identity is not None or acting_as is None:
            raise ConfigurationError(f"{self.identity or self.transport!r} can act as nobody else")
        session = self._session.acting_as(identity, acting_as)
        return Client(session.transport, namespace=self.namespace, _session=session)

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

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    # -- its session ---------------------------------------------------------------------------------------------

    def report_to(self, instrumentation: Instrumentation) -> None:
        """Report requests, as numbers and spans, from here on."""
        self._session.instrumentation = instrumentation

    def record(
        self, path: str | os.PathLike[str], *, bodies: bool = False, timer: Callable[[], float] = loop_time
    ) -> None:
        """Keep what is asked and answered from here on in a new file, for `python -m scopedcache.testing replay`.

        Objects are reduced to metadata without annotations unless `bodies`; Secrets always, and tokens and headers are
        never kept. It ends with the client, at 64 MiB, or when the disk is full, which is logged.

        Raises:
            ConfigurationError: the file is there already, or cannot be made.
        """
        self._session.record(Recording(path, timer=timer, bodies=bodies))

    def add_observer(self, observer: Observer) -> None:
        """Let `observer` hear how every request ends."""
        self._session.add_observer(observer)

    def remove_observer(self, observer: Observer) -> None:
        """Tell an observer no more."""
        self._session.remove_observer(observer)

    def add_write_listener(self, listener: WriteListener) -> None:
        """Let `listener` see the answers to our writes, before their caller does."""
        self._session.add_write_listener(listener)

    def remove_write_listener(self, listener: WriteListener) -> None:
        """Tell a listener no more."""
        self._session.remove_write_listener(listener)

    def add_write_fence(self, fence: WriteFence) -> None:
        """Let `fence` say of each write whether it may be sent; reviews and reads are not asked about."""
        self._session.add_write_fence(fence)

    def remove_write_fence(self, fence: WriteFence) -> None:
        """Ask a fence no more."""
        self._session.remove_write_fence(fence)

    async def version(self) -> str:
        """Return the server's version, e.g. `v1.36.2`: a cheap way to find out whether it is there and knows us."""
        return await self._session.version()

    async def review_access(self, permission: Permission, *, timeout: float = REQUEST_TIMEOUT_SECONDS) -> bool:
        """Ask whether we have one permission (SelfSubjectAccessReview)."""
        return await self._session.review_access(permission, timeout=timeout)

    async def review_rules(self, namespace: str, *, timeout: float = REQUEST_TIMEOUT_SECONDS) -> Rules:
        """Ask for all rules that hold for us in a namespace (SelfSubjectRulesReview)."""
        return await self._session.review_rules(namespace, timeout=timeout)

    async def ready(self, *, timeout: float = REQUEST_TIMEOUT_SECONDS) -> ReadyAnswer:
        """Ask the server that answers our reviews whether it is ready (`/readyz`). One that says nothing is not."""
        return await self._session.ready(timeout=timeout)

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
        info = await self._session.request_info("get", kind, name, namespace, subresource)
        obj = object_from(info.resource, await self._session.send(info, "GET"))
        return obj.to_model(model) if model else obj

    async def list(
        self,
        kind: Kind,
        *,
        namespace: str | None = None,
        labels: Labels = None,
        fields: str | None = None,
        page: int = PAGE_OBJECTS,
    ) -> ObjectList:
        """List from the server, page by page; None is all namespaces.

        An object that nobody can read is left out, and logged.
        """
        items: list[Object] = []
        version = ""
        async for list_page, info in self.pages(kind, namespace=namespace, labels=labels, fields=fields, page=page):
            version = list_page.metadata.resource_version
            entries, unreadable = decode_items(list_page)
            items += [Object(entry.metadata, entry.raw, info.resource.gvk) for entry in entries]
            for one in unreadable:
                self._unreadable.name(info.resource, one.identity, one.why)
        return ObjectList(tuple(items), version)

    async def pages(
        self,
        kind: Kind,
        *,
        namespace: str | None = None,
        labels: Labels = None,
        fields: str | None = None,
        page: int | None = PAGE_OBJECTS,
        metadata_only: bool = False,
        resource_version: str | None = None,
        shard: str | None = None,
    ) -> AsyncGenerator[tuple[ListPage, RequestInfo], None]:
        """Yield the pages of a consistent list; their items are undecoded bytes. `page` None: all in one.

        `resource_version` asks for the state at exactly that version, which must not be compacted.

        `shard` asks for a part of it (`shardSelector`); a server that does not know shards sends everything.
        """
        info = attrs.evolve(
            await self._session.request_info("list", kind, None, namespace), name=request_query.selected_name(fields)
        )
        accept = request_query.METADATA_LIST if metadata_only else JSON
        token: str | None = None
        while True:
            query = request_query.page_query(
                labels, fields, page=page, resource_version=resource_version, continue_token=token
            ) + request_query.shard_query(shard)
            answer = await self._session.send(info, "GET", query=query, accept=accept)
            list_page = await take_steps(page_steps(answer.body))
            yield list_page, info
            token = list_page.metadata.continue_
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
        idle_timeout: float = IDLE_TIMEOUT_SECONDS,
        metadata_only: bool = False,
        shard: str | None = None,
    ) -> AsyncIterator[Stream]:
        """Open a watch and hand out its byte stream: what the informer reads.

        `timeout` is what the server is asked for (`timeoutSeconds`); a stream silent for `idle_timeout` is cut. `shard`
        as for `pages`.
        """
        info = await self._watch_info(kind, namespace, fields)
        query = request_query.watch_query(
            labels, fields, resource_version=resource_version, initial_events=initial_events, timeout=timeout
        ) + request_query.shard_query(shard)
        accept = request_query.METADATA_WATCH if metadata_only else JSON
        async with self._session.open_stream(info, query, accept=accept, idle_timeout=idle_timeout) as stream:
            yield stream

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

        So is an object that nobody can read; it is logged.

        One plain stream, without resuming: an `Informer` is what keeps a view up to date. Who leaves the loop early
        closes the stream with `contextlib.aclosing`.
        """
        info = await self._watch_info(kind, namespace, fields)
        opened = self.open_watch(
            info.resource,
            namespace=namespace,
            labels=labels,
            fields=fields,
            resource_version=resource_version,
            timeout=timeout,
        )
        async with opened as stream, WatchStream(stream, info, EventDecoder()) as batches:
            async for events in batches:
                for type_, entry in events:
                    if type_ == UNREADABLE_OBJECT:
                        self._unreadable.name(info.resource, entry.metadata, entry.body.decode())
                    elif type_ not in ("BOOKMARK", INITIAL_EVENTS_END):
                        yield type_, Object(entry.metadata, entry.raw, info.resource.gvk)

    async def _watch_info(self, kind: Kind, namespace: str | None, fields: str | None) -> RequestInfo:
        info = await self._session.request_info("watch", kind, None, namespace)
        return attrs.evolve(info, name=request_query.selected_name(fields))

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
            ValueError: it names no `apiVersion` or no `kind`.
        """
        wanted = _as_object(obj)
        info = await self._session.request_info(
            "create", wanted.gvk, wanted.name or None, wanted.namespace or namespace
        )
        query = request_query.write_query(field_manager, dry_run=dry_run)
        return await self._session.write_object(info, "POST", query, encode_body(wanted.to_dict()))

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
        info = await self._session.request_info("update", kind or wanted.gvk, wanted.key, None, subresource)
        query = request_query.write_query(field_manager, dry_run=dry_run)
        return await self._session.write_object(info, "PUT", query, encode_body(wanted.to_dict()))

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
        info = await self._session.request_info("patch", kind, name, namespace, subresource)
        query = request_query.write_query(field_manager, dry_run=dry_run, force=force)
        return await self._session.write_object(
            info, "PATCH", query, encode_body(patch), request_query.PATCH_CONTENT_TYPES[type]
        )

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
        info = await self._session.request_info("delete", wanted, key, namespace)
        return await self._session.delete_object(info, request_query.delete_options(propagation, uid))

    async def delete_collection(
        self, kind: Kind, *, namespace: str | None = None, labels: Labels = None, fields: str | None = None
    ) -> None:
        """Delete everything that the selectors match in one namespace, or everywhere for cluster-scoped kinds."""
        info = await self._session.request_info("deletecollection", kind, None, namespace)
        await self._session.send_write(info, "DELETE", query=request_query.selector_query(labels, fields))

    def __repr__(self) -> str:
        return f"<Client over {self._session.transport!r}>"


def _as_object(obj: Object | Mapping[str, Any]) -> Object:
    if not isinstance(obj, Object | Mapping):
        raise TypeError(f"{obj!r} is no object to write: write an Object, or a mapping such as a manifest is")
    wanted = obj if isinstance(obj, Object) else Object.from_dict(obj)
    if not wanted.kind or not wanted.api_version:
        missing = " and ".join(field for field in ("apiVersion", "kind") if not wanted.get(field))
        raise ValueError(f"{wanted.name or 'an object to write'!r} names no {missing}")
    return wanted
