"""Every shape of a reconciler, and every way it can end."""

import asyncio
import functools
import threading

import pytest

from scopedcache.controller.reconciler import ReconcilerRunner
from scopedcache.controller.request import Request, Result
from scopedcache.errors import TerminalError
from scopedcache.kinds import ObjectKey

REQUEST = Request(ObjectKey("a", "x"))


def nobody_left(_):
    raise AssertionError("no thread should be left behind")


async def call(reconcile, *, deadline=None, on_overdue=None, on_left_behind=nobody_left):
    return await ReconcilerRunner(reconcile, deadline=deadline, on_overdue=on_overdue).run(REQUEST, on_left_behind)


async def async_function(request):
    return Result(requeue_after=len(request.name))


def plain_function(request):
    return Result(requeue_after=len(request.name))


class AsyncObject:
    async def reconcile(self, request):
        return Result(requeue_after=len(request.name))


class PlainObject:
    def reconcile(self, request):
        return Result(requeue_after=len(request.name))


class AsyncCallable:
    async def __call__(self, request):
        return Result(requeue_after=len(request.name))


@pytest.mark.parametrize(
    "reconcile",
    [
        async_function,
        plain_function,
        AsyncObject(),
        PlainObject(),
        AsyncCallable(),
        functools.partial(async_function),
        lambda request: Result(requeue_after=1),
        lambda request: async_function(request),
    ],
    ids=[
        "async function",
        "plain function",
        "async object",
        "plain object",
        "callable",
        "partial",
        "lambda",
        "lambda around async",
    ],
)
async def test_a_reconciler_may_have_many_shapes(reconcile):
    outcome = await call(reconcile)

    assert (outcome.ending, outcome.after) == ("requeue_after", 1)


def test_what_cannot_be_called_is_refused_at_once():
    with pytest.raises(TypeError, match="reconcile is a function"):
        ReconcilerRunner(5, deadline=None)  # type: ignore[arg-type]


async def test_a_plain_function_runs_in_a_thread_of_its_own():
    seen = []
    await call(lambda request: seen.append(threading.current_thread()))

    assert seen[0] is not threading.current_thread()


@pytest.mark.parametrize("error", [ValueError("x"), TerminalError("x"), StopIteration(), SystemExit(1), TimeoutError()])
@pytest.mark.parametrize("shape", ["async", "plain"])
async def test_no_exception_gets_out(error, shape):
    async def raise_async(request):
        raise error

    def raise_plain(request):
        raise error

    outcome = await call(raise_async if shape == "async" else raise_plain, deadline=30 if shape == "async" else None)

    assert outcome.ending == ("terminal" if isinstance(error, TerminalError) else "error")


async def test_a_cancellation_of_its_own_is_a_failure_like_any_other():
    async def reconcile(request):
        task = asyncio.create_task(asyncio.sleep(60))
        task.cancel()
        await task

    assert (await call(reconcile)).ending == "error"


async def test_our_cancellation_is_not_held_up():
    task = asyncio.create_task(call(lambda_sleep))
    await asyncio.sleep(1)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def lambda_sleep(request):
    await asyncio.sleep(3600)


async def test_a_coroutine_is_ended_at_its_deadline():
    overdue: list[Request] = []
    outcome = await call(lambda_sleep, deadline=30, on_overdue=overdue.append)

    assert (outcome.ending, asyncio.get_running_loop().time()) == ("timeout", 30)
    assert overdue == [REQUEST]


async def test_a_coroutine_that_a_plain_function_returned_is_ended_at_its_deadline_too():
    overdue: list[Request] = []
    outcome = await call(lambda request: lambda_sleep(request), deadline=30, on_overdue=overdue.append)

    assert (outcome.ending, overdue) == ("timeout", [REQUEST])


async def test_an_error_raised_on_the_way_out_at_the_deadline_is_still_a_time_out():
    async def reconcile(request):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            raise ValueError("while cleaning up") from None

    assert (await call(reconcile, deadline=30)).ending == "timeout"


async def test_a_time_out_of_its_own_is_not_ours():
    overdue: list[Request] = []

    async def reconcile(request):
        async with asyncio.timeout(1):
            await asyncio.sleep(60)

    assert (await call(reconcile, deadline=30, on_overdue=overdue.append)).ending == "error"
    assert overdue == []


async def test_a_thread_past_its_deadline_is_reported_and_waited_for():
    release = threading.Event()
    overdue: list[Request] = []

    def reconcile(request):
        release.wait(10)
        return Result()

    def report(request):
        overdue.append(request)
        release.set()

    outcome = await call(reconcile, deadline=30, on_overdue=report)

    assert (overdue, outcome.ending) == ([REQUEST], "success")


async def test_a_thread_that_outlives_its_caller_is_left_behind_and_known():
    release = threading.Event()
    left: list[asyncio.Future[bool]] = []
    task = asyncio.create_task(call(lambda request: release.wait(10), on_left_behind=left.append))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [thread.done() for thread in left] == [False]
    release.set()

    assert await left[0] is True
