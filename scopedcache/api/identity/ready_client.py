"""Ready clients of other libraries: `kubernetes`, `kubernetes.aio`, `kubernetes_asyncio`, or what looks like them.

Only public fields of their `Configuration` are read. Nothing is imported: they are taken as they come.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from ...errors import ConfigurationError
from . import proxies
from .credential import Credential
from .impersonation import headers_among
from .redaction import without_password
from .rest_config import ClientCertificate, Endpoint, Headers, Pem, ReadyClient, RestConfig

# The API server itself trusts a verified token for ten seconds (TokenSuccessCacheTTL), so asking hooks more often than
# that for a header gains nothing.
FRESH_SECONDS = 10.0


def configuration_of(given: Any) -> Any:
    """Return the Configuration of a ready ApiClient, or what was given where it is one.

    Raises:
        ConfigurationError: it is neither.
    """
    configuration = getattr(given, "configuration", given)
    if not hasattr(configuration, "host") or not hasattr(configuration, "auth_settings"):
        raise ConfigurationError(f"{type(given).__name__} is neither an ApiClient nor a Configuration")
    return configuration


def rest_config_of(given: Any, default_headers: Any = None) -> RestConfig:
    """Return what a Configuration says now; its hooks may change it later."""
    certificate, key = getattr(given, "cert_file", None), getattr(given, "key_file", None)
    ca_file, ca_data = getattr(given, "ssl_ca_cert", None), getattr(given, "ca_cert_data", None)
    proxy, headers = _proxy_of(given)
    endpoint = Endpoint(
        str(given.host).rstrip("/"),
        _ca(ca_file, ca_data),
        ClientCertificate(Pem(str(certificate)), Pem(str(key or certificate))) if certificate else None,
        verify=getattr(given, "verify_ssl", True) is not False,
        server_name=getattr(given, "tls_server_name", None) or None,
        proxy=proxy,
        proxy_headers=headers,
        check_hostname=getattr(given, "assert_hostname", None) is not False,
    )
    return RestConfig(endpoint, ReadyClient(given), "the ready client", headers_among(dict(default_headers or {})))


class ReadyClientSource:
    """Credentials of a ready client: asked for anew, so that its refresh hook is called; blocking hooks in a thread."""

    def __init__(self, given: Any) -> None:
        self._given = given

    async def fetch(self, refused: str | None = None) -> Credential:
        """Return the header that the client would send.

        Raises:
            ConfigurationError: its hook failed; names the class of what it raised, not its words.
        """
        failure = None
        try:
            header = await _header_of(self._given)
        except Exception as error:  # hooks raise what they like
            failure = type(error).__name__
        if failure:
            raise ConfigurationError(f"the credentials cannot be had: the ready client raised {failure}")
        if header is None:
            return Credential(fresh_seconds=FRESH_SECONDS)
        return Credential(header, fresh_seconds=FRESH_SECONDS, secrets=(header.partition(" ")[2],))


async def _header_of(given: Any) -> str | None:
    if inspect.iscoroutinefunction(given.auth_settings):
        settings = await given.auth_settings()
    else:
        settings = await asyncio.to_thread(given.auth_settings)
    value = str((settings.get("BearerToken") or {}).get("value") or "").strip()
    if not value:
        return None
    return value if " " in value else f"Bearer {value}"


def _ca(file: Any, data: Any) -> Pem | None:
    if data:
        return Pem(data=data.encode() if isinstance(data, str) else bytes(data))
    return Pem(str(file)) if file else None


def _proxy_of(given: Any) -> tuple[str | None, Headers]:
    """Return the proxy to use for the host, None where `no_proxy` names it."""
    proxy, rules = getattr(given, "proxy", None), getattr(given, "no_proxy", None) or ""
    if not proxy or proxies.bypassed(str(given.host), rules):
        return None, ()
    headers = tuple(
        (str(name), str(value)) for name, value in dict(getattr(given, "proxy_headers", None) or {}).items()
    )
    if "://" not in str(proxy):
        raise ConfigurationError(f"the proxy {without_password(str(proxy))!r} is not a URL")
    address, own = proxies.split(proxies.checked(str(proxy)))
    return address, own or headers
