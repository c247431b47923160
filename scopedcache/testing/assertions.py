"""Assertions about what takes a while: `eventually` and `never`, and what must not be written twice: `Twice`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final, TypeVar, overload

import attrs

from ..api.client import Client
from ..api.request_info import RequestInfo
from ..controller.request import Request, Result
from ..errors import ScopedCacheError
from .virtual_time import VirtualTimeLoop, idle, moment

T = TypeVar("T")

# Where time is ordinary there is no telling when something may have changed: ask again after so many seconds.
INTERVAL_SECONDS: Final = 0.02
# A world in which Deployments make Pods at once needs three.
RUNS_LIMIT: Final = 5
# Enough to see what is wrong.
COMPLAINTS_LIMIT: Final = 10
_WRITES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@overload
async def eventually(check: Callable[[], Awaitable[T]], *, within: float = 10.0, what: str = "") -> T: ...
@overload
async def eventually(check: Callable[[], T], *, within: float = 10.0, what: str = "") -> T: ...


async def eventually(check: Callable[[], Any], *, within: float = 10.0, what: str = "") -> Any:
    """Wait until `check()` is true, and return what it said.

    In virtual time it is asked whenever everybody waits, after each thing that happened: nothing is missed, nothing
    is polled. `check` may be a coroutine function.

    Raises:
        AssertionError: it was not true within the time; the message carries its last answer.
    """
    answer, true = await _watch(check, within)
    if not true:
        raise AssertionError(f"waited {within:g} s for {what or _name(check)}; the last answer was {answer!r}")
    return answer


async def never(check: Callable[[], Any], *, within: float, what: str = "") -> None:
    """Let the time pass, and fail as soon as `check()` is true.

    Raises:
        AssertionError: it was.
    """
    answer, true = await _watch(check, within)
    if true:
        raise AssertionError(f"{what or _name(check)} was not to happen; the answer was {answer!r}")


@attrs.define(eq=False)
class Twice:
    """A reconciler that runs everything twice: a second run over the same world has nothing left to write.

    The world may have moved in between, because of what the first run wrote; then the second run may write too, and is
    followed by another. Who still writes at the last of `RUNS_LIMIT` never comes to rest.

    `Controller(…, reconcile=Twice(reconciler, client))`, and `check()` at the end. The fixture `twice` does both.

    Attributes:
        complaints: what was still written, the first ten writes; then everything runs once.
    """

    _reconciler: Any
    _client: Client
    complaints: list[str] = attrs.field(factory=list, init=False)
    _written: ContextVar[list[str] | None] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._written = ContextVar("scopedcache_written", default=None)
        self._client.add_observer(self)

    async def reconcile(self, request: Request) -> Result | None:
        """Run the reconciler, and again; return what it returned at first."""
        run = getattr(self._reconciler, "reconcile", self._reconciler)
        result: Result | None = await run(request)
        if len(self.complaints) == COMPLAINTS_LIMIT:
            return result
        for _ in range(RUNS_LIMIT - 1):
            if isinstance(asyncio.get_running_loop(), VirtualTimeLoop):
                await idle()
            written: list[str] = []
            token = self._written.set(written)
            try:
                await run(request)
            finally:
                self._written.reset(token)
            if not written:
                return result
        self.complaints = [*self.complaints, *written][:COMPLAINTS_LIMIT]
        return result

    def observed(self, call: RequestInfo, error: ScopedCacheError | None) -> None:
        """Note a write. (Called by the client, in the context of the request.)"""
        written = self._written.get()
        if written is not None and call.verb in _WRITES:
            written.append(f"{call.verb} {call.subject} {call.namespace or ''}/{call.name or ''}")

    def check(self) -> None:
        """Fail when somebody never came to rest.

        Raises:
            AssertionError: it names the writes.
        """
        self._client.remove_observer(self)
        if self.complaints:
            more = " …" if len(self.complaints) == COMPLAINTS_LIMIT else ""
            raise AssertionError(f"reconciled again and again, it still wrote: {', '.join(self.complaints)}{more}")


async def _watch(check: Callable[[], Any], within: float) -> tuple[Any, bool]:
    loop = asyncio.get_running_loop()
    virtual = isinstance(loop, VirtualTimeLoop)
    deadline = loop.time() + within
    if virtual:
        await idle()
    while True:
        answer: Any = check()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer or loop.time() >= deadline:
            return answer, bool(answer)
        await (moment(deadline) if virtual else asyncio.sleep(min(INTERVAL_SECONDS, deadline - loop.time())))


def _name(check: Any) -> str:
    return getattr(check, "__qualname__", None) or repr(check)
