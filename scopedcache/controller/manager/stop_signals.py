"""Ending on a signal: the first one asks for an orderly stop, the second one is not caught."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ...errors import ConfigurationError

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """Return an event that SIGTERM or SIGINT sets, on the main thread's running loop.

    with stop_signals() as stop:
        await manager.run(stop)

    Raises:
        ConfigurationError: this loop handles no signals: it runs on Windows.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def restore() -> None:
        for number in SIGNALS:
            loop.remove_signal_handler(number)

    def on_signal() -> None:
        stop.set()
        restore()

    try:
        for number in SIGNALS:
            loop.add_signal_handler(number, on_signal)
    except NotImplementedError as error:
        raise ConfigurationError(
            "this event loop handles no signals: Windows is not supported; run it on Linux or macOS, in WSL, "
            "or in a container"
        ) from error
    try:
        yield stop
    finally:
        restore()
