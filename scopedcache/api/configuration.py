"""Where the API server is and who we are, as it is now: what was read, kept fresh while the process runs.

`identity/` says what a kubeconfig, an account or a ready client comes to. This is the shell around it: it reads files
in threads, asks for credentials once for all who wait, and notices files that were replaced in place.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from ..clock import loop_time
from ..errors import ConfigurationError
from ..event_logger import event_logger
from .identity import in_cluster as pod
from .identity.credential import Credential, CredentialSource
from .identity.exec_plugin import ExecSource
from .identity.impersonation import headers_for
from .identity.kubeconfig import resolve
from .identity.kubeconfig_files import read_documents
from .identity.oidc_refresh import OidcSource
from .identity.ready_client import ReadyClientSource, configuration_of, rest_config_of
from .identity.redaction import without_password
from .identity.rest_config import (
    BasicAuth,
    Endpoint,
    ExecPlugin,
    Headers,
    OpenIdConnect,
    ReadyClient,
    RestConfig,
    Token,
    TokenFile,
)
from .identity.single_flight import SingleFlight
from .identity.tls import Stamps, check_files, files_of, stamps
from .identity.token_source import FixedSource, TokenFileSource

logger: Final = event_logger("scopedcache.api")

# A refused credential is not asked for anew more often than this, nor one that could not be had: an exec plugin may be
# slow, or ask a rate-limited server.
RELOAD_PAUSE_SECONDS: Final = 2.0
# How often it is looked whether certificates or kubeconfigs were replaced: some `stat` calls, and never per event.
FILES_PERIOD_SECONDS: Final = 1.0


class Configuration:
    """An endpoint and the credentials for it; belongs to one event loop.

    Args:
        load: returns a fresh `RestConfig`, or the `Configuration` object of a Kubernetes client; may block. Called at
            once, and later in a thread.
    """

    def __init__(self, load: Callable[[], Any], *, timer: Callable[[], float] = loop_time) -> None:
        self._load = load
        self._timer = timer
        self._config = _described(load())
        self._source = _source_of(self._config)
        self._credential: Credential | None = None
        self._read_at = float("-inf")
        self._failure: tuple[float, str] | None = None
        self._loaded_at = timer()
        self._stamps = stamps(self._files())
        self._looked_at = timer()
        self._reads = SingleFlight()
        self._loads = SingleFlight()
        self._say_withheld()

    def acting_as(self, user: str, groups: Sequence[str] = ()) -> Configuration:
        """Return a configuration of the same endpoint and credentials that acts as a user, in some groups."""
        headers = headers_for(user, "", groups, {})
        return Configuration(lambda: attrs.evolve(_described(self._load()), impersonation=headers), timer=self._timer)

    @property
    def namespace(self) -> str | None:
        """Return the namespace of the context, None where it names none."""
        return self._config.namespace

    @property
    def endpoint(self) -> Endpoint:
        """Return the endpoint as last loaded."""
        return self._config.endpoint

    @property
    def impersonation(self) -> Headers:
        """Return the headers that name whom we act as."""
        return self._config.impersonation

    @property
    def stamps(self) -> Stamps:
        """Return the state of all files as last looked at: another one is a reason to build a new TLS context."""
        return self._stamps

    def __repr__(self) -> str:
        return f"<Configuration of {without_password(self.endpoint.host)}, {self._config.user}>"

    async def authorization(self) -> str | None:
        """Return the Authorization header, None where TLS alone says who we are. Waits for files and plugins."""
        return (await self.credential()).authorization

    async def credential(self) -> Credential:
        """Return the credential; waits for files, plugins and providers where the one at hand is not fresh.

        Raises:
            ConfigurationError: there is none; nothing must be sent then.
        """
        if not self._is_fresh():
            self._raise_recent_failure()
            await self._reads.join(self._read)
        assert self._credential is not None
        return self._credential

    def credential_at_once(self) -> Credential:
        """Return the credential without waiting: the last one, or one that needs no waiting. May read a file.

        Raises:
            ConfigurationError: there is none yet.
        """
        if self._credential is not None and self._is_valid():
            return self._credential
        match self._source:
            case FixedSource():
                return self._source.credential
            case TokenFileSource():
                return self._source.read()
        raise ConfigurationError(
            f"the credentials of {self._config.user} are not there yet: call from a thread, or await a request first"
        )

    async def look_at_files(self, *, at_once: bool = False) -> None:
        """Take kubeconfigs and certificates that were replaced; looks once in a second at most, or at once."""
        now = self._timer()
        if now - self._looked_at < FILES_PERIOD_SECONDS and not at_once:
            return
        self._looked_at = now
        if stamps(self._files()) != self._stamps:
            await self._loads.join(self._load_again)

    async def reload(self, refused: str | None) -> bool:
        """Load everything anew after `refused` was answered 401; tell whether there is another header to try.

        What cannot be loaded is logged and left as it was: the 401 is the better error then.
        """
        with contextlib.suppress(ConfigurationError):
            await self._reads.settle()  # perhaps a mere look at the file: it may not be what brings the new header
            due = self._timer() - self._loaded_at >= RELOAD_PAUSE_SECONDS or isinstance(self._source, TokenFileSource)
            if self._header == refused and due:
                await self._reads.join(lambda: self._reload(refused))
        return self._header != refused

    async def close(self) -> None:
        """End what still runs: a plugin, a renewal."""
        await asyncio.gather(self._reads.close(), self._loads.close())

    @property
    def _header(self) -> str | None:
        return self._credential.authorization if self._credential else None

    def _is_fresh(self) -> bool:
        return self._credential is not None and self._timer() - self._read_at < self._credential.fresh_seconds

    def _is_valid(self) -> bool:
        return self._credential is not None and self._timer() - self._read_at < self._credential.valid_seconds

    def _raise_recent_failure(self) -> None:
        if self._failure and self._timer() - self._failure[0] < RELOAD_PAUSE_SECONDS:
            raise ConfigurationError(self._failure[1])

    async def _reload(self, refused: str | None) -> None:
        await self._loads.join(self._load_again)
        await self._read(refused)

    async def _load_again(self) -> None:
        self._loaded_at = self._looked_at = self._timer()
        found = await asyncio.to_thread(stamps, self._files())
        try:
            config = _described(await asyncio.to_thread(self._load))
        except ConfigurationError as error:  # half written, or wrong: what we have may still be good
            logger.warning("configuration.unreadable", extra={"error": str(error)})
            return
        finally:
            self._stamps = found
        if (config.login, config.endpoint) != (self._config.login, self._config.endpoint):
            # Another login starts anew; for the same one, what a plugin or a provider gave stays.
            self._source = _source_of(config)
            self._read_at, self._failure = float("-inf"), None
        self._config = config
        self._stamps = await asyncio.to_thread(stamps, self._files())
        self._say_withheld()

    async def _read(self, refused: str | None = None) -> None:
        try:
            self._credential = await self._source.fetch(refused)
        except ConfigurationError as error:
            if not self._is_valid():
                self._credential, self._failure = None, (self._timer(), str(error))
                raise
            # What we have may still be good, and where it is not, the server says so.
            logger.warning("credentials.unreadable", extra={"error": str(error)})
        self._read_at, self._failure = self._timer(), None

    def _files(self) -> tuple[str, ...]:
        return (*self._config.files, *files_of(self._config.endpoint))

    def _say_withheld(self) -> None:
        if self._config.withheld:
            logger.warning("credentials.withheld", extra={"server": without_password(self.endpoint.host)})


def load(
    kubeconfig: str | os.PathLike[str] | None = None,
    context: str | None = None,
    *,
    timer: Callable[[], float] = loop_time,
) -> Configuration:
    """Find the way to the API server.

    In this order: the kubeconfig given, the one `KUBECONFIG` names, the account of the Pod we run in,
    `~/.kube/config`. Blocks while it reads files; runs no plugin and sends nothing.

    Raises:
        ConfigurationError: nothing was found, or it cannot be used; the message names the file and the fix.
    """
    path = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG")
    if not path and not context and pod.is_in_cluster(os.environ):
        return in_cluster(timer=timer)
    return from_kubeconfig(path or str(Path.home() / ".kube" / "config"), context, timer=timer)


def in_cluster(*, timer: Callable[[], float] = loop_time) -> Configuration:
    """Use the ServiceAccount of the Pod we run in."""
    return Configuration(lambda: pod.service_account(os.environ), timer=timer)


def from_kubeconfig(path: str, context: str | None = None, *, timer: Callable[[], float] = loop_time) -> Configuration:
    """Use a kubeconfig (several paths may be joined by the platform's path separator, as in `KUBECONFIG`)."""

    def read() -> RestConfig:
        documents = read_documents(path.split(os.pathsep))
        if not documents:
            raise ConfigurationError(f"kubeconfig {path} does not exist; name one with --kubeconfig or KUBECONFIG")
        try:
            config = resolve(documents, context, os.environ)
            check_files(config.endpoint)
        except ConfigurationError as error:
            raise ConfigurationError(f"kubeconfig {path} cannot be used: {error}") from None
        return config

    return Configuration(read, timer=timer)


def of_client(given: Any) -> Configuration:
    """Use a ready `kubernetes`, `kubernetes.aio` or `kubernetes_asyncio` ApiClient, or its Configuration.

    The headers that an ApiClient was told to send by default count where they name whom it acts as.
    """
    configuration = configuration_of(given)
    headers = getattr(given, "default_headers", None)
    return Configuration(lambda: rest_config_of(configuration, headers))


def _described(loaded: Any) -> RestConfig:
    return loaded if isinstance(loaded, RestConfig) else rest_config_of(configuration_of(loaded))


def _source_of(config: RestConfig) -> CredentialSource:
    match config.login:
        case TokenFile():
            return TokenFileSource(config.login)
        case ExecPlugin():
            return ExecSource(config.login, config.endpoint)
        case OpenIdConnect():
            return OidcSource(config.login)
        case ReadyClient():
            return ReadyClientSource(config.login.configuration)
        case Token() | BasicAuth() | None:
            return FixedSource(config.login)
