"""Waiting for the queue, in virtual time."""

import asyncio

import pytest

from scopedcache.controller.work_queue import WorkQueue
from scopedcache.controller.work_queue_waiter import WorkQueueWaiter
from scopedcache.kinds import ObjectKey

X = ObjectKey("a", "x")
Y = ObjectKey("a", "y")


@pytest.fixture
async def queue():
    return WorkQueue[ObjectKey](timer=asyncio.get_running_loop().time)


@pytest.fixture
async def picker(queue):
    return WorkQueueWaiter(queue)


async def test_get_returns_at_once_what_is_ready(queue, picker):
    queue.add(X)

    assert await picker.get() == X


async def test_get_waits_for_an_add(queue, picker):
    waiting = asyncio.create_task(picker.get())
    await asyncio.sleep(1)
    queue.add(X)

    assert await waiting == X


async def test_get_waits_exactly_until_the_delayed_key_is_due(queue, picker):
    queue.add(X, after=7)

    assert (await picker.get(), asyncio.get_running_loop().time()) == (X, 7.0)


async def test_an_earlier_key_shortens_the_wait(queue, picker):
    queue.add(X, after=60)
    waiting = asyncio.create_task(picker.get())
    await asyncio.sleep(1)
    queue.add(Y, after=2)

    assert (await waiting, asyncio.get_running_loop().time()) == (Y, 3.0)


async def test_a_key_goes_to_one_of_the_waiting_workers(queue, picker):
    workers = [asyncio.create_task(picker.get()) for _ in range(3)]
    await asyncio.sleep(1)
    queue.add(X)
    await asyncio.sleep(1)

    assert [task.result() for task in workers if task.done()] == [X]
    queue.shutdown()
    await asyncio.gather(*workers)


async def test_a_worker_cancelled_as_it_wakes_leaves_the_key_to_the_others(queue, picker):
    first, second = (asyncio.create_task(picker.get()) for _ in range(2))
    await asyncio.sleep(1)
    queue.add(X)
    first.cancel()

    assert await second == X
    assert first.cancelled() or first.cancelling()


async def test_a_key_added_while_it_runs_wakes_a_worker_when_it_is_done(queue, picker):
    queue.add(X)
    await picker.get()
    queue.add(X)
    waiting = asyncio.create_task(picker.get())
    await asyncio.sleep(1)
    assert not waiting.done()
    queue.done(X)

    assert await waiting == X


async def test_shutdown_ends_every_wait(queue, picker):
    queue.add(X, after=60)
    workers = [asyncio.create_task(picker.get()) for _ in range(3)]
    await asyncio.sleep(1)
    queue.shutdown()

    assert await asyncio.gather(*workers) == [None, None, None]


async def test_nothing_stays_armed_when_nobody_waits(queue, picker):
    queue.add(X, after=3600)
    waiting = asyncio.create_task(picker.get())
    await asyncio.sleep(1)
    waiting.cancel()
    await asyncio.wait([waiting])

    assert repr(picker) == "<WorkQueueWaiter waiting=0 due=->"
