"""`scopedcache scale`: what an operator of some size costs."""

from __future__ import annotations

from math import isnan
from typing import Annotated, Final

import typer

from ..asking import give_up, show_report
from ..exit_status import ExitStatus
from ..options import Format
from ..printing import Output
from ..scale_estimate import POD, Size, report

# More than this is a slip of the keyboard.
MOST: Final = 10**9

NamespaceCount = Annotated[int, typer.Option("--namespaces", min=1, max=MOST, help="Namespaces in use.")]
Kinds = Annotated[int, typer.Option("--kinds", min=0, max=MOST, help="Kinds watched in each of them.")]
Objects = Annotated[int, typer.Option("--objects", min=0, max=MOST, help="Objects kept of these kinds, in all.")]
ObjectBytes = Annotated[
    float,
    typer.Option("--object-bytes", min=0, max=MOST, help="What is kept of one; a Pod of 4.7 KB takes 1070 compressed."),
]
Owners = Annotated[
    int, typer.Option("--owners", min=0, max=MOST, help="Custom resources, each with a scope of its own.")
]
EventRate = Annotated[
    float, typer.Option("--event-rate", min=0, max=MOST, help="Events a second that are divided among replicas.")
]
UndividedEventRate = Annotated[
    float,
    typer.Option(
        "--undivided-event-rate", min=0, max=MOST,
        help="Events a second that each replica receives: of the primary kind where the server knows no sharded "
        "watches, of kinds watched everywhere.",
    ),
]  # fmt: skip
RunRate = Annotated[
    float, typer.Option("--run-rate", min=0, max=MOST, help="Reconciles a second that write once, in all.")
]
Replicas = Annotated[int, typer.Option("--replicas", min=1, max=10_000, help="Replicas that share the work.")]
RbacEvents = Annotated[bool, typer.Option("--rbac-events", help="RBAC objects may be listed and watched.")]


def scale(
    namespaces: NamespaceCount,
    kinds: Kinds = 1,
    objects: Objects = 0,
    object_bytes: ObjectBytes = POD.value,
    owners: Owners = 0,
    event_rate: EventRate = 0.0,
    undivided_event_rate: UndividedEventRate = 0.0,
    run_rate: RunRate = 0.0,
    replicas: Replicas = 1,
    rbac_events: RbacEvents = False,
    output: Format = Output.TABLE,
) -> None:
    """Reckon what an operator of that size costs: memory, connections, requests, CPU, and how soon it follows rights.

    It asks no server. Each number that goes in says where it was measured, or that it is a guess.
    """
    if any(map(isnan, (object_bytes, event_rate, undivided_event_rate, run_rate))):  # no range leaves it out
        give_up("nan is no number of bytes or events", ExitStatus.USAGE)
    size = Size(
        namespaces=namespaces,
        kinds=kinds,
        objects=objects,
        replicas=replicas,
        object_bytes=object_bytes,
        owners=owners,
        events=event_rate,
        undivided_events=undivided_event_rate,
        runs=run_rate,
        rbac_events=rbac_events,
    )
    show_report(report(size), output)
