"""Row X8: 200 namespaces with 5 custom resources each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .clock import now
from .observations import MEMCACHEDS, SECONDARY, Memcached, is_review, is_work
from .rows import Fact, Outcome, Row
from .starting import started
from .waiting import differs, eventually, require
from .world import World

NAMESPACES, OWNERS = 200, 5
LIMIT = 300.0


@contextmanager
def large_world(logs: Path | None) -> Iterator[World]:
    """Run a world with 200 namespaces in which the operator may work."""
    with started(logs, "scale") as world:
        world.many(lambda place: world.namespace(place, allowed=True), places())
        world.start_operator("--no-leader-elect")
        yield world


def converges(world: World) -> Outcome:
    """Row X8."""
    mark, before = world.plane.audit.mark(), world.operator.memory()
    since = now()
    wanted = [(place, f"memcached-{number}") for number in range(OWNERS) for place in places()]
    world.many(lambda owner: world.create(owner[0], owner[1], 1), wanted)
    created = now() - since
    took = eventually(
        "all custom resources succeed", lambda: unfinished(world), within=LIMIT, since=since, interval=2.0
    )
    memory, bound = world.operator.memory(), world.operator.effective_bound
    require(world.watches_differ(*places()), "kinds times namespaces, not times CRs")
    requests = world.requests(mark)
    lists = [r for r in requests if r.resource in SECONDARY and r.verb in ("list", "watch")]
    most = 2 * NAMESPACES * len(SECONDARY)
    require(f"there were {len(lists)}" if len(lists) > most else None, f"at most {most} lists and watches")
    verbs = Counter("review" if is_review(r) else r.verb for r in requests)
    facts: dict[str, Fact] = {
        "created in s": created,
        "open watches": len(world.watches()),
        "requests": len(requests),
        **verbs,
        "writes per CR": sum(map(is_work, requests)) / len(wanted),
        "409s": sum(r.code == 409 for r in requests),
        "effective bound": bound,
    }
    if memory is not None and before is not None:
        facts |= {"memory in MB": memory, "before": before}
    return Outcome(took, facts)


def unfinished(world: World) -> str | None:
    """Tell how many custom resources have not succeeded."""
    require(world.operator.unexpected_end(), "the operator runs")
    found = [Memcached(body) for body in world.plane.list(MEMCACHEDS)]
    late = [wrong for one in found if (wrong := one.not_succeeded(1))]
    missing = differs("custom resources", len(found), NAMESPACES * OWNERS)
    return missing or (f"{len(late)} have not: {late[0]}" if late else None)


def places() -> list[str]:
    """Return the names of the namespaces."""
    return [f"tenant-{number:03}" for number in range(NAMESPACES)]


ROWS = (Row("X8", "200 namespaces x 5 CRs converge on kinds x namespaces watches", LIMIT, converges),)
