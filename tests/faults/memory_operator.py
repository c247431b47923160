"""`python -m tests.faults.memory_operator KUBECONFIG`: an operator that tells how much memory it takes.

It imports nothing but the library, for that is what is measured.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from typing import Final

from scopedcache import GVK, ObjectKey, OwnerChanged, ScopedCache
from scopedcache.cache import OwnerId

from .steps import resident

PLACES: Final = tuple(f"memory-{number}" for number in range(60))
KINDS: Final = ("configmaps", "secrets", "pods", "services", "deployments.apps")
# Longer than memory that is free takes to be given back.
SETTLED_SECONDS: Final = 15.0


async def operate(kubeconfig: str) -> None:
    """Be the operator: print resident memory, in MiB, at the start and after each change of everything."""
    async with ScopedCache.connect(kubeconfig=kubeconfig, rbac_watch=False) as cache:
        heard: dict[str, str] = {}
        changed = asyncio.Event()

        def hear(change: OwnerChanged) -> None:
            heard[change.uid] = change.cause
            changed.set()

        async def until_all(cause: str) -> None:
            while [*heard.values()].count(cause) < len(PLACES):
                changed.clear()
                await changed.wait()

        await asyncio.sleep(1.0)
        say(resident())
        owners = [OwnerId(GVK("x.io", "v1", "W"), ObjectKey(place, "w"), f"uid-{place}") for place in PLACES]
        await asyncio.gather(*(cache.open(owner, *KINDS, sync_timeout=120.0) for owner in owners))
        cache.subscribe(hear)
        while True:
            await asyncio.sleep(1.0)
            say(resident())
            await until_all("denied")
            await cache.wait_closed()
            await asyncio.sleep(SETTLED_SECONDS)
            say(resident())
            await until_all("granted")


def say(number: float) -> None:
    sys.stdout.write(f"{number:.1f}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    logging.disable()
    gc.freeze()  # as Program.run does
    asyncio.run(operate(sys.argv[1]))
