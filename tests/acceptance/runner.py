"""Runs groups of rows: background ones beside the others, each row guarded: one failure is one row."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterable

import attrs

from scopedcache.errors import ScopedCacheError

from . import report
from .rows import Group, Outcome, Result, Row, judged
from .waiting import Failed, NotRun
from .world import World


@attrs.define(eq=False)
class Runner:
    """Runs rows and collects their results; `tell` hears a line about each."""

    tell: Callable[[str], None]
    _results: dict[str, Result] = attrs.field(factory=dict, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def run(self, groups: Iterable[Group]) -> list[Result]:
        """Run all groups and return the results in the order of the rows."""
        groups = list(groups)
        beside = [threading.Thread(target=self._run_group, args=(g,), name=g.name) for g in groups if g.background]
        for thread in beside:
            thread.daemon = True  # Ctrl-C does not wait for them; what they started ends with this process
            thread.start()
        for group in groups:
            if not group.background:
                self._run_group(group)
        for thread in beside:
            thread.join()
        return [self._results[row.id] for group in groups for row in group.rows]

    def _run_group(self, group: Group) -> None:
        self.tell(f"        {group.name}: {', '.join(row.id for row in group.rows)}")
        try:
            with group.world() as world:
                for row in group.rows:
                    self._add(run_row(row, world))
        except Exception as error:
            for row in group.rows:
                if row.id not in self._results:
                    self._add(Result(row, "FAIL", Outcome(), 0.0, f"its world failed: {words(error)}"))

    def _add(self, result: Result) -> None:
        with self._lock:
            self._results[result.row.id] = result
            self.tell(report.line(result))


def run_row(row: Row, world: World) -> Result:
    """Run one row and judge it; whatever it raises is its result."""
    began = time.monotonic()
    try:
        outcome = row.check(world)
    except NotRun as reason:
        return Result(row, "NOT RUN", Outcome(), time.monotonic() - began, str(reason))
    except Exception as error:
        return Result(row, "FAIL", Outcome(), time.monotonic() - began, words(error))
    return judged(row, outcome, time.monotonic() - began)


def words(error: Exception) -> str:
    """Return what went wrong: the message alone where it was meant for people, else where it came from too."""
    if isinstance(error, Failed | ScopedCacheError):
        return str(error)
    return "".join(traceback.format_exception(error)[-3:]).strip()
