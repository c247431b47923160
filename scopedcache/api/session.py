"""A request and its answer: sends requests over a Transport, and tells who listens how they ended and what was written.

A client *has* one session; everything that goes to the server goes through it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Final, Protocol

import msgspec

from ..errors import APIError, ForbiddenError, ProtocolError, ScopedCacheError, TransportError
from ..identity import As, Identity, ServiceAccount
from ..kinds import GVK, GVR, Kind, ObjectKey, Resource
from ..metrics import NULL, REQUESTS, Instrumentation, Span
from ..objects import Object
from . import access_reviews
from .codec import decode_object, decode_status
from .denial_origin import ask_origin, is_impersonation, origin_at_a_glance
from .discovery import Discovery
from .identity.impersonation import headers_for
from .identity.requested_tokens import RequestedTokens, token_request_body
from .permission import Permission
from .ready_answer import ReadyAnswer, read_ready_answer
from .recording import Recording
from .recording_transport import RecordingTransport
from .request_info import Observer, RequestInfo
from .request_query import APPLY, JSON
from .status_errors import error_from_answer, error_not_json
from .transport import REQUEST_TIMEOUT_SECONDS, Acting, Lane, Query, Response, Stream, Transport
from .write_tally import count_write

# What client-go calls the code of a request that met no answer.
NO_ANSWER: Final = "<error>"
_NAMED_VERBS: Final = frozenset({"get", "update", "patch", "delete"})


class WriteListener(Protocol):
    """Sees the answers to our own writes: how a cache shows them to the next read."""

    def written(self, resource: Resource, written: Object) -> None:
        """An object was created or changed; this is the server's answer."""

    def deleted(self, resource: Resource, key: ObjectKey, uid: str) -> None:
        """An object is gone."""


class WriteFence(Protocol):
    """Says whether a write may be sent now: how a process that leads no more keeps its writes to itself."""

    def admit(self, info: RequestInfo) -> AbstractAsyncContextManager[None]:
        """Let one write pass while it is entered; raises where it may not, or may not any longer."""


