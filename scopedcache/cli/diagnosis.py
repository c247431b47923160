"""What is well and what is not on the way between this machine and a server, from facts that were gathered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

import attrs

from .exit_status import ExitStatus
from .report import Report, Table

# Between two clocks; leader election compares none, but dates in statuses and logs are read side by side.
CLOCK_SKEW_SECONDS: Final = 5.0
# What a process has open besides its watches.
OTHER_FILES: Final = 64
# An operator of ten kinds in twenty namespaces.
WATCHES_WANTED: Final = 200

State = Literal["ok", "note", "trouble"]


@attrs.frozen
class Check:
    """One thing that was looked at."""

    name: str
    state: State
    found: str


@attrs.frozen
class Facts:
    """What was gathered; None where it could not be.

    Attributes:
        origin: where the way to the server was found.
        date: what the server's clock said, and `local` what ours did then.
        rules: whether reviews of rules are answered, and say all there is; None: they are refused.
        watches_rbac: whether RBAC objects may be watched.
        streaming: how a streaming list went: True it works, False it is not offered, None: nothing could be tried.
        filters_shards: whether lists and watches can be asked for a shard; None: nothing could be tried.
        files: the hard limit of open files.
    """

    origin: str
    host: str
    namespace: str | None
    version: str
    seconds: float
    user: str | None
    date: datetime | None
    local: datetime
    rules: Literal["complete", "incomplete"] | None
    watches_rbac: bool | None
    lists_namespaces: bool | None
    streaming: bool | None
    streaming_tried: str
    filters_shards: bool | None
    files: int | None
    python: str
    library: str


def checks(facts: Facts) -> list[Check]:
    """Return what the facts come to."""
    return [
        Check("scopedcache", "ok", f"{facts.library} on Python {facts.python}"),
        Check("way to the server", "ok", f"{facts.origin}: {facts.host}, namespace {facts.namespace or 'default'}"),
        Check("server", "ok", f"{facts.version}, answered in {facts.seconds * 1000:.0f} ms"),
        Check("identity", "ok" if facts.user else "note", facts.user or "the server does not say who we are"),
        _clock(facts),
        _reviews(facts),
        _rbac_watch(facts),
        _streaming(facts),
        _sharding(facts),
        _namespaces(facts),
        _files(facts),
    ]


def report(found: Sequence[Check]) -> Report:
    """Return what to print."""
    table = Table(("check", "state", "found"), [(check.name, check.state, check.found) for check in found])
    trouble = any(check.state == "trouble" for check in found)
    data = {"checks": [attrs.asdict(check) for check in found]}
    return Report(data, [table], status=ExitStatus.FOUND if trouble else ExitStatus.DONE)


def _clock(facts: Facts) -> Check:
    if facts.date is None:
        return Check("clock", "note", "the server sends no date")
    skew = (facts.local - facts.date).total_seconds()
    if abs(skew) > CLOCK_SKEW_SECONDS:
        words = f"ours is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the server's: dates will mislead"
        return Check("clock", "trouble", words)
    return Check("clock", "ok", f"within {CLOCK_SKEW_SECONDS:.0f} s of the server's")


def _reviews(facts: Facts) -> Check:
    match facts.rules:
        case "complete":
            return Check("reviews", "ok", "one review of all rules tells what may be done in a namespace")
        case "incomplete":
            words = "another authoriser stands behind RBAC: the cache asks about each right it lacks by itself"
            return Check("reviews", "note", words)
        case None:
            words = "refused (ClusterRole system:basic-user): lost rights show in refused watches alone"
            return Check("reviews", "trouble", words)


def _rbac_watch(facts: Facts) -> Check:
    if facts.watches_rbac:
        return Check("watching RBAC", "ok", "allowed: a change of rights is noticed in about 1 s")
    return Check("watching RBAC", "note", "not allowed: a change of rights is noticed by asking, within 7.5 s")


def _streaming(facts: Facts) -> Check:
    match facts.streaming:
        case True:
            return Check("streaming lists", "ok", f"offered ({facts.streaming_tried})")
        case False:
            words = f"not offered ({facts.streaming_tried}): the cache lists page by page, then watches"
            return Check("streaming lists", "note", words)
        case None:
            return Check("streaming lists", "note", "not tried: no kind could be found that may be listed and watched")


def _sharding(facts: Facts) -> Check:
    match facts.filters_shards:
        case True:
            return Check("sharded watches", "ok", "offered: replicas that share the work receive their part each")
        case False:
            words = "not offered: replicas that share the work (Sharding) receive every event of their kind each"
            return Check("sharded watches", "note", words)
        case None:
            return Check("sharded watches", "note", "not tried: no kind could be found that may be listed")


def _namespaces(facts: Facts) -> Check:
    if facts.lists_namespaces:
        return Check("namespaces", "ok", "may be listed and watched: a controller can choose them by labels")
    return Check("namespaces", "note", "may not be listed and watched: name them to a controller, or watch everywhere")


def _files(facts: Facts) -> Check:
    if facts.files is None:
        return Check("open files", "ok", "no limit")
    room = max(0, facts.files - OTHER_FILES)
    words = f"at most {facts.files}: room for about {room} watches"
    return Check("open files", "ok" if room >= WATCHES_WANTED else "trouble", words)
