"""What a Pod asks for: the sum of its containers, or what the largest of its init containers does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from ..kinds.quantities import largest, total
from ..wire.status_errors import Body

Side = Literal["requests", "limits"]


def containers_of(pod: Body) -> Iterator[Body]:
    """Yield all containers, those that run first last."""
    spec = pod.get("spec") or {}
    yield from spec.get("containers") or ()
    yield from spec.get("initContainers") or ()


def of_container(container: Body, side: Side) -> Body:
    """Return the requests or the limits of one container."""
    return ((container.get("resources") or {}).get(side)) or {}


def of_pod(pod: Body, side: Side) -> Body:
    """Return the requests or the limits of a Pod."""
    spec = pod.get("spec") or {}
    running = [of_container(each, side) for each in spec.get("containers") or ()]
    first = [of_container(each, side) for each in spec.get("initContainers") or ()]
    names = {name for amounts in (*running, *first) for name in amounts}
    return {
        name: largest([total(a[name] for a in running if name in a), *(a[name] for a in first if name in a)])
        for name in sorted(names)
    }