class Session:
    """What every request of a client goes through: discovery, the transport, and those who listen.

    Args:
        identity: as whom the transport sends, None for the program's own user.
        principal: the session that this one acts beside as somebody else. What is served, and whether a write may be
            sent, is the same for both; who listens to one hears nothing of the other.
    """

    def __init__(
        self, transport: Transport, *, identity: Identity | None = None, principal: Session | None = None
    ) -> None:
        self.transport: Transport = transport
        self.identity = identity
        self._principal = principal
        self._tokens: RequestedTokens | None = None
        self.discovery: Discovery = Discovery(self.fetch_document) if principal is None else principal.discovery
        self.instrumentation: Instrumentation = NULL if principal is None else principal.instrumentation
        self._observers: list[Observer] = []
        self._write_listeners: list[WriteListener] = []
        self._write_fences: list[WriteFence] = [] if principal is None else principal._write_fences

    async def close(self) -> None:
        """Close all connections."""
        if self._principal is None:
            self.discovery.end()
        await self.transport.close()
        if self._tokens is not None:
            await self._tokens.close()

    def acting_as(self, identity: Identity, transport: Callable[[Acting], Transport]) -> Session:
        """Return a session beside this one, as somebody else; `transport` makes its way to the server."""
        if isinstance(identity, As):
            headers = headers_for(identity.user, identity.uid, identity.groups, dict(identity.extra))
            return Session(transport(Acting(headers)), identity=identity, principal=self)
        tokens = RequestedTokens(identity, lambda: self._request_token(identity))
        session = Session(transport(Acting(tokens=tokens)), identity=identity, principal=self)
        session._tokens = tokens
        return session

    async def _request_token(self, account: ServiceAccount) -> bytes:
        info = RequestInfo("create", _SERVICE_ACCOUNTS, account.namespace, account.name, "token")
        try:
            return (await self.send(info, "POST", body=token_request_body())).body
        except ForbiddenError as error:
            error.by = "authorizer"  # no admission plugin has a say here that a review would not know of
            raise

    def record(self, recording: Recording) -> None:
        """Keep what is asked and answered from here on, until the connections are closed."""
        self.transport = RecordingTransport(self.transport, recording)

    # -- who listens ---------------------------------------------------------------------------------------------

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

    def add_write_fence(self, fence: WriteFence) -> None:
        """Let `fence` say of each write whether it may be sent; reviews and reads are not asked about."""
        self._write_fences.append(fence)

    def remove_write_fence(self, fence: WriteFence) -> None:
        self._write_fences.remove(fence)

    # -- requests ------------------------------------------------------------------------------------------------

    async def request_info(
        self,
        verb: str,
        kind: Kind,
        name: str | ObjectKey | None,
        namespace: str | None,
        subresource: str | None = None,
    ) -> RequestInfo:
        """Return what a request asks for; waits for discovery where the kind is not remembered.

        Raises:
            UnknownKindError: the server does not serve it.
            ValueError: a name or a namespace is missing.
        """
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

    async def send(
        self,
        info: RequestInfo,
        method: str,
        *,
        query: Query = (),
        body: bytes | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        timeout: float = REQUEST_TIMEOUT_SECONDS,
        lane: Lane = "calls",
    ) -> Response:
        """Send a request, and return its answer if it is a success in JSON."""
        with self.instrumentation.span(f"{info.verb} {info.subject}", **_attributes(info, method)) as span:
            return await self._send(
                info,
                method,
                span,
                query=query,
                body=body,
                content_type=content_type,
                accept=accept,
                timeout=timeout,
                lane=lane,
            )

    async def _send(
        self,
        info: RequestInfo,
        method: str,
        span: Span,
        *,
        query: Query,
        body: bytes | None,
        content_type: str,
        accept: str,
        timeout: float,
        lane: Lane,
    ) -> Response:
        try:
            response = await self._request(
                method,
                info.path,
                query,
                body=body,
                content_type=content_type,
                accept=accept,
                timeout=timeout,
                lane=lane,
            )
            span.note(**{"http.response.status_code": response.status})
        except TransportError as error:
            self._tell(info, error)
            raise
        if response.status >= 300:
            headers, kind = response.headers, response.content_type
            raise self._refused(info, error_from_answer(info, response.status, kind, headers, response.body))
        if not response.content_type.endswith("json"):
            raise self._refused(info, error_not_json(info, response.content_type, response.body))
        self._tell(info, None)
        return response

    async def send_write(
        self,
        info: RequestInfo,
        method: str,
        *,
        query: Query = (),
        body: bytes | None = None,
        content_type: str = JSON,
    ) -> Response:
        """Send a write, if the fences admit it. Where it is refused, the error says by whom."""
        try:
            async with AsyncExitStack() as stack:
                for fence in self._write_fences:
                    await stack.enter_async_context(fence.admit(info))
                return await self.send(info, method, query=query, body=body, content_type=content_type)
        except ForbiddenError as error:
            if not is_impersonation(error):
                error.by = await ask_origin(info, self.review_access, self.ready, apply=content_type == APPLY)
            raise

    async def write_object(
        self, info: RequestInfo, method: str, query: Query, body: bytes, content_type: str = JSON
    ) -> Object:
        """Send a write whose answer is the object, and show that to the listeners."""
        written = object_from(
            info.resource, await self.send_write(info, method, query=query, body=body, content_type=content_type)
        )
        if info.subresource in (None, "status") and ("dryRun", "All") not in query:
            self._tell_written(info.resource, written)
        return written

    async def delete_object(self, info: RequestInfo, options: bytes) -> Object | None:
        """Send a deletion; return the object where something holds it, None where it is gone."""
        answer = await self.send_write(info, "DELETE", body=options)
        status = decode_status(answer.body)
        if status is not None:
            uid = str((status.details or {}).get("uid", ""))
        else:
            remaining = object_from(info.resource, answer)
            # Some kinds (Services, ServiceAccounts …) answer with the object although it is gone: it carries no
            # deletion then, for that is only marked on what has to wait.
            if remaining.deletion_timestamp is not None:
                self._tell_written(info.resource, remaining)
                return remaining
            uid = remaining.uid
        count_write()
        for listener in self._write_listeners:
            listener.deleted(info.resource, ObjectKey(info.namespace or "", info.name or ""), uid)
        return None

    def _tell_written(self, resource: Resource, written: Object) -> None:
        count_write()
        for listener in self._write_listeners:
            listener.written(resource, written)

    @asynccontextmanager
    async def open_stream(
        self, info: RequestInfo, query: Query, *, accept: str, idle_timeout: float
    ) -> AsyncIterator[Stream]:
        """Open a watch and hand out its byte stream; one that is silent for `idle_timeout` seconds is cut."""
        try:
            opened = self.transport.stream(info.path, query, accept=accept, idle_timeout=idle_timeout)
            stream = await opened.__aenter__()
        except TransportError as error:
            self._count("GET", NO_ANSWER)
            self._tell(info, error)
            raise
        self._count("GET", str(stream.status))
        try:
            refusal = await _refusal(info, stream)
            if refusal is not None:
                raise refusal if isinstance(refusal, TransportError) else self._refused(info, refusal)
            self._tell(info, None)
            yield stream
        except TransportError as error:
            # Cut in the middle: the server may be restarting. One that we cut for its silence says no such thing, and a
            # quiet kind whose bookmarks are late would otherwise keep the longer hold-off in force.
            if not isinstance(error.__cause__, TimeoutError):
                self._tell(info, error)
            raise
        finally:
            await opened.__aexit__(None, None, None)

    # -- what is not about objects -------------------------------------------------------------------------------

    async def fetch_document(self, path: str) -> bytes:
        """Fetch a document by its path (discovery, `/version`)."""
        info = RequestInfo("get", _DISCOVERY, name=path)
        response = await self._request("GET", path)
        if response.status != 200:
            raise error_from_answer(info, response.status, response.content_type, response.headers, response.body)
        if not response.content_type.endswith("json"):
            raise error_not_json(info, response.content_type, response.body)
        return response.body

    async def version(self) -> str:
        """Return the server's version, e.g. `v1.36.2`: a cheap way to find out whether it is there and knows us."""
        body = await self.fetch_document("/version")
        try:
            return str(msgspec.json.decode(body, type=dict[str, Any]).get("gitVersion", ""))
        except msgspec.DecodeError as error:
            raise ProtocolError(f"the answer is not a version: {error}") from error

    async def review_access(self, permission: Permission, *, timeout: float = REQUEST_TIMEOUT_SECONDS) -> bool:
        """Ask whether we have one permission (SelfSubjectAccessReview)."""
        body = access_reviews.access_review_body(permission)
        return access_reviews.read_access_review(await self._review(_ACCESS_REVIEWS, body, timeout))

    async def review_rules(self, namespace: str, *, timeout: float = REQUEST_TIMEOUT_SECONDS) -> access_reviews.Rules:
        """Ask for all rules that hold for us in a namespace (SelfSubjectRulesReview)."""
        body = access_reviews.rules_review_body(namespace)
        return access_reviews.read_rules_review(await self._review(_RULES_REVIEWS, body, timeout))

    async def ready(self, *, timeout: float = REQUEST_TIMEOUT_SECONDS) -> ReadyAnswer:
        """Ask the server that answers our reviews whether it is ready. One that says nothing is not."""
        try:
            answer = await self._request("GET", "/readyz", timeout=timeout, lane="reviews")
        except TransportError:
            return read_ready_answer(None)
        return read_ready_answer(answer.status)

    async def _review(self, kind: Resource, body: bytes, timeout: float) -> bytes:
        info = RequestInfo("create", kind)
        return (await self.send(info, "POST", body=body, timeout=timeout, lane="reviews")).body

    async def _request(self, method: str, path: str, query: Query = (), **options: Any) -> Response:
        try:
            response = await self.transport.request(method, path, query, **options)
        except TransportError:
            self._count(method, NO_ANSWER)
            raise
        self._count(method, str(response.status))
        return response

    def _count(self, method: str, code: str) -> None:
        self.instrumentation.increment(REQUESTS, code=code, method=method)

    def _refused(self, info: RequestInfo, error: ScopedCacheError) -> ScopedCacheError:
        if isinstance(error, ForbiddenError) and not is_impersonation(error):
            error.by = origin_at_a_glance(info)
        if isinstance(error, APIError) and not (isinstance(error, ForbiddenError) and is_impersonation(error)):
            error.identity = self.identity
        self._tell(info, error)
        return error

    def _tell(self, info: RequestInfo, error: ScopedCacheError | None) -> None:
        for observer in self._observers:
            observer.observed(info, error)


