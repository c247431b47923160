"""The way from threads onto a loop: results, errors, time-outs, and every way it can end."""

import asyncio
import contextlib
import os
import signal
import threading

import pytest

from scopedcache.errors import CacheError
from scopedcache.sync import Portal


@pytest.fixture
def portal():
    with Portal.start(timeout=10) as started:
        yield started


async def forever():
    await asyncio.Event().wait()


async def failing():
    raise ValueError("its own words")


def test_work_runs_on_the_loop_of_another_thread_and_its_result_comes_back(portal):
    async def where():
        return threading.current_thread()

    assert portal.run(where) not in (None, threading.current_thread())


def test_an_error_of_the_work_is_raised_as_it_is(portal):
    with pytest.raises(ValueError, match="its own words"):
        portal.run(failing)


def test_a_TimeoutError_of_the_work_is_its_own(portal):
    async def late():
        raise TimeoutError("the server")

    with pytest.raises(TimeoutError, match="the server"):
        portal.run(late)


def test_what_takes_too_long_is_cancelled_and_gone_when_the_error_is_raised():
    ended = []

    async def slow():
        try:
            await forever()
        finally:
            ended.append(True)

    with Portal.start(timeout=0.05) as portal:
        with pytest.raises(TimeoutError, match=r"longer than 0\.05 s"):
            portal.run(slow)
        assert ended == [True]


def test_an_interrupted_call_cancels_its_work(portal):
    ended = []

    async def slow():
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
        try:
            await forever()
        finally:
            ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        portal.run(slow)
    assert ended == [True]


def test_waiting_on_the_loops_own_thread_raises_instead_of_waiting_for_ever(portal):
    async def hop():
        portal.run(forever)

    with pytest.raises(CacheError, match="own thread"):
        portal.run(hop)


def test_entering_a_context_on_the_loops_own_thread_raises_too(portal):
    async def hop():
        with portal.entered(Context):
            pass

    with pytest.raises(CacheError, match="own thread"):
        portal.run(hop)


def test_a_plain_function_is_called_on_the_loop_and_at_once_when_that_is_here(portal):
    threads = []

    async def hop():
        threads.append(threading.current_thread())
        portal.call(lambda: threads.append(threading.current_thread()))

    portal.call(lambda: threads.append(threading.current_thread()))
    portal.run(hop)

    assert len(threads) == 3
    assert set(threads).isdisjoint({threading.current_thread()})


def test_after_the_block_a_call_raises():
    with Portal.start() as portal:
        pass

    with pytest.raises(CacheError, match="has ended"):
        portal.run(forever)
    with pytest.raises(CacheError, match="has ended"):
        portal.call(lambda: None)
    assert repr(portal) == "<Portal closed>"


def test_leaving_the_block_ends_what_other_threads_wait_for_and_the_loops_thread():
    before = threading.active_count()
    began, errors = threading.Event(), list[CacheError]()

    async def slow():
        began.set()
        await forever()

    def wait():
        try:
            to_be_left.run(slow)
        except CacheError as error:
            errors.append(error)

    with Portal.start() as to_be_left:
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert began.wait(10)
    waiting.join(10)

    assert [type(error) for error in errors] == [CacheError]
    assert threading.active_count() == before


class _Idle(asyncio.SelectorEventLoop):
    """A loop that does not run, and tells when it was given something to do."""

    def __init__(self):
        super().__init__()
        self.given = threading.Event()

    def call_soon_threadsafe(self, callback, *args, context=None):  # type: ignore[override]  # its type variable adds nothing here
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        self.given.set()
        return handle


def test_a_call_that_a_loop_was_given_last_and_never_ran_raises():
    """A loop that somebody else ends may take a call and never come to it."""
    loop = _Idle()
    errors = []

    def wait():
        try:
            Portal(loop).run(forever)
        except CacheError as error:
            errors.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert loop.given.wait(10)
    loop.close()
    waiting.join(10)

    assert [type(error) for error in errors] == [CacheError]


class Context:
    """Notes in which task it is entered and left."""

    def __init__(self, *, failing=False):
        self.tasks = []
        self.failing = failing

    async def __aenter__(self):
        if self.failing:
            raise ValueError("cannot be entered")
        self.tasks.append(asyncio.current_task())
        return self

    async def __aexit__(self, *_):
        self.tasks.append(asyncio.current_task())


def test_a_context_is_entered_and_left_in_one_task(portal):
    with portal.entered(Context) as context:
        assert len(context.tasks) == 1

    entered, left = context.tasks
    assert entered is left


def test_a_context_that_cannot_be_entered_raises_why(portal):
    with pytest.raises(ValueError, match="cannot be entered"), portal.entered(lambda: Context(failing=True)):
        pass


def test_an_error_in_the_block_leaves_the_context_and_is_raised(portal):
    with pytest.raises(ZeroDivisionError), portal.entered(Context) as context:
        raise ZeroDivisionError

    assert len(context.tasks) == 2


def test_a_context_whose_loop_has_ended_is_left_in_peace():
    with contextlib.ExitStack() as stack:
        with Portal.start() as portal:
            stack.enter_context(portal.entered(Context))
