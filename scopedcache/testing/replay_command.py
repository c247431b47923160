"""`python -m scopedcache.testing replay FILE`: what a recording holds; with a program, that program's life again."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator, Sequence
from importlib import import_module

from ..api.client import Client
from ..errors import ConfigurationError, ScopedCacheError
from ..kit.logs import configure_logging
from ..kit.program import Program
from . import virtual_time
from .recorded import Recorded, read_recording
from .replay import ReplayTransport, summary

# How long it may go on after the last recorded line: what was heard last is acted upon by then.
SETTLED_SECONDS = 30.0


def replay(path: str | os.PathLike[str], program: str | None, arguments: Sequence[str]) -> Iterator[str]:
    """Yield what is to be said. With a program, it runs meanwhile and says in its log what it does.

    Args:
        path: the recording.
        program: a module that holds a `Program`, as in `python -m`; without one nothing runs.
        arguments: the program's command line. It opens no ports unless that says so.

    Raises:
        ConfigurationError: the file is no recording, or the module holds no program.
    """
    recorded = read_recording(path)
    yield from summary(recorded)
    if program is not None:
        unknown = virtual_time.run(_live(recorded, find_program(program), arguments))
        yield from (f"not in the recording: {asked} ({count} times)" for asked, count in sorted(unknown.items()))


def find_program(module: str) -> Program:
    """Return the program of a module, or of its `__main__`.

    Raises:
        ConfigurationError: there is none.
    """
    for name in (f"{module}.__main__", module):
        try:
            found = import_module(name)
        except ModuleNotFoundError as error:
            if error.name is not None and not name.startswith(error.name):
                raise
            continue
        for value in vars(found).values():
            if isinstance(value, Program):
                return value
    raise ConfigurationError(f"{module} is no module that holds a Program")


async def _live(recorded: Recorded, program: Program, arguments: Sequence[str]) -> dict[str, int]:
    options = program.parser().parse_args(
        ["--health-probe-bind-address=0", "--metrics-bind-address=0", "--no-leader-elect", *arguments]
    )
    configure_logging(options.log_format, program.name, verbose=options.verbose)
    transport = ReplayTransport(recorded)
    async with Client(transport, namespace="replayed") as client:
        cache, manager = program.put_together(client, options)
        async with cache:
            stop = asyncio.Event()
            running = asyncio.create_task(manager.run(stop))
            await asyncio.wait([running], timeout=recorded.seconds + SETTLED_SECONDS)
            stop.set()
            try:
                await running
            except ScopedCacheError as error:
                logging.getLogger(program.name).critical("operator.failed", extra={"error": str(error)})
    return transport.unknown
