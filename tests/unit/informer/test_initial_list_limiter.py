"""First lists take turns."""

import asyncio
import contextlib

from hypothesis import given
from hypothesis import strategies as st

from scopedcache.informer.initial_list_limiter import LEND_AFTER_SECONDS, InitialListLimiter
from scopedcache.testing import virtual_time
from tests.unit.clock import idle


class Line:
    """Starts tasks that take a slot and hold it until told."""

    def __init__(self, initial_lists):
        self.initial_lists = InitialListLimiter(initial_lists)
        self.order = []
        self.needs_for = {}

    def start(self, name, namespace):
        return asyncio.ensure_future(self._hold(name, namespace))

    async def _hold(self, name, namespace):
        async with self.initial_lists.take(namespace):
            self.order.append(name)
            self.needs_for[name] = asyncio.Event()
            try:
                await self.needs_for[name].wait()
            finally:
                del self.needs_for[name]

    async def release(self, name):
        self.needs_for[name].set()
        await idle()


async def test_only_so_many_run_at_a_time():
    line = Line(2)
    tasks = [line.start(n, "a") for n in range(5)]
    await idle()
    assert line.order == [0, 1]
    for n in range(5):
        await line.release(n)
    await asyncio.gather(*tasks)
    assert line.order == [0, 1, 2, 3, 4]


async def test_namespaces_take_turns():
    line = Line(1)
    tasks = [line.start("first", "x")]
    await idle()
    tasks += [line.start(f"{namespace}{n}", namespace) for namespace in ("a", "b", None) for n in range(3)]
    await idle()
    for _ in range(10):
        await line.release(line.order[-1])
    await asyncio.gather(*tasks)
    assert line.order[1:] == ["a0", "b0", "None0", "a1", "b1", "None1", "a2", "b2", "None2"]


async def test_a_newcomer_does_not_overtake_those_who_wait():
    line = Line(1)
    tasks = [line.start("first", "a"), line.start("second", "b")]
    await idle()
    line.needs_for["first"].set()
    tasks.append(line.start("newcomer", "c"))
    await idle()
    assert line.order == ["first", "second"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_who_fails_gives_its_slot_back():
    initial_lists = InitialListLimiter(1)
    with contextlib.suppress(ZeroDivisionError):
        async with initial_lists.take("a"):
            _ = 1 / 0
    async with asyncio.timeout(1), initial_lists.take("a"):
        pass


def test_lists_that_hang_lend_their_slots_after_a_while_and_each_of_them_once():
    async def run():
        line = Line(2)
        names = ["hangs", "hangs too", "waits", "waits too", "waits on"]
        tasks = [line.start(name, name) for name in names]
        await virtual_time.after(LEND_AFTER_SECONDS - 0.1)
        assert line.order == names[:2]
        await virtual_time.after(0.2)
        assert line.order == names[:4]
        await virtual_time.after(10 * LEND_AFTER_SECONDS)
        assert line.order == names[:4]  # twice as many as there are slots, never more
        await line.release("waits")
        assert line.order == names
        for name in ("hangs", "hangs too", "waits too", "waits on"):
            await line.release(name)
        await asyncio.gather(*tasks)
        assert (line.initial_lists.free, line.initial_lists.loans) == (2, 2)

    virtual_time.run(run())


async def test_who_leaves_in_the_moment_its_turn_comes_passes_it_on():
    line = Line(1)
    first, leaving, last = (line.start(name, "a") for name in ("first", "leaving", "last"))
    await idle()
    line.needs_for["first"].set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the slot was handed over, its taker has not run yet
    leaving.cancel()
    await idle()
    assert (first.done(), leaving.cancelled(), line.order[-1]) == (True, True, "last")
    await line.release("last")
    await last


@given(st.lists(st.tuples(st.sampled_from(["start", "release", "cancel"]), st.integers(0, 9)), max_size=60))
def test_no_interleaving_loses_a_slot(steps):
    async def run():
        line = Line(2)
        tasks: list[asyncio.Future[None]] = []

        async def settle():
            for _ in range(8):
                await asyncio.sleep(0)

        for step, n in steps:
            if step == "start":
                tasks.append(line.start(len(tasks), str(n % 3)))
            elif step == "release" and line.needs_for:
                list(line.needs_for.values())[n % len(line.needs_for)].set()
            elif step == "cancel" and tasks:
                tasks[n % len(tasks)].cancel()
            if n % 2:
                await settle()
        await settle()
        assert len(line.needs_for) == min(2, sum(not task.done() for task in tasks))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert line.initial_lists.free == 2

    asyncio.run(run())
