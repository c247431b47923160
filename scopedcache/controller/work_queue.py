"""The queue of keys to reconcile: what runs next, and when.

It promises:
- A key stands in the queue once, however often it is added: the earliest time and the highest priority count.
- A key never runs twice at the same time; added while it runs, it runs once more afterwards.
- Inside a priority the namespaces take turns, and the keys of a namespace are first come, first served: no namespace
  waits for more than one key of each other.
- High overtakes low, but every eighth pick is low while one waits: low is slow, never stuck.
- A delayed key is not ready before its time.
- A failing key pauses longer with each failure whose pause it has served: a run that an event asks for meanwhile, and
  that fails too, leaves the retry where it was. All keys together retry no faster than the budget.
- A refused key runs again when it is told of its rights; whatever else asks for it, a few times a minute at most.

Plain decisions: no event loop, no clock of its own. `WorkQueueWaiter` waits for it.
Each operation costs O(log n) or less.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, Literal, TypeVar

import attrs

from .retry_limits import FailureBackoff, RetryBudget

K = TypeVar("K", bound=Hashable)
Priority = Literal["high", "low"]

# One low pick in eight: a re-sync of 10,000 keys delays fresh events by an eighth at most, and still ends.
LOW_EVERY: Final = 8
# What a refused key waits before it runs for an event: some 15 runs in the first minute, 10 in each further one. One
# that was refused longer ago than the second number begins anew.
REFUSED_BACKOFF: Final = FailureBackoff(0.1, 6.0, jitter=0.0)
REFUSED_QUIET_SECONDS: Final = 60.0


@attrs.frozen
class _Delayed:
    due: float
    priority: Priority


@attrs.frozen
class _Running:
    priority: Priority
    since: float
    waited: float


@attrs.frozen
class _Refused:
    """How often in a row a key was refused, when last, and before when no event makes it run."""

    times: int
    at: float
    until: float


def _no_group(key: object) -> Hashable:
    return getattr(key, "namespace", "")


def _nothing() -> None:
    pass


def _no_chance() -> float:
    return 0.0


class WorkQueue(Generic[K]):
    """A de-duplicating, delaying, fair queue of keys.

    Args:
        timer: the clock, in seconds.
        group: what must take turns; the key's namespace, unless told otherwise.
        backoff: the pauses of `add_rate_limited`.
        budget: what bounds the retries of all keys together; None for nothing.
        chance: a number from 0 to 1, by which pauses are shortened.
        on_change: called after every change that may make a key ready or alter the next due time.
    """

    def __init__(
        self,
        *,
        timer: Callable[[], float],
        group: Callable[[K], Hashable] = _no_group,
        backoff: FailureBackoff | None = None,
        budget: RetryBudget | None = None,
        chance: Callable[[], float] = _no_chance,
        on_change: Callable[[], None] = _nothing,
    ) -> None:
        self._timer = timer
        self._backoff = backoff or FailureBackoff()
        self._budget = budget
        self._chance = chance
        self.on_change = on_change
        self._lanes: dict[Priority, _Lane[K]] = {"high": _Lane(group), "low": _Lane(group)}
        self._delayed: dict[K, _Delayed] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._pushed = 0
        self._running: dict[K, _Running] = {}
        self.adds = 0  # keys that were made ready
        self._again: dict[K, Priority] = {}
        self._failures: dict[K, int] = {}
        self._retry_due: dict[K, float] = {}
        self._refused: dict[K, _Refused] = {}
        self._hurried: set[K] = set()  # asked for at once, and not picked since
        self._high_in_a_row = 0
        self._closed = False

    def add(self, key: K, *, after: float = 0.0, priority: Priority | None = "high", at_once: bool = False) -> None:
        """Ask for a run of `key`, now or `after` seconds.

        `priority=None` keeps the one the key runs or waits with. `at_once` does not wait out the pause of a refused
        key: something is known of its rights. Nothing happens after `shutdown`.
        """
        if self._closed:
            return
        if at_once:
            self._hurried.add(key)
        elif key in self._refused and key not in self._hurried:
            after = max(after, self._refused[key].until - self._timer())
        running = self._running.get(key)
        wanted = _higher(self._waiting_priority(key), priority or (running.priority if running else "low"))
        if priority is None and key not in self:
            wanted = "high"
        due = self._timer() + after
        waiting = self._delayed.get(key)
        if after > 0 and (self._is_due_already(key) or (waiting is not None and waiting.due <= due)):
            self._raise_priority(key, wanted)
        elif after > 0:
            self._delay(key, due, wanted)
        else:
            self._delayed.pop(key, None)
            self._make_ready(key, wanted)
        self.on_change()

    def add_rate_limited(self, key: K, *, priority: Priority | None = None, drop_again: bool = False) -> float:
        """Ask for a run after the key's back-off, which doubles until `forget`; return the pause in seconds.

        A key that failed before its retry was due is retried when that is. `drop_again` takes back what was asked for
        while the key ran, except for what was asked for `at_once`.
        """
        if drop_again and key not in self._hurried:
            self._wake_due()  # what became due meanwhile was asked for meanwhile
            self._again.pop(key, None)
        now = self._timer()
        pause = self._retry_due.get(key, now) - now
        if pause <= 0:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            pause = self._backoff.delay(failures, self._chance())
            if self._budget is not None:
                pause = max(pause, self._budget.reserve(now))
            self._retry_due[key] = now + pause
        self.add(key, after=pause, priority=priority)
        return pause

    def add_refused(self, key: K, *, after: float, priority: Priority | None = None) -> None:
        """Ask for a run after so many seconds, as a net: the key was refused.

        What events ask for until then waits, longer with each refused run in a row, until `forget`; so does what was
        asked for while it ran, except for what was asked for `at_once`.
        """
        now, times = self._timer(), self.refusals(key) + 1
        self._start_anew(key)
        self._refused[key] = _Refused(times, now, now + REFUSED_BACKOFF.delay(times))
        if key not in self._hurried:
            self._put_off(key, self._refused[key].until)
        self.add(key, after=after, priority=priority)

    def forget(self, key: K) -> None:
        """Start the key's back-off from the beginning; it is refused no longer."""
        self._start_anew(key)
        self._refused.pop(key, None)

    def _start_anew(self, key: K) -> None:
        self._failures.pop(key, None)
        self._retry_due.pop(key, None)

    def discard(self, key: K) -> None:
        """Take back every request for a run of `key`, and its back-off; a run under way goes on."""
        self._delayed.pop(key, None)
        self._again.pop(key, None)
        for lane in self._lanes.values():
            lane.remove(key)
        self._hurried.discard(key)
        self.forget(key)
        self.on_change()

    def pick(self) -> K | None:
        """Take the next key and mark it running; None where no key is ready, and after `shutdown`."""
        if self._closed:
            return None
        self._wake_due()
        lane = self._next_lane()
        if lane is None:
            return None
        key, ready_since = self._lanes[lane].pop()
        now = self._timer()
        self._high_in_a_row = self._high_in_a_row + 1 if lane == "high" else 0
        self._running[key] = _Running(lane, now, now - ready_since)
        self._hurried.discard(key)
        return key

    def done(self, key: K) -> None:
        """Say that the run of `key` is over.

        Raises:
            ValueError: the key was not running.
        """
        if self._running.pop(key, None) is None:
            raise ValueError(f"{key} is not running")
        again = self._again.pop(key, None)
        if again is not None and not self._closed:
            self._push(key, again)
            self.on_change()

    def shutdown(self) -> None:
        """Hand out nothing any more and drop what waits; running keys may still be reported done."""
        self._closed = True
        self._delayed.clear()
        self._heap.clear()
        self._again.clear()
        for lane in self._lanes.values():
            lane.clear()
        self.on_change()

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def next_due(self) -> float | None:
        """Return when the next delayed key becomes ready, by the queue's clock; None where none is delayed."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    @property
    def ready(self) -> int:
        """Return how many keys could be picked now."""
        self._wake_due()
        return sum(map(len, self._lanes.values()))

    @property
    def delayed(self) -> int:
        """Return how many keys wait for their time."""
        self._wake_due()
        return len(self._delayed)

    @property
    def running(self) -> int:
        return len(self._running)

    def priority(self, key: K) -> Priority:
        """Return the priority a running key was picked with.

        Raises:
            ValueError: the key is not running.
        """
        if key not in self._running:
            raise ValueError(f"{key} is not running")
        return self._running[key].priority

    def waited(self, key: K) -> float:
        """Return the seconds that a running key stood ready before it was picked."""
        return self._running[key].waited

    @property
    def running_seconds(self) -> list[float]:
        """Return how long each running key has been running."""
        now = self._timer()
        return [now - running.since for running in self._running.values()]

    def failures(self, key: K) -> int:
        """Return how many rate-limited adds the key has had since it was last forgotten."""
        return self._failures.get(key, 0)

    def refusals(self, key: K) -> int:
        """Return how often in a row the key was refused; a quiet minute ends a row."""
        refused = self._refused.get(key)
        return 0 if refused is None or self._timer() - refused.at > REFUSED_QUIET_SECONDS else refused.times

    def __contains__(self, key: K) -> bool:
        return key in self._running or self._waiting_priority(key) is not None

    def __repr__(self) -> str:
        return f"<WorkQueue ready={self.ready} delayed={self.delayed} running={self.running}>"

    # How a key moves: delayed -> ready -> running; what comes for a running key waits in `_again` or in `_delayed`.

    def _is_due_already(self, key: K) -> bool:
        return key in self._again or any(key in lane for lane in self._lanes.values())

    def _waiting_priority(self, key: K) -> Priority | None:
        if key in self._again:
            return self._again[key]
        if key in self._delayed:
            return self._delayed[key].priority
        return next((name for name, lane in self._lanes.items() if key in lane), None)

    def _make_ready(self, key: K, priority: Priority) -> None:
        if key in self._running:
            self._again[key] = priority
        elif self._is_due_already(key):
            self._raise_priority(key, priority)
        else:
            self._push(key, priority)

    def _push(self, key: K, priority: Priority) -> None:
        self.adds += 1
        self._lanes[priority].push(key, self._timer())

    def _raise_priority(self, key: K, priority: Priority) -> None:
        if key in self._again:
            self._again[key] = priority
        elif key in self._delayed:
            self._delayed[key] = attrs.evolve(self._delayed[key], priority=priority)
        elif priority == "high" and (ready_since := self._lanes["low"].remove(key)) is not None:
            self._lanes["high"].push(key, ready_since)

    def _delay(self, key: K, due: float, priority: Priority) -> None:
        self._delayed[key] = _Delayed(due, priority)
        self._pushed += 1
        heapq.heappush(self._heap, (due, self._pushed, key))
        # Entries overtaken by an earlier add stay in the heap; past twice the live ones, sweeping costs O(1) an add.
        if len(self._heap) > 2 * len(self._delayed) + 64:
            self._heap = [item for item in self._heap if self._is_current(item)]
            heapq.heapify(self._heap)

    def _put_off(self, key: K, until: float) -> None:
        """Let what was asked for while the key ran wait until then, whether it is due by now or later."""
        waiting = self._delayed.get(key)
        if key in self._again:
            self._delay(key, until, self._again.pop(key))
        elif waiting is not None and waiting.due < until:
            self._delay(key, until, waiting.priority)

    def _is_current(self, item: tuple[float, int, K]) -> bool:
        waiting = self._delayed.get(item[2])
        return waiting is not None and waiting.due == item[0]

    def _drop_stale(self) -> None:
        while self._heap and not self._is_current(self._heap[0]):
            heapq.heappop(self._heap)

    def _wake_due(self) -> None:
        now = self._timer()
        while (due := self.next_due) is not None and due <= now:
            _, _, key = heapq.heappop(self._heap)
            self._make_ready(key, self._delayed.pop(key).priority)

    def _next_lane(self) -> Priority | None:
        high, low = self._lanes["high"], self._lanes["low"]
        if low and (not high or self._high_in_a_row >= LOW_EVERY - 1):
            return "low"
        return "high" if high else None


class _Lane(Generic[K]):
    """The ready keys of one priority, and since when they are so.

    Linked dicts: popping the front of a plain dict scans the holes before it.
    """

    def __init__(self, group: Callable[[K], Hashable]) -> None:
        self._group = group
        self._groups: OrderedDict[Hashable, OrderedDict[K, float]] = OrderedDict()
        self._size = 0

    def push(self, key: K, ready_since: float) -> None:
        self._groups.setdefault(self._group(key), OrderedDict())[key] = ready_since
        self._size += 1

    def pop(self) -> tuple[K, float]:
        group, keys = self._groups.popitem(last=False)
        key, ready_since = keys.popitem(last=False)
        if keys:
            self._groups[group] = keys
        self._size -= 1
        return key, ready_since

    def remove(self, key: K) -> float | None:
        """Take a key out; return since when it was ready, None where it is not there."""
        group = self._group(key)
        keys = self._groups.get(group)
        if keys is None or key not in keys:
            return None
        ready_since = keys.pop(key)
        if not keys:
            del self._groups[group]
        self._size -= 1
        return ready_since

    def clear(self) -> None:
        self._groups.clear()
        self._size = 0

    def __contains__(self, key: K) -> bool:
        return key in self._groups.get(self._group(key), ())

    def __len__(self) -> int:
        return self._size


def _higher(one: Priority | None, other: Priority) -> Priority:
    return "high" if "high" in (one, other) else "low"
