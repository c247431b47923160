"""What an operator of some size costs, by formula. Each figure that goes in was measured or guessed, and says where."""

from __future__ import annotations

from math import ceil
from typing import Final

import attrs

from ..access.detection_bound import PERIOD_SECONDS, effective_bound
from ..access.review_budget import REVIEWS_PER_SECOND
from ..controller.manager.election_rules import JITTER_FRACTION, RETRY_PERIOD_SECONDS
from ..informer.informer_options import WATCH_TIMEOUT_SECONDS
from .report import Report, Table

KIB: Final = 1024
MIB: Final = 1024 * KIB
MICROSECONDS: Final = 1e-6


@attrs.frozen
class Figure:
    """A number that goes into the formulas.

    Attributes:
        source: the page that has it, or how it was had.
        measured: False for a guess.
    """

    value: float
    unit: str
    what: str
    source: str
    measured: bool = True


# docs/performance.md has a rate and a time for each, docs/scale.md the tables that the others were read from. Two
# unknowns and two rows of the table of bounds give the CPU of a review and of an idle watch; its other rows agree.
PROCESS: Final = Figure(52.0 * MIB, "bytes", "a process that holds nothing", "docs/scale.md, replicas")
WATCH: Final = Figure(70.0 * KIB, "bytes", "a watch over TLS and a scope", "docs/performance.md, idle namespace")
OWNER: Final = Figure(3.4 * KIB, "bytes", "a custom resource of 1 kB, and its scope", "docs/scale.md, replicas")
POD: Final = Figure(4190.0, "bytes", "kept of a Pod of 4.7 KB", "docs/performance.md, memory kept")
COMPRESSED_POD: Final = Figure(1070.0, "bytes", "the same, compressed", "docs/performance.md, memory kept, compressed")
REVIEW: Final = Figure(1600 * MICROSECONDS, "s", "CPU of a review", "docs/scale.md, bound")
IDLE_WATCH: Final = Figure(22 * MICROSECONDS, "s/s", "CPU of an open watch", "docs/scale.md, bound")
LEASE_REQUEST: Final = Figure(1600 * MICROSECONDS, "s", "CPU of a request for a Lease", "as a review", measured=False)
EVENT_IN_CROWD: Final = Figure(33.7 * MICROSECONDS, "s", "CPU of an event among many", "docs/performance.md")
LONE_EVENT: Final = Figure(214.3 * MICROSECONDS, "s", "CPU of an event that comes alone", "docs/performance.md")
RUN: Final = Figure(
    2500 * MICROSECONDS, "s", "CPU of a run that writes once, with its two events", "docs/scale.md, replicas"
)
FIGURES: Final = {
    "process": PROCESS, "watch": WATCH, "owner": OWNER, "pod": POD, "compressed_pod": COMPRESSED_POD, "review": REVIEW,
    "idle_watch": IDLE_WATCH, "lease_request": LEASE_REQUEST, "event_in_crowd": EVENT_IN_CROWD,
    "lone_event": LONE_EVENT, "run": RUN,
}  # fmt: skip

# A watch is renewed after once to twice this, evenly spread.
WATCH_RENEWED_SECONDS: Final = 1.5 * WATCH_TIMEOUT_SECONDS
# A leader renews its Lease; a replica that shares the work also lists the Leases of all, after pauses of chance.
LEASE_REQUESTS_OF_LEADER: Final = 1 / RETRY_PERIOD_SECONDS
LEASE_REQUESTS_OF_SHARE: Final = LEASE_REQUESTS_OF_LEADER * (1 + 1 / (1 + JITTER_FRACTION / 2))
# With RBAC events four kinds are watched, and a change is noticed in about this.
RBAC_WATCHES: Final = 4
RBAC_EVENT_SECONDS: Final = 1.0


@attrs.frozen
class Size:
    """How large an operator is, all replicas together.

    Attributes:
        namespaces: those in use.
        kinds: watched in each of them.
        objects: kept, of all these kinds.
        object_bytes: what is kept of one.
        owners: custom resources of 1 kB, each with a scope of its own; their kind is watched everywhere.
        events: a second, of all kinds together; they are divided among replicas.
        undivided_events: a second that every replica receives, as of a kind of `owns=`, or of the primary kind where
            the server does not know sharded watches.
        runs: reconciles a second that write once; the events that belong to them are in their cost.
        rbac_events: RBAC objects may be watched.
    """

    namespaces: int
    kinds: int = 1
    objects: int = 0
    replicas: int = 1
    object_bytes: float = POD.value
    owners: int = 0
    events: float = 0.0
    undivided_events: float = 0.0
    runs: float = 0.0
    rbac_events: bool = False


