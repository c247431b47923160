"""Run an exec plugin: a child of its own, with a time limit, without our terminal unless it may ask for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Final

from ...clock import wall_time
from ...errors import ConfigurationError
from .credential import Credential
from .exec_credential import credential_in, environment_for, exec_info, failed, not_ended, not_started
from .rest_config import ClientCertificate, Endpoint, ExecPlugin
from .system_errors import words_of_system
from .tls import check_certificate

# Below the time a request may take (30 s), so that who waits hears which plugin it was. Cloud command lines need some
# seconds; on a busy node perhaps ten.
TIME_LIMIT_SECONDS: Final = 25.0
# Somebody has to read, fetch a telephone, and type.
INTERACTIVE_TIME_LIMIT_SECONDS: Final = 300.0
# A certificate chain and a token are some kilobytes.
OUTPUT_LIMIT_BYTES: Final = 2**20
_WORDS_LIMIT_BYTES: Final = 2**13


class ExecSource:
    """Credentials from a plugin; who asks at the same time shares one run (`Configuration`)."""

    def __init__(self, plugin: ExecPlugin, endpoint: Endpoint, *, time_limit: float = TIME_LIMIT_SECONDS) -> None:
        self._plugin = plugin
        self._endpoint = endpoint
        self._time_limit = time_limit

    async def fetch(self, refused: str | None = None) -> Credential:
        """Run the plugin and return what it printed.

        Raises:
            ConfigurationError: it is not installed, failed, took too long or printed no credential.
        """
        plugin = self._plugin
        interactive = _may_ask(plugin)
        ca = await asyncio.to_thread(_ca_of, self._endpoint) if plugin.provide_cluster_info else None
        info = exec_info(plugin, self._endpoint, ca, interactive=interactive)
        limit = INTERACTIVE_TIME_LIMIT_SECONDS if interactive else self._time_limit
        printed = await _run(plugin, environment_for(plugin, os.environ, info), limit, interactive=interactive)
        credential = credential_in(plugin, printed, wall_time())
        if credential.certificate:
            await asyncio.to_thread(_see_that_it_fits, plugin, credential.certificate)
        return credential


async def _run(plugin: ExecPlugin, environment: dict[str, str], limit: float, *, interactive: bool) -> bytes:
    program = _program(plugin)
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *plugin.args,
            env=environment,
            stdin=None if interactive else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=None if interactive else asyncio.subprocess.PIPE,  # a prompt has to be seen
            # A group of its own: what the plugin started ends with it. One that may ask needs our terminal instead.
            start_new_session=not interactive,
        )
    except (OSError, ValueError) as error:
        raise not_started(plugin, words_of_system(error)) from None
    words = bytearray()
    listening = asyncio.ensure_future(_listen(process.stderr, words))
    code = None
    try:
        async with asyncio.timeout(limit):
            printed = await _read(plugin, process.stdout)
            await listening
            code = await process.wait()
    except TimeoutError:
        printed = b""
    finally:
        listening.cancel()
        if code is None:
            await _end(process, group=not interactive)
    said = words.decode(errors="replace")
    if code is None:
        raise not_ended(plugin, limit, said, os.environ)
    if code != 0:
        raise failed(plugin, code, said, os.environ)
    return printed


def _see_that_it_fits(plugin: ExecPlugin, certificate: ClientCertificate) -> None:
    try:
        check_certificate(certificate)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"the exec plugin {plugin.command!r} printed no usable client certificate: {error}"
        ) from None


def _program(plugin: ExecPlugin) -> str:
    """Return the path of the program; a bare name is looked for in PATH, though never in the working directory."""
    if os.sep in plugin.command:
        return plugin.command
    places = [place for place in os.environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(place)]
    found = shutil.which(plugin.command, path=os.pathsep.join(places))
    if found is None:
        raise not_started(plugin, "it is not in PATH")
    return found


async def _read(plugin: ExecPlugin, stream: asyncio.StreamReader | None) -> bytes:
    printed = bytearray()
    while stream and (part := await stream.read(2**16)):
        printed += part
        if len(printed) > OUTPUT_LIMIT_BYTES:
            raise ConfigurationError(f"the exec plugin {plugin.command!r} printed more than {OUTPUT_LIMIT_BYTES} bytes")
    return bytes(printed)


async def _listen(stream: asyncio.StreamReader | None, words: bytearray) -> None:
    """Keep the last words."""
    while stream and (part := await stream.read(2**13)):
        words += part
        del words[:-_WORDS_LIMIT_BYTES]


async def _end(process: asyncio.subprocess.Process, *, group: bool) -> None:
    """Leave nothing running: what the plugin started may hold its output open after it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    await asyncio.shield(process.wait())


def _may_ask(plugin: ExecPlugin) -> bool:
    """Tell whether the plugin gets our terminal.

    Raises:
        ConfigurationError: it cannot do without, and there is none.
    """
    if plugin.interactive_mode == "Never":
        return False
    try:
        terminal = sys.stdin is not None and sys.stdin.isatty()
    except ValueError:  # closed
        terminal = False
    if plugin.interactive_mode == "Always" and not terminal:
        raise ConfigurationError(
            f"the exec plugin {plugin.command!r} has to ask somebody (interactiveMode: Always), "
            "and standard input is not a terminal"
        )
    return terminal


def _ca_of(endpoint: Endpoint) -> bytes | None:
    if endpoint.ca is None:
        return None
    if endpoint.ca.data is not None:
        return endpoint.ca.data
    try:
        return Path(endpoint.ca.file or "").read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read {endpoint.ca.file}: {words_of_system(error)}") from None
