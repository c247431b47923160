"""The token of a ServiceAccount that the server gives us on request (TokenRequest), renewed before it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs
import msgspec

from ...clock import loop_time
from ...errors import ForbiddenError, ProtocolError, ScopedCacheError, TransportError
from ...event_logger import event_logger
from ...identity import ServiceAccount
from .single_flight import SingleFlight

logger: Final = event_logger("scopedcache.api")

# What is asked for; a server may give another lifetime, ten minutes at least.
LIFETIME_SECONDS: Final = 3600
# A token is renewed after this part of its life, as kubelets do.
RENEWED_AFTER: Final = 0.8
# What could not be had is not asked for more often than this.
RETRY_SECONDS: Final = 2.0


class _Status(msgspec.Struct):
    token: str


class _TokenRequest(msgspec.Struct):
    status: _Status


def token_request_body() -> bytes:
    """Return the body of a TokenRequest."""
    spec: dict[str, Any] = {"expirationSeconds": LIFETIME_SECONDS}
    return msgspec.json.encode({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})


@attrs.frozen
class _Token:
    value: str = attrs.field(repr=False)
    at: float


class RequestedTokens:
    """The tokens of one ServiceAccount.

    Args:
        request: sends a TokenRequest, and returns the body of its answer.
    """

    def __init__(
        self,
        account: ServiceAccount,
        request: Callable[[], Awaitable[bytes]],
        *,
        timer: Callable[[], float] = loop_time,
    ) -> None:
        self._account = account
        self._request = request
        self._timer = timer
        self._token: _Token | None = None
        self._failure: tuple[float, ScopedCacheError] | None = None
        self._flight = SingleFlight()
        self._said = ""

    async def token(self, refused: str | None = None) -> str:
        """Return the token; a new one where it is due, or where the server refused it.

        Raises:
            ForbiddenError: the right to ask for one is missing.
            TransportError: it could not be had otherwise: there is no such ServiceAccount, nobody answered.
        """
        token = self._token
        if token is None or token.value == refused or self._age(token) >= RENEWED_AFTER * LIFETIME_SECONDS:
            await self._renew(refused)
        assert self._token is not None
        return self._token.value

    async def close(self) -> None:
        """End what is under way."""
        await self._flight.close()

    def _age(self, token: _Token) -> float:
        return self._timer() - token.at

    async def _renew(self, refused: str | None) -> None:
        usable = self._token is not None and self._token.value != refused
        usable = usable and self._token is not None and self._age(self._token) < LIFETIME_SECONDS
        if self._failure is not None and self._timer() - self._failure[0] < RETRY_SECONDS:
            if usable:
                return
            raise self._failure[1]
        try:
            await self._flight.join(self._fetch)
        except ScopedCacheError:
            if not usable:
                raise

    async def _fetch(self) -> None:
        asked_at = self._timer()
        try:
            body = await self._request()
            value = _read(body)
        except ForbiddenError as error:
            self._fail(error)
            raise
        except ScopedCacheError as error:
            failure = TransportError(f"there is no token for {self._account}: {error}", connected=True)
            self._fail(failure)
            raise failure from error
        self._token, self._failure, self._said = _Token(value, asked_at), None, ""

    def _fail(self, error: ScopedCacheError) -> None:
        self._failure = self._timer(), error
        reason = error.subject if isinstance(error, ForbiddenError) else str(error)  # its words tell the time
        if reason != self._said:  # once for each reason
            self._said = reason
            logger.warning("identity.no_token", extra={"identity": str(self._account), "error": str(error)})


def _read(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_TokenRequest).status.token
    except msgspec.DecodeError as error:
        raise ProtocolError(f"the answer to a TokenRequest holds no token: {error}") from None