@attrs.frozen
class Estimate:
    """What one of the replicas costs; CPU in seconds a second.

    Attributes:
        watches: each has a connection of its own; requests share some more.
        events_cpu: where they come in crowds, and where each comes alone.
        bound: seconds within which a change of rights is noticed.
    """

    namespaces: int
    watches: int
    memory: float
    reviews: float
    renewed_watches: float
    lease_requests: float
    rest_cpu: float
    events_cpu: tuple[float, float]
    runs_cpu: float
    bound: float

    @property
    def requests(self) -> float:
        """Return its requests a second while nothing happens."""
        return self.reviews + self.renewed_watches + self.lease_requests

    @property
    def most_cpu(self) -> float:
        """Return its CPU where each event comes alone."""
        return self.rest_cpu + self.events_cpu[1] + self.runs_cpu


def estimate(size: Size) -> Estimate:
    """Return what one replica costs that has an even share of everything."""
    replicas = size.replicas
    namespaces = ceil(size.namespaces / replicas)
    watches = namespaces * size.kinds + 1 + RBAC_WATCHES * size.rbac_events
    places = namespaces + 1  # what is watched everywhere is a place, too
    reviews = min(places / PERIOD_SECONDS, REVIEWS_PER_SECOND)
    leases = LEASE_REQUESTS_OF_SHARE if replicas > 1 else LEASE_REQUESTS_OF_LEADER
    events = size.events / replicas + size.undivided_events
    return Estimate(
        namespaces=namespaces,
        watches=watches,
        memory=PROCESS.value
        + watches * WATCH.value
        + (size.objects * size.object_bytes + size.owners * OWNER.value) / replicas,
        reviews=reviews,
        renewed_watches=watches / WATCH_RENEWED_SECONDS,
        lease_requests=leases,
        rest_cpu=reviews * REVIEW.value + watches * IDLE_WATCH.value + leases * LEASE_REQUEST.value,
        events_cpu=(events * EVENT_IN_CROWD.value, events * LONE_EVENT.value),
        runs_cpu=size.runs / replicas * RUN.value,
        bound=RBAC_EVENT_SECONDS if size.rbac_events else effective_bound(PERIOD_SECONDS, places),
    )


def report(size: Size) -> Report:
    """Return what it comes to, for each replica and for all of them."""
    each, count = estimate(size), size.replicas
    rows = [
        ("namespaces", f"{each.namespaces:,}", f"{size.namespaces:,}"),
        ("watches, a connection each", f"{each.watches:,}", f"{each.watches * count:,}"),
        ("memory", megabytes(each.memory), megabytes(each.memory * count)),
        ("requests a second at rest", f"{each.requests:.1f}", f"{each.requests * count:.1f}"),
        ("  reviews of rights", f"{each.reviews:.1f}", f"{each.reviews * count:.1f}"),
        ("  watches renewed", f"{each.renewed_watches:.1f}", f"{each.renewed_watches * count:.1f}"),
        ("  for Leases", f"{each.lease_requests:.1f}", f"{each.lease_requests * count:.1f}"),
        ("CPU at rest", percent(each.rest_cpu), percent(each.rest_cpu * count)),
        ("CPU of events", _range(each, 1), _range(each, count)),
        ("CPU of runs", percent(each.runs_cpu), percent(each.runs_cpu * count)),
        ("a change of rights is noticed within", f"{each.bound:.1f} s", f"{each.bound:.1f} s"),
    ]
    figures = [
        (figure.what, _shown(figure), f"{'measured' if figure.measured else 'guessed'}: {figure.source}")
        for figure in FIGURES.values()
    ]
    return Report(
        data={
            "size": attrs.asdict(size),
            "replica": {**attrs.asdict(each), "requests": each.requests, "memory": round(each.memory)},
            "figures": {name: attrs.asdict(figure) for name, figure in FIGURES.items()},
        },
        blocks=[
            Table(("what", "each replica", "all"), rows),
            Table(("of what", "taken", "from"), figures),
        ],
        notes=_notes(size, each),
    )


def _notes(size: Size, each: Estimate) -> list[str]:
    notes = ["shares are even here; a replica may have half as much again"] if size.replicas > 1 else []
    if each.most_cpu > 1:
        notes.append(f"{percent(each.most_cpu)} of a core: a replica runs Python on one, so take more replicas")
    if not size.rbac_events and each.bound > effective_bound(PERIOD_SECONDS, 0):
        notes.append("a change of rights is noticed within about a second where RBAC objects may be watched")
    return notes


def megabytes(count: float) -> str:
    """Return bytes as MB."""
    return f"{count / 1e6:,.0f} MB"


def percent(cpu: float) -> str:
    """Return CPU in percent of a core."""
    return f"{100 * cpu:.1f} %"


def _range(each: Estimate, count: int) -> str:
    least, most = (100 * cpu * count for cpu in each.events_cpu)
    return f"{least:.1f}–{most:.1f} %"


def _shown(figure: Figure) -> str:
    if figure.unit == "bytes":
        return f"{figure.value / 1000:,.2f} KB" if figure.value < 1e6 else megabytes(figure.value)
    return f"{figure.value * 1e6:,.1f} µs" + ("/s" if figure.unit == "s/s" else "")
