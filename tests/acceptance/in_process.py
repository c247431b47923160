"""The operator and the test programs in this process, on a loop with virtual time: a minute of probing costs nothing.

They are the same programs, on the embedded cluster's door without sockets. What is a process to rows is a task here.
"""

from __future__ import annotations

import argparse
import asyncio
import contextvars
import itertools
import json
import logging
import traceback
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from scopedcache import ScopedCache
from scopedcache.controller import Manager
from scopedcache.controller.manager.health_server import plain
from scopedcache.controller.manager.prometheus_text import prometheus_text
from scopedcache.kit.logs import JSONFormatter
from scopedcache.metrics import Counters
from scopedcache.testing import EmbeddedCluster, Identity
from scopedcache.testing.embedded import FrontEnd
from scopedcache.testing.virtual_time import VirtualTimeLoop

from . import reader
from .commands import EXAMPLE, Command
from .program import Health, JSONLog, Operator, Program, parse_metrics
from .waiting import Failed

LOGGERS = ("scopedcache", EXAMPLE.name)
Main = Callable[[asyncio.Event, Callable[[str], None]], Coroutine[Any, Any, None]]

# For what a task does when it is cancelled, in the loop's time.
KILLED_SECONDS = 10.0

_speaker: contextvars.ContextVar[str] = contextvars.ContextVar("speaker", default="")
_numbers = itertools.count(1)


class LoopProcess:
    """A task that looks like a process: launched, asked whether it runs, stopped; its log lines go to a file.

    Args:
        main: the work; given an event that asks it to stop, and a function that writes a line into the log.
        loggers: whose lines go to the log.
    """

    def __init__(
        self, name: str, main: Main, log: Path, loop: VirtualTimeLoop, loggers: Sequence[str] = LOGGERS
    ) -> None:
        self.name = f"{name}-{next(_numbers)}"
        self.pid = 0
        self._main = main
        self._log = log
        self._loop = loop
        self._loggers = loggers
        self._stop: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._handler: logging.FileHandler | None = None

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    def launch(self) -> None:
        """Begin, at the next pause; an older log goes."""
        self._log.unlink(missing_ok=True)
        self._handler = handler = logging.FileHandler(self._log)
        handler.setFormatter(JSONFormatter())
        handler.addFilter(lambda _: _speaker.get() == self.name)
        for name in self._loggers:
            logging.getLogger(name).addHandler(handler)
        context = contextvars.copy_context()
        context.run(_speaker.set, self.name)
        self.pid = next(_numbers)
        self._stop = asyncio.Event()
        self._task = self._loop.create_task(self._main(self._stop, self._write), context=context)

    def stop(self, grace: float) -> None:
        """Ask it to end, and end it after `grace` seconds. Raise Failed if it does not even end then."""
        if self._task is None or self._stop is None:
            return
        self._stop.set()
        try:
            self._wait(grace)
            self._task.cancel()
            if not self._wait(grace):
                raise Failed(f"{self.name} was cancelled and goes on")
        finally:
            self._quiet()

    def kill(self) -> None:
        """End it at once. Who wants nothing more of it to reach a server cuts it off before."""
        if self._task is not None:
            self._task.cancel()
            self._wait(KILLED_SECONDS)
            self._quiet()

    def _wait(self, seconds: float) -> bool:
        if self._task is not None:
            self._loop.run_until_complete(asyncio.wait({self._task}, timeout=seconds))
        return not self.running

    def _quiet(self) -> None:
        if self._handler is not None:
            for name in self._loggers:
                logging.getLogger(name).removeHandler(self._handler)
            self._handler.close()
            self._handler = None

    def tail(self) -> str:
        """Return what it ended by, and its last lines."""
        ended = self._task is not None and self._task.done() and not self._task.cancelled()
        error = self._task.exception() if ended and self._task is not None else None
        words = "".join(traceback.format_exception(error)) if error else ""
        return words + "\n".join(self._log.read_text().splitlines()[-20:])

    def _write(self, line: str) -> None:
        with self._log.open("a") as log:
            log.write(line + "\n")


@attrs.define(eq=False)
class OperatorInside(Operator):
    """The Memcached operator as a task. What its servers would answer is asked of what they would ask."""

    cache: ScopedCache | None = None
    manager: Manager | None = None

    def health(self, path: str = "/readyz") -> Health:
        if not self.process.running or self.manager is None:
            return Health(0, {})
        if path == "/healthz":
            return Health(200, {})
        state = self.manager.state() if path.endswith("?verbose") else self.manager.summary()
        body = plain({"ready": self.manager.ready, **state})
        return Health(200 if self.manager.ready else 503, json.loads(json.dumps(body)))

    def metrics(self) -> dict[str, float]:
        if not self.process.running or self.cache is None or self.manager is None:
            return {}
        counters = self.manager.instrumentation
        if not isinstance(counters, Counters):
            raise TypeError(f"the operator counts with {counters!r}")
        self.cache.report(counters)
        return parse_metrics(prometheus_text(iter(counters)))

    def memory(self) -> None:
        return None  # a process has it, a task has not


@attrs.define(eq=False)
class Inside:
    """Where tasks take the place of processes.

    Attributes:
        servers: the API servers that the next operator talks to in turn; the first one alone by default.
    """

    cluster: EmbeddedCluster
    loop: VirtualTimeLoop
    servers: Sequence[FrontEnd] = ()

    def operator(self, account: Identity, options: Sequence[str], log: Path, command: Command = EXAMPLE) -> Operator:
        """Return the operator, not launched yet."""

        async def main(stop: asyncio.Event, _: Callable[[str], None]) -> None:
            wanted = parsed(command.parser(), options)
            wanted.health_address = wanted.metrics_address = None
            servers = self.servers or self.cluster.front_ends[:1]
            async with self.cluster.balanced_client(account, servers) as client:
                operator.cache, operator.manager = command.assemble(client, wanted)
                async with operator.cache:
                    await operator.manager.run(stop)

        loggers = ("scopedcache", command.name)
        operator = OperatorInside(LoopProcess("operator", main, log, self.loop, loggers), JSONLog(log))
        return operator

    def reader(self, identity: Identity, options: Sequence[str], log: Path) -> Program:
        """Return the test program that reads, not launched yet."""

        async def main(stop: asyncio.Event, write: Callable[[str], None]) -> None:
            wanted = parsed(reader.parser(), options)
            async with self.cluster.client(identity) as client, ScopedCache(client) as cache:
                await reader.run(cache, wanted, stop, write)

        return Program(LoopProcess("reader", main, log, self.loop), JSONLog(log))


def parsed(parser: argparse.ArgumentParser, options: Sequence[str]) -> argparse.Namespace:
    """Return what options mean. Raise Failed where a process would end."""
    try:
        return parser.parse_args(options)
    except SystemExit as end:
        raise Failed(f"{parser.prog} {' '.join(options)} ends with status {end.code}") from end


@contextmanager
def virtual_loop() -> Iterator[VirtualTimeLoop]:
    """Make a loop with virtual time; whatever still runs on it at the end is cancelled."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualTimeLoop)
        yield loop
