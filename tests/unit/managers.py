"""A manager that runs for the length of a block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scopedcache import Manager


@asynccontextmanager
async def running(manager: Manager) -> AsyncIterator[Manager]:
    """Run a manager until the block is left, then wait for its end; what it raises is raised there."""
    stop = asyncio.Event()
    task = asyncio.create_task(manager.run(stop))
    try:
        yield manager
    finally:
        stop.set()
        await task
