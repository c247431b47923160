"""Renew an ID token with its refresh token: discovery, then the provider's token endpoint."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import attrs

from ...clock import wall_time
from ...errors import ConfigurationError
from ...event_logger import event_logger
from . import oidc, proxies
from .credential import Credential
from .redaction import without_password
from .rest_config import BasicAuth, Endpoint, OpenIdConnect
from .system_errors import words_of_system
from .tls import tls_context

logger: Final = event_logger("scopedcache.api")

# Both requests together; below the time a request to the API server may take.
TIME_LIMIT_SECONDS: Final = 20.0
ANSWER_LIMIT_BYTES: Final = 2**20


class OidcSource:
    """Credentials of one `auth-provider: oidc`.

    What the provider gives is kept in memory: kubectl writes it back into the kubeconfig, a library does not touch it.
    """

    def __init__(self, login: OpenIdConnect, *, wall: Callable[[], datetime] = wall_time) -> None:
        self._login = login
        self._wall = wall

    async def fetch(self, refused: str | None = None) -> Credential:
        """Return the ID token; renew it where it has expired, or the server refused it.

        Raises:
            ConfigurationError: it cannot be renewed.
        """
        token = self._login.id_token
        if token and f"Bearer {token}" != refused:
            left = oidc.seconds_left(token, self._wall().timestamp())
            if left > 0:
                return Credential.bearer(token, fresh_seconds=left, valid_seconds=left)
        if not self._login.refresh_token:
            raise ConfigurationError(
                "the auth-provider 'oidc' has no valid id-token and no refresh-token: log in to the provider again"
            )
        await self._renew()
        left = max(0.0, oidc.seconds_left(self._login.id_token, self._wall().timestamp()))
        return Credential.bearer(self._login.id_token, fresh_seconds=left, valid_seconds=left)

    async def _renew(self) -> None:
        import aiohttp

        failure = None
        try:
            async with asyncio.timeout(TIME_LIMIT_SECONDS), aiohttp.ClientSession() as session:
                id_token, refresh_token = await self._renewed(session)
        except TimeoutError:
            failure = f"did not answer within {TIME_LIMIT_SECONDS:g} s"
        except aiohttp.ClientConnectorError as error:
            failure = f"cannot be connected to: {words_of_system(getattr(error, 'certificate_error', error.os_error))}"
        except aiohttp.ClientConnectorCertificateError as error:
            failure = f"showed a certificate that is not trusted: {words_of_system(error.certificate_error)}"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failure = f"did not answer as it should ({type(error).__name__})"
        if failure:
            issuer = without_password(self._login.issuer_url)
            raise ConfigurationError(f"the OpenID Connect provider {issuer} {failure}")
        if refresh_token and refresh_token != self._login.refresh_token:
            logger.warning("oidc.refresh_token_replaced", extra={"issuer": without_password(self._login.issuer_url)})
        self._login = attrs.evolve(
            self._login, id_token=id_token, refresh_token=refresh_token or self._login.refresh_token
        )

    async def _renewed(self, session: Any) -> tuple[str, str | None]:
        login = self._login
        tls = await asyncio.to_thread(tls_context, Endpoint(login.issuer_url, login.ca))
        status, body = await _asked(session, "GET", oidc.discovery_url(login), tls, allow_redirects=True)
        if status != 200:
            raise ConfigurationError(
                f"the discovery document of {without_password(login.issuer_url)} is not there ({status})"
            )
        where = oidc.token_endpoint(body)
        form = {"grant_type": "refresh_token", "refresh_token": login.refresh_token}
        # RFC 6749, 2.3.1: the header is what every provider must take; those that do not, take it in the form.
        basic = Credential.basic(BasicAuth(quote(login.client_id, safe=""), quote(login.client_secret, safe="")))
        named = {"Authorization": basic.authorization or ""}
        status, body = await _asked(session, "POST", where, tls, data=form, headers=named, allow_redirects=False)
        if status in (400, 401):
            secret = {"client_secret": login.client_secret} if login.client_secret else {}
            form |= {"client_id": login.client_id, **secret}
            status, body = await _asked(session, "POST", where, tls, data=form, allow_redirects=False)
        if status != 200:
            raise ConfigurationError(
                f"the OpenID Connect provider {without_password(login.issuer_url)} refused the refresh-token "
                f"({status}): log in to it again"
            )
        return oidc.tokens(body)


async def _asked(session: Any, method: str, url: str, tls: Any, **more: Any) -> tuple[int, bytes]:
    address, headers = proxies.split(proxies.from_environment(url, os.environ) or "")
    proxy = {"proxy": address, "proxy_headers": dict(headers)} if address else {}
    async with session.request(method, url, ssl=tls, **proxy, **more) as answer:
        body = bytearray()
        async for part in answer.content.iter_any():
            body += part
            if len(body) > ANSWER_LIMIT_BYTES:
                raise ConfigurationError("an answer of the OpenID Connect provider is too long")
        return answer.status, bytes(body)
