"""Who a request to our server comes from, as the API server sees it."""

from __future__ import annotations

from typing import Any, Final

import attrs
import msgspec
from aiohttp import ClientTimeout, web
from multidict import CIMultiDict

from ..api import Client
from ..api.request_info import RequestInfo
from ..api.status_errors import error_from_answer
from ..errors import ProtocolError, UnauthorizedError
from ..kinds import GVK, GVR, Resource
from .forwarded_headers import to_server
from .upstream import NOBODY_ANSWERED, http_transport

TIMEOUT_SECONDS: Final = 10.0
_PATH: Final = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_GROUP: Final = "authentication.k8s.io"
_REVIEW: Final = Resource(
    GVR(_GROUP, "v1", "selfsubjectreviews"), GVK(_GROUP, "v1", "SelfSubjectReview"), namespaced=False
)
_BODY: Final = b'{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}'


@attrs.frozen
class Caller:
    """A user of the cluster."""

    username: str
    groups: frozenset[str] = frozenset()


async def identify(client: Client, request: web.Request) -> Caller:
    """Ask the API server who a request comes from, with the credentials that it carries, and no rights of our own.

    Whoever may impersonate somebody, and asks for it, is that somebody.

    Raises:
        UnauthorizedError: it carries no credentials, or none that the server knows.
        ForbiddenError: it wants to be somebody whom it may not impersonate.
        TransportError, APIError: the server does not say.
        ConfigurationError: the client does not speak HTTP.
    """
    transport = http_transport(client)
    if "Authorization" not in request.headers:
        raise UnauthorizedError("the request carries no credentials", status=401, reason="Unauthorized")
    connection = await transport.connection_for_others()
    headers = [(n, v) for n, v in to_server(request.headers.items(), own_name=False) if _says_who(n)]
    headers += [("Content-Type", "application/json"), ("Accept", "application/json")]
    try:
        async with transport.forwards.post(
            connection.url(_PATH, ()), data=_BODY, headers=connection.with_headers(CIMultiDict(headers)),
            timeout=ClientTimeout(total=TIMEOUT_SECONDS), **connection.options,
        ) as answer:  # fmt: skip
            body, status, kind, given = await answer.read(), answer.status, answer.content_type, answer.headers
    except NOBODY_ANSWERED as error:
        failure = transport.trouble(error)
    else:
        if status >= 300:
            raise error_from_answer(RequestInfo("create", _REVIEW), status, kind, given, body)
        return _caller(body)
    raise failure


def _says_who(name: str) -> bool:
    return name.lower() == "authorization" or name.lower().startswith("impersonate-")


def _caller(body: bytes) -> Caller:
    try:
        user: dict[str, Any] = msgspec.json.decode(body)["status"]["userInfo"]
        return Caller(str(user["username"]), frozenset(user.get("groups") or ()))
    except (KeyError, TypeError, msgspec.DecodeError) as error:
        raise ProtocolError(f"the answer does not say who it is: {error}") from error
