"""The event loop a cache runs on: asyncio's objects belong to one, and a use from anywhere else is an error."""

from __future__ import annotations

import asyncio

from ..errors import CacheError


class HomeLoop:
    """Where a cache runs, from `begin` to `end`; once."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._ended = False

    def begin(self) -> None:
        """Make the running loop the one.

        Raises:
            CacheError: there was one before.
        """
        if self.loop is not None:
            raise CacheError("a cache runs once: make another one")
        self.loop = asyncio.get_running_loop()

    def end(self) -> None:
        self._ended = True

    def check_running(self) -> None:
        """Raise unless this is the loop, and the cache has not ended.

        Raises:
            CacheError: what is wrong.
        """
        self.check()
        if self._ended:
            raise CacheError("the cache has ended")

    def check(self) -> None:
        """Raise unless this is the loop.

        Raises:
            CacheError: what is wrong.
        """
        if self.loop is None:
            raise CacheError("the cache does not run: use it inside `async with`")
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is not self.loop:
            raise CacheError("this cache belongs to another event loop or thread; from a thread use scopedcache.sync")
