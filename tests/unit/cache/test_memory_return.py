"""When free memory is given back to the system: after many informers have closed, and once."""

from __future__ import annotations

import pytest

from scopedcache.cache.memory_return import CLOSED_INFORMERS, SETTLED_SECONDS, MemoryReturn, give_back
from tests.unit.clock import after


@pytest.mark.parametrize(
    ("closed", "times"), [(CLOSED_INFORMERS - 1, 0), (CLOSED_INFORMERS, 1), (5 * CLOSED_INFORMERS, 1)]
)
async def test_memory_is_given_back_once_many_have_closed(closed: int, times: int) -> None:
    given: list[None] = []
    memory = MemoryReturn(lambda: given.append(None))
    for _ in range(closed):
        memory.closed()
    at_once = len(given)
    await after(2 * SETTLED_SECONDS + 1)

    assert (at_once, len(given)) == (0, times)


async def test_the_next_many_give_it_back_again() -> None:
    given: list[None] = []
    memory = MemoryReturn(lambda: given.append(None))
    for _ in range(2):
        for _ in range(CLOSED_INFORMERS):
            memory.closed()
        await after(SETTLED_SECONDS + 1)

    assert len(given) == 2


async def test_it_waits_until_no_more_close() -> None:
    given: list[None] = []
    memory = MemoryReturn(lambda: given.append(None))
    counts = []
    for _ in range(3 * CLOSED_INFORMERS):
        memory.closed()
        await after(0.5)
        counts.append(len(given))
    await after(2 * SETTLED_SECONDS)

    assert (set(counts), len(given)) == ({0}, 1)


def test_asking_the_allocator_is_harmless_wherever_we_run() -> None:
    give_back()
