"""Trying again after a conflict."""

import asyncio

import pytest

from scopedcache.errors import AlreadyExistsError, ConflictError, NotFoundError
from scopedcache.kit import retry_on_conflict


class Thing:
    """A value with a version; the first `conflicts` writes come too late."""

    def __init__(self, conflicts):
        self.version = 1
        self.conflicts = conflicts
        self.written = []

    async def fetch(self):
        return self.version

    async def write(self, version):
        if self.conflicts:
            self.conflicts -= 1
            self.version += 1
            raise ConflictError("changed")
        self.written.append(version)
        return "done"


async def test_each_try_writes_what_it_has_just_fetched():
    thing = Thing(conflicts=3)

    assert await retry_on_conflict(thing.fetch, thing.write) == "done"
    assert thing.written == [4]


async def test_the_fourth_conflict_is_raised():
    thing = Thing(conflicts=4)

    with pytest.raises(ConflictError):
        await retry_on_conflict(thing.fetch, thing.write)
    assert thing.version == 5


async def test_the_pauses_are_10_50_and_250_milliseconds():
    loop = asyncio.get_running_loop()
    started = loop.time()
    thing = Thing(conflicts=3)
    await retry_on_conflict(thing.fetch, thing.write, chance=lambda: 0.0)

    assert loop.time() - started == pytest.approx(0.310)


@pytest.mark.parametrize("error", [AlreadyExistsError("there"), NotFoundError("gone"), RuntimeError("else")])
async def test_nothing_but_a_conflict_is_tried_again(error):
    tries = []

    async def fetch():
        tries.append(1)

    async def write(_):
        raise error

    with pytest.raises(type(error)):
        await retry_on_conflict(fetch, write)
    assert len(tries) == 1
