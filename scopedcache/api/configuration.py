"""Where the API server is and who we are: the only module that imports the Kubernetes clients.

Their loaders read kubeconfigs, in-cluster accounts and exec plugins; only public fields of their `Configuration` are
used. Everything that may block (files, exec plugins) runs in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import ipaddress
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs

from ..clock import loop_time
from ..errors import ConfigurationError

logger = logging.getLogger("scopedcache.api")

# The API server itself trusts a verified token for ten seconds (TokenSuccessCacheTTL), so asking files and exec
# plugins more often than that for a header gains nothing.
HEADER_TTL_SECONDS = 10.0
# A refused token is not asked for anew more often than this: an exec plugin may be slow, or ask a rate-limited server.
RELOAD_PAUSE_SECONDS = 2.0
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@attrs.frozen
class Endpoint:
    """How to reach an API server; files are paths."""

    host: str
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True
    server_name: str | None = None
    proxy: str | None = None


class Configuration:
    """An endpoint and the credentials for it.

    Args:
        load: returns a fresh `Configuration` object of a Kubernetes client; may block; runs in a thread.
        namespace: the namespace of the context, None where it names none.
        token_file: re-read at most every ten seconds, ahead of what `load` found.
    """

    def __init__(
        self,
        load: Callable[[], Any],
        *,
        namespace: str | None = None,
        token_file: str | None = None,
        timer: Callable[[], float] = loop_time,
    ) -> None:
        self._load = load
        self._loaded = load()
        self.namespace = namespace
        self._token_file = token_file
        self._timer = timer
        self._header: str | None = None
        self._read_at = float("-inf")
        self._loaded_at = timer()
        self._reading: asyncio.Task[None] | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Return the endpoint as last loaded."""
        given = self._loaded
        return Endpoint(
            host=str(given.host).rstrip("/"),
            ca_file=getattr(given, "ssl_ca_cert", None),
            cert_file=getattr(given, "cert_file", None),
            key_file=getattr(given, "key_file", None),
            verify=getattr(given, "verify_ssl", True) is not False,
            server_name=getattr(given, "tls_server_name", None),
            proxy=_proxy_of(given),
        )

    async def authorization(self) -> str | None:
        """Return the Authorization header, None where TLS alone says who we are. Waits for files and plugins."""
        if self._timer() - self._read_at >= HEADER_TTL_SECONDS:
            await self._read_once(self._read)
        return self._header

    async def reload(self, refused: str | None) -> bool:
        """Load everything anew after `refused` was answered 401; tell whether there is another header to try.

        What cannot be loaded is logged and left as it was: the 401 is the better error then.
        """
        with contextlib.suppress(ConfigurationError):
            if self._reading is not None:  # perhaps a mere look at the file: it may not be what brings the new header
                await asyncio.shield(self._reading)
            due = self._timer() - self._loaded_at >= RELOAD_PAUSE_SECONDS or self._token_file
            if self._header == refused and due:
                await self._read_once(self._reload)
        return self._header != refused

    async def _read_once(self, read: Callable[[], Any]) -> None:
        """Share one reading between all who ask at the same time."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(read())
            self._reading.add_done_callback(self._read_done)
        await asyncio.shield(self._reading)

    def _read_done(self, done: asyncio.Task[None]) -> None:
        self._reading = None
        if not done.cancelled():
            done.exception()  # each waiter has it; nobody may be left to hear it

    async def _reload(self) -> None:
        self._loaded_at = self._timer()
        try:
            self._loaded = await asyncio.to_thread(self._load)
        except ConfigurationError as error:
            logger.warning("configuration.unreadable", extra={"error": str(error)})
        await self._read()

    async def _read(self) -> None:
        try:
            self._header = await self._current_header()
        except ConfigurationError as error:
            if self._header is None:
                raise
            # What we have may still be good, and where it is not, the server says so.
            logger.warning("credentials.unreadable", extra={"error": str(error)})
        self._read_at = self._timer()

    async def _current_header(self) -> str | None:
        if self._token_file:
            return f"Bearer {await asyncio.to_thread(_read_token, self._token_file)}"
        try:
            return await _header_of(self._loaded)
        except Exception as error:  # hooks and exec plugins raise what they like
            raise ConfigurationError(f"the credentials cannot be had: {error or type(error).__name__}") from error


async def _header_of(given: Any) -> str | None:
    if inspect.iscoroutinefunction(given.auth_settings):
        settings = await given.auth_settings()
    else:
        settings = await asyncio.to_thread(given.auth_settings)
    value = (settings.get("BearerToken") or {}).get("value")
    if not value:
        return None
    return str(value).strip() if " " in str(value).strip() else f"Bearer {str(value).strip()}"


def _read_token(path: str) -> str:
    try:
        token = Path(path).read_text().strip()
    except OSError as error:
        raise ConfigurationError(f"cannot read the token file {path}: {error.strerror}") from error
    if not token:
        raise ConfigurationError(f"the token file {path} is empty")
    return token


def load(kubeconfig: str | os.PathLike[str] | None = None, context: str | None = None) -> Configuration:
    """Find the way to the API server.

    In this order: the kubeconfig given, the one `KUBECONFIG` names, the account of the Pod we run in,
    `~/.kube/config`. Blocks while it reads files.

    Raises:
        ConfigurationError: nothing was found, or it cannot be used; the message names the file and the fix.
    """
    path = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG")
    if not path and not context and "KUBERNETES_SERVICE_HOST" in os.environ:
        return in_cluster()
    return from_kubeconfig(path or str(Path.home() / ".kube" / "config"), context)


def in_cluster() -> Configuration:
    """Use the ServiceAccount of the Pod we run in."""
    from kubernetes import client, config

    def read() -> Any:
        made = client.Configuration()
        try:
            config.load_incluster_config(client_configuration=made)
        except config.ConfigException as error:
            raise ConfigurationError(f"not running in a cluster: {error}") from error
        return made

    namespace = _SERVICE_ACCOUNT / "namespace"
    return Configuration(
        read,
        namespace=namespace.read_text().strip() if namespace.exists() else None,
        token_file=str(_SERVICE_ACCOUNT / "token"),
    )


def from_kubeconfig(path: str, context: str | None = None) -> Configuration:
    """Use a kubeconfig (several paths may be joined by the platform's path separator, as in `KUBECONFIG`)."""
    from kubernetes import client, config

    paths = [part for part in path.split(os.pathsep) if part]
    if not any(Path(part).expanduser().is_file() for part in paths):
        raise ConfigurationError(f"kubeconfig {path} does not exist; name one with --kubeconfig or KUBECONFIG")

    def read() -> Any:
        made = client.Configuration()
        try:
            config.load_kube_config(config_file=path, context=context, client_configuration=made, persist_config=False)
        except Exception as error:  # the loader raises its own, yaml's, OSError, TypeError and KeyError
            raise ConfigurationError(_kubeconfig_trouble(path, context, error)) from error
        return made

    active = _context_of(path, context)
    return Configuration(read, namespace=active.get("namespace"), token_file=_token_file_of(path, active.get("user")))


def of_client(given: Any) -> Configuration:
    """Use a ready `kubernetes`, `kubernetes.aio` or `kubernetes_asyncio` ApiClient, or its Configuration."""
    configuration = getattr(given, "configuration", given)
    if not hasattr(configuration, "host") or not hasattr(configuration, "auth_settings"):
        raise ConfigurationError(f"{type(given).__name__} is neither an ApiClient nor a Configuration")
    return Configuration(lambda: configuration)


def without_password(url: str) -> str:
    """Return a URL as messages may show it."""
    scheme, mark, rest = url.rpartition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}{mark}{place.rpartition('@')[2]}{slash}{path}"


