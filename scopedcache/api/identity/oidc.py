"""OpenID Connect: whether an ID token still holds, and what a provider's answers come to. No request is sent here."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from typing import Final

import msgspec

from ...errors import ConfigurationError
from .redaction import url_parts
from .rest_config import OpenIdConnect

# client-go takes an ID token for expired so long before it is: clocks differ.
EXPIRY_MARGIN_SECONDS: Final = 10.0


class _Claims(msgspec.Struct):
    exp: float = 0.0


class _Discovery(msgspec.Struct):
    token_endpoint: str = ""


class _Tokens(msgspec.Struct):
    id_token: str | None = None
    refresh_token: str | None = None


def seconds_left(id_token: str, now: float) -> float:
    """Return for how long an ID token may still be sent; `now` is seconds since the epoch.

    Raises:
        ConfigurationError: it is not a JSON Web Token.
    """
    parts = id_token.split(".")
    claims = _claims(parts[1]) if len(parts) == 3 else None
    if claims is None:
        raise ConfigurationError("the id-token of the auth-provider 'oidc' is not a JSON Web Token")
    return claims.exp - EXPIRY_MARGIN_SECONDS - now


def discovery_url(login: OpenIdConnect) -> str:
    return checked(f"{login.issuer_url.rstrip('/')}/.well-known/openid-configuration", "idp-issuer-url")


def token_endpoint(body: bytes) -> str:
    """Return where tokens are renewed, as the provider's discovery document says."""
    try:
        found = msgspec.json.decode(body, type=_Discovery).token_endpoint
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ConfigurationError("the discovery document of the OpenID Connect provider cannot be read") from None
    if not found:
        raise ConfigurationError("the discovery document of the OpenID Connect provider names no token_endpoint")
    return checked(found, "token_endpoint")


def tokens(body: bytes) -> tuple[str, str | None]:
    """Return the new ID token and, where the provider gave another one, the new refresh token."""
    try:
        found = msgspec.json.decode(body, type=_Tokens)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ConfigurationError("the tokens of the OpenID Connect provider cannot be read") from None
    if not found.id_token:
        raise ConfigurationError("the OpenID Connect provider gave no id_token: the login lacks the scope openid")
    return found.id_token, found.refresh_token or None


def checked(url: str, field: str) -> str:
    """Return a URL that a refresh token may be sent to: https, or this machine.

    Raises:
        ConfigurationError: it is none.
    """
    parts = url_parts(url)
    if parts is None:
        raise ConfigurationError(f"the {field} of the auth-provider 'oidc' is not a URL")
    host = parts.hostname or ""
    if host and (parts.scheme == "https" or (parts.scheme == "http" and _is_here(host))):
        return url
    raise ConfigurationError(
        f"the {field} of the auth-provider 'oidc' is not an https URL: {f'{parts.scheme}://{host}'!r}"
    )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _claims(payload: str) -> _Claims | None:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=_Claims)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        return None
