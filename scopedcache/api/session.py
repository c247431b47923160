"""A request and its answer: sends calls over a Transport, tells who listens, and finds out who refused a write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

import msgspec

from ..errors import ForbiddenError, ProtocolError, Refuser, ScopedCacheError, TransportError
from ..kinds import GVK, GVR, Kind, ObjectKey, Resource
from ..objects import Object
from . import access_reviews
from .discovery import Discovery
from .permission import Permission
from .ready_answer import ReadyAnswer, read_ready_answer
from .request_info import Observer, RequestInfo
from .status_errors import error_of
from .transport import REQUEST_TIMEOUT_SECONDS, Lane, Query, Response, Transport

APPLY = "application/apply-patch+yaml"
_NAMED_VERBS = ("get", "update", "patch", "delete")


class WriteListener(Protocol):
    """Sees the answers to our own writes: how a cache shows them to the next read."""

    def written(self, resource: Resource, written: Object) -> None:
        """An object was created or changed; this is the server's answer."""

    def deleted(self, resource: Resource, key: ObjectKey, uid: str) -> None:
        """An object is gone."""


class Session:
    """What every request of a client goes through; used with `async with`."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.discovery = Discovery(self._document)
        self._observers: list[Observer] = []
        self._write_listeners: list[WriteListener] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        self.discovery.end()
        await self.transport.close()

    def add_observer(self, observer: Observer) -> None:
        """Let `observer` hear how every request ends."""
        self._observers.append(observer)

    def remove_observer(self, observer: Observer) -> None:
        self._observers.remove(observer)

    def add_write_listener(self, listener: WriteListener) -> None:
        """Let `listener` see the answers to our writes, before their caller does."""
        self._write_listeners.append(listener)

    def remove_write_listener(self, listener: WriteListener) -> None:
        self._write_listeners.remove(listener)

    async def version(self) -> str:
        """Return the server's version, e.g. `v1.36.2`: a cheap way to find out whether it is there and knows us."""
        body = await self._document("/version")
        try:
            return str(msgspec.json.decode(body, type=dict[str, Any]).get("gitVersion", ""))
        except msgspec.DecodeError as error:
            raise ProtocolError(f"the answer is not a version: {error}") from error

    # -- rights --------------------------------------------------------------------------------------------------

    async def review_access(self, permission: Permission, *, timeout: float = REQUEST_TIMEOUT_SECONDS) -> bool:
        """Ask whether we have one right (SelfSubjectAccessReview)."""
        body = access_reviews.access_review(permission)
        return access_reviews.allowed(await self._review("selfsubjectaccessreviews", body, timeout))

    async def review_rules(self, namespace: str, *, timeout: float = REQUEST_TIMEOUT_SECONDS) -> access_reviews.Rules:
        """Ask for all rules that hold for us in a namespace (SelfSubjectRulesReview)."""
        body = access_reviews.rules_review(namespace)
        return access_reviews.rules(await self._review("selfsubjectrulesreviews", body, timeout))

    async def ready(self, *, timeout: float = REQUEST_TIMEOUT_SECONDS) -> ReadyAnswer:
        """Ask the server that answers our reviews whether it is ready. One that says nothing is not."""
        try:
            answer = await self.transport.request("GET", "/readyz", timeout=timeout, lane="reviews")
        except TransportError:
            return read_ready_answer(None)
        return read_ready_answer(answer.status)

    async def _review(self, kind: str, body: bytes, timeout: float) -> bytes:
        info = RequestInfo("create", _REVIEWS[kind])
        return (await self._send(info, "POST", body=body, timeout=timeout, lane="reviews")).body

    # -- the way there and back ----------------------------------------------------------------------------------

    async def _info(
        self,
        verb: str,
        kind: Kind,
        name: str | ObjectKey | None,
        namespace: str | None,
        subresource: str | None = None,
    ) -> RequestInfo:
        resource = self.discovery.known(kind) or await self.discovery.resolve(kind)
        if isinstance(name, tuple):
            namespace, name = name.namespace or namespace, name.name
        if verb in _NAMED_VERBS and name in ("", ".", "..", None):
            # Without a name, the path would be the collection's: a delete would delete everything in the namespace.
            raise ValueError(f"{verb} {resource} needs the name of an object, not {name!r}")
        if not resource.namespaced:
            namespace = None
        elif not namespace and verb not in ("list", "watch"):
            raise ValueError(f"{verb} {resource} needs a namespace: it is a namespaced kind")
        return RequestInfo(verb, resource, namespace or None, name or None, subresource)

    async def _change(
        self,
        info: RequestInfo,
        method: str,
        *,
        query: Query = (),
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> Response:
        """Send a write. Where it is refused, find out by whom: quota, PodSecurity and webhooks answer 403 as well."""
        try:
            return await self._send(info, method, query=query, body=body, content_type=content_type)
        except ForbiddenError as error:
            verbs = [info.verb, "create"] if content_type == APPLY else [info.verb]
            error.by = await self._refuser(info, verbs)
            raise

    async def _refuser(self, info: RequestInfo, verbs: Sequence[str]) -> Refuser:
        """Return `authorizer` where one of these verbs is denied; an apply may also need to create.

        A server that is not ready denies what it will allow: then nobody knows.
        """
        gvr = info.resource.gvr
        try:
            for verb in verbs:
                permission = Permission(verb, gvr.group, gvr.resource, info.namespace, info.subresource, info.name)
                if not await self.review_access(permission):
                    return "unknown" if await self.ready() == "not ready" else "authorizer"
        except ScopedCacheError:
            return "unknown"
        return "admission"

    async def _send(
        self,
        info: RequestInfo,
        method: str,
        *,
        query: Query = (),
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout: float = REQUEST_TIMEOUT_SECONDS,
        lane: Lane = "calls",
    ) -> Response:
        try:
            response = await self.transport.request(
                method,
                info.path,
                query,
                body=body,
                content_type=content_type,
                accept=accept,
                timeout=timeout,
                lane=lane,
            )
        except TransportError as error:
            self._observed(info, error)
            raise
        if response.status >= 300:
            headers = response.headers
            raise self._refused(info, error_of(info, response.status, response.content_type, headers, response.body))
        if not response.content_type.endswith("json"):
            raise self._refused(info, not_json(info, response.content_type, response.body))
        self._observed(info, None)
        return response

    async def _document(self, path: str) -> bytes:
        """Fetch a discovery document."""
        info = RequestInfo("get", _DISCOVERY, name=path)
        response = await self.transport.request("GET", path)
        if response.status != 200:
            raise error_of(info, response.status, response.content_type, response.headers, response.body)
        if not response.content_type.endswith("json"):
            raise not_json(info, response.content_type, response.body)
        return response.body

    def _refused(self, info: RequestInfo, error: ScopedCacheError) -> ScopedCacheError:
        if isinstance(error, ForbiddenError) and info.verb in ("get", "list", "watch"):
            error.by = "authorizer"  # no admission plugin sees reads
        self._observed(info, error)
        return error

    def _observed(self, info: RequestInfo, error: ScopedCacheError | None) -> None:
        for observer in self._observers:
            observer.observed(info, error)


def not_json(info: RequestInfo, content_type: str, body: bytes) -> ScopedCacheError:
    words = body[:120].decode(errors="replace").strip()
    return ProtocolError(
        f"{info.verb} {info.subject}: the answer is {content_type}, not JSON ({words!r}); is the server address right?"
    )


def _builtin(group: str, resource: str, kind: str) -> Resource:
    return Resource(GVR(group, "v1", resource), GVK(group, "v1", kind), namespaced=False)


_DISCOVERY = _builtin("", "discovery", "APIResourceList")
_REVIEWS = {
    "selfsubjectaccessreviews": _builtin("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    "selfsubjectrulesreviews": _builtin("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview"),
}