def _proxy_of(given: Any) -> str | None:
    """Return the proxy to use for the host, None where `no_proxy` names it."""
    proxy: str | None = getattr(given, "proxy", None)
    rules: str = getattr(given, "no_proxy", None) or ""
    return None if proxy and _bypassed(str(given.host), rules) else proxy


def _bypassed(url: str, rules: str) -> bool:
    """Tell whether `NO_PROXY` names a host: by name, domain, address or network (`10.0.0.0/8`), as kubectl reads it."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    for rule in filter(None, (rule.strip().lower() for rule in rules.split(","))):
        with contextlib.suppress(ValueError):
            if ipaddress.ip_address(host) in ipaddress.ip_network(rule, strict=False):
                return True
        name = rule.lstrip(".")
        if rule == "*" or name in (host, parts.netloc.lower()) or host.endswith(f".{name}"):
            return True
    return False


def _kubeconfig_trouble(path: str, context: str | None, error: Exception) -> str:
    names = [str(entry.get("name")) for _, document in _documents(path) for entry in _entries(document, "contexts")]
    if context and names and context not in names:
        return f"kubeconfig {path} has no context {context!r}; it has: {', '.join(names)}"
    return f"kubeconfig {path} cannot be used: {_words(error)}"


def _words(error: Exception) -> str:
    """Return what is wrong, in one line; yaml begins with what it was about, and gives the place at the end."""
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    if problem and mark is not None:
        return f"it is not YAML: {problem} (line {mark.line + 1}, column {mark.column + 1})"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _context_of(path: str, context: str | None) -> dict[str, Any]:
    documents = list(_documents(path))
    chosen = context or next(filter(None, (document.get("current-context") for _, document in documents)), None)
    for _, document in documents:
        for entry in _entries(document, "contexts"):
            if entry.get("name") == chosen and isinstance(entry.get("context"), dict):
                return dict(entry["context"])
    return {}


def _token_file_of(path: str, name: str | None) -> str | None:
    """Return the `tokenFile` of a user: the client's loader reads it only once."""
    for folder, document in _documents(path):
        for entry in _entries(document, "users"):
            if name is not None and entry.get("name") == name:
                token_file = (entry.get("user") or {}).get("tokenFile")
                return str(folder / token_file) if token_file else None
    return None


def _documents(path: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the folder and the content of each kubeconfig; what is broken is reported by the client's loader."""
    import yaml

    for part in filter(None, path.split(os.pathsep)):
        file = Path(part).expanduser()
        with contextlib.suppress(OSError, ValueError, yaml.YAMLError):
            document = yaml.safe_load(file.read_text())
            if isinstance(document, dict):
                yield file.parent, document


def _entries(document: dict[str, Any], section: str) -> list[dict[str, Any]]:
    found = document.get(section)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