def _attributes(info: RequestInfo, method: str) -> dict[str, str]:
    """Return what a span says of a request; names in the manner of OpenTelemetry's conventions."""
    found = {"http.request.method": method, "k8s.verb": info.verb, "k8s.resource": info.subject}
    return found | ({"k8s.namespace.name": info.namespace} if info.namespace else {})


def object_from(resource: Resource, response: Response) -> Object:
    """Return the object in an answer."""
    entry, gvk = decode_object(response.body)
    return Object(entry.metadata, entry.raw, gvk if gvk.kind else resource.gvk)


async def _refusal(info: RequestInfo, stream: Stream) -> ScopedCacheError | None:
    """Return the error a stream stands for that is no watch, None where it is one."""
    if stream.status != 200:
        return error_from_answer(info, stream.status, stream.content_type, stream.headers, await stream.read())
    if not stream.content_type.endswith("json"):
        return error_not_json(info, stream.content_type, await stream.read())
    return None


def _builtin(group: str, resource: str, kind: str, *, namespaced: bool = False) -> Resource:
    return Resource(GVR(group, "v1", resource), GVK(group, "v1", kind), namespaced=namespaced)


_SERVICE_ACCOUNTS: Final = _builtin("", "serviceaccounts", "ServiceAccount", namespaced=True)
_DISCOVERY: Final = _builtin("", "discovery", "APIResourceList")
_ACCESS_REVIEWS: Final = _builtin("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview")
_RULES_REVIEWS: Final = _builtin("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview")
