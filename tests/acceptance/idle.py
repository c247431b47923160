"""Rows of an operator that is left alone: what it asks the server while nothing happens, for a minute, for five.

Three namespaces are in use, one is denied, twenty more are granted without a custom resource in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scopedcache.metrics import BACKGROUND_TASKS, EVENT_HANDLERS

from .clock import now, pause
from .denial import too_many
from .observations import SECONDARY, is_review, is_work, told
from .program import period
from .rows import Outcome, Row
from .starting import started
from .steps import at_rest, difference
from .waiting import differs, eventually, first, never, require, sleep_until
from .world import BOUND, CONVERGED, World

NAME = "memcached"
USED = ("used-one", "used-two", "used-three")
REFUSED = "refused"
UNUSED = 20
MINUTE = 60.0
LONG = 300.0


@contextmanager
def idle_world(logs: Path | None) -> Iterator[World]:
    """Run a world with everything settled, and note when it became idle."""
    with started(logs, "idle") as world:
        for number in range(UNUSED):
            world.namespace(f"unused-{number}", allowed=True)
        world.start_operator("--no-leader-elect")
        world.settled(*USED)
        world.namespace(REFUSED)
        world.memory["denied at"] = now()
        world.create(REFUSED, NAME, 1)
        world.await_failure(REFUSED, NAME, "NotPermitted", within=CONVERGED)
        pause(BOUND)  # what follows a denial is over
        world.memory |= {
            "since": now(),
            "mark": world.plane.audit.mark(),
            "metrics": at_rest(world),
            "memory": world.operator.memory(),
            "watches": watches(world),
        }
        yield world


def budget(world: World) -> Outcome:
    """Row 9a.5."""
    opened = [r for r in world.requests() if r.namespace in USED and r.resource in SECONDARY]
    first_asked = [r for r in opened if r.verb in ("list", "watch")]
    most = 2 * len(USED) * len(SECONDARY)
    require(too_many(told(first_asked), len(first_asked), most), "lists and watches to open three namespaces")
    unused = [r for r in world.requests() if r.namespace and r.namespace.startswith("unused-")]
    require(told(unused) if unused else None, "requests for namespaces without a custom resource")
    sleep_until(world.memory["since"] + MINUTE)
    window = now() - world.memory["since"]
    reviews = [r for r in world.requests(world.memory["mark"]) if is_review(r)]
    # One per namespace in use (the denied one waits, so it is) and one for the cluster-wide rules.
    per_period = len(USED) + 1 + 1
    periods = window / period(world.operator)
    most_reviews = per_period * (periods + 1)
    require(too_many(told(reviews), len(reviews), most_reviews), f"reviews in {window:.0f} s")
    require("no review was sent: nothing would be noticed" if not reviews else None, "probing")
    single = [r for r in reviews if r.resource.startswith("selfsubjectaccessreviews")]
    require(told(single) if single else None, "access reviews while rules reviews are complete")
    per = len(reviews) / periods
    return Outcome(
        None,
        {
            "reviews per period": per,
            "at most": per_period,
            "period": period(world.operator),
            "to open 3 namespaces": len(first_asked),
        },
    )


def writes_nothing(world: World) -> Outcome:
    """Row B.idle."""
    mark = world.memory["mark"]
    sleep_until(world.memory["since"] + MINUTE)
    work = [r for r in world.requests(mark) if is_work(r)]
    require(told(work) if work else None, "writes of an idle operator with a denied CR")
    others = [r for r in world.requests(mark) if not is_work(r) and not is_review(r) and r.verb != "watch"]
    others = [r for r in others if r.resource and not r.resource.startswith("leases")]
    require(told(others) if others else None, "requests other than reviews and watches")
    return Outcome(None, {"quiet for": now() - world.memory["since"]})


def long_denied(world: World) -> Outcome:
    """Row B.denied: five minutes with a denied CR."""
    memory = world.memory
    absent: set[str] = set()

    def restless() -> str | None:
        now, watched = world.operator.metrics(), watches(world)
        grown = difference(memory["metrics"], now, EVENT_HANDLERS)
        missing = set(memory["watches"]) - set(watched)
        gone = missing & absent  # at two looks: longer than the renewal of a watch takes
        absent.clear()
        absent.update(missing)
        return first(
            world.operator.unexpected_end(),
            differs("growth of event handlers", grown, 0.0),
            differs("the watches that are new", sorted(set(watched) - set(memory["watches"])), []),
            differs("the open watches of a kind and place", max(Counter(watched).values(), default=0), 1),
            differs("the watches that are gone", sorted(gone), []),
        )

    left = memory["since"] + LONG - now()
    never("growth while one CR is denied", restless, during=max(0.0, left), interval=2.0)
    window = now() - memory["since"]
    refused = world.requests(memory["mark"], code=403)
    require(too_many(told(refused), len(refused), window / period(world.operator)), "refused requests")

    def more_tasks() -> str | None:
        grown = difference(memory["metrics"], world.operator.metrics(), BACKGROUND_TASKS)
        return differs("growth of tasks", grown, 0.0)

    eventually("as many tasks as before", more_tasks, within=CONVERGED)  # a watch that is renewed has none for a moment
    facts: dict[str, Any] = {"minutes": window / 60, "403s": len(refused)}
    if (used := world.operator.memory()) is not None:
        facts["memory growth in MB"] = used - memory["memory"]
    return Outcome(None, facts)


def watches(world: World) -> list[str]:
    """Return what is watched and where, a word for each open watch."""
    return sorted(f"{watch.resource} in {watch.namespace}" for watch in world.watches())


ROWS = (
    Row("9a.5", "idle: one rules review per namespace in use and period, one for the cluster", None, budget),
    Row("B.idle", "idle: a minute without a write, beside a denied CR", None, writes_nothing),
    Row("B.denied", "denied for five minutes: no more handlers, tasks, refused requests", None, long_denied),
)
