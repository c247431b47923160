"""Which proxy leads to a server: what the kubeconfig names, or the environment, as Go's HTTP client reads it."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from ...errors import ConfigurationError
from .redaction import url_parts, without_password

_SUPPORTED: Final = ("http", "https")
_PORTS: Final = {"http": 80, "https": 443}


def checked(url: str) -> str:
    """Return the address of a proxy.

    Raises:
        ConfigurationError: it is none that can be used; `socks5` is named.
    """
    parts = url_parts(url)
    if parts is None:
        raise ConfigurationError("the address of the proxy is not a URL")
    shown = without_password(url)
    if parts.scheme not in _SUPPORTED or not parts.hostname:
        raise ConfigurationError(f"the proxy {shown!r} is not an http(s) proxy: no other kind is supported")
    return url


def from_environment(url: str, environment: Mapping[str, str]) -> str | None:
    """Return the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for a URL, None where it is reached directly.

    Raises:
        ConfigurationError: the proxy they name cannot be used.
    """
    parts = urlsplit(url)
    named = _value(environment, f"{parts.scheme}_proxy")
    if not named or _is_loopback(parts.hostname or "") or bypassed(url, _value(environment, "no_proxy")):
        return None
    return checked(named if "://" in named else f"http://{named}")


def bypassed(url: str, rules: str) -> bool:
    """Tell whether `NO_PROXY` names a host: by name, domain, address or network (`10.0.0.0/8`), perhaps with a port."""
    parts = urlsplit(url)
    return any(_names(rule.strip().lower(), parts) for rule in rules.split(","))


def split(url: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the address of a proxy without user and password, and the header that carries them."""
    parts = urlsplit(url)
    if parts.username is None:
        return url, ()
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    place = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return place.geturl(), (("Proxy-Authorization", f"Basic {base64.b64encode(login).decode()}"),)


def _value(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name.upper()) or environment.get(name) or ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _names(rule: str, parts: SplitResult) -> bool:
    if not rule or rule == "*":
        return rule == "*"
    host, port = (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme)
    place, wanted_port = _with_port(rule)
    if wanted_port is not None and wanted_port != port:
        return False
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(place, strict=False)
    except ValueError:
        name = place.removeprefix("*").lstrip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))


def _with_port(rule: str) -> tuple[str, int | None]:
    name, colon, port = rule.rpartition(":")
    if colon and port.isdecimal() and (name.startswith("[") or ":" not in name):
        return name.strip("[]"), int(port)
    return rule.strip("[]"), None
