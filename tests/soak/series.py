"""What a soak measured, and whether anything grew: values in, findings out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Final

import attrs

# A round ends with nothing left to do: what is there then should be there after every other round, too. The first
# rounds fill tables of the interpreter and of the allocator once.
WARM_UP: Final = 0.25
# What may come and go without being a leak: a share of what there was, and so many of them besides.
TOLERANCE: Final[dict[str, tuple[float, float]]] = {
    "memory": (0.05, 2.0),
    "tasks": (0.0, 3.0),
    "connections": (0.0, 3.0),
    "descriptors": (0.0, 3.0),
    "watches": (0.0, 0.0),
    "objects": (0.0, 0.0),
}


@attrs.frozen
class Sample:
    """One look at the operator.

    Attributes:
        at: seconds since the beginning.
        memory: resident, in MB.
        requests: all since its start.
        rest: whether this is the end of a round, with no custom resource and no right left.
    """

    at: float
    memory: float
    tasks: float
    connections: float
    descriptors: float
    watches: float
    objects: float
    requests: float
    rest: bool = False


@attrs.frozen
class Detection:
    """How long it took until a change of rights was followed; `kind` is `loss` or `gain`."""

    at: float
    kind: str
    seconds: float


def drift(samples: Sequence[Sample]) -> list[str]:
    """Tell in words what grew between the rests after warming up and those at the end; nothing where it is too early.

    The medians of two groups of rests are compared, so that one odd look condemns nobody.
    """
    rests = [sample for sample in samples if sample.rest]
    settled = rests[int(len(rests) * WARM_UP) :]
    third = len(settled) // 3
    if third < 1:
        return []
    found = []
    for name, (share, absolute) in TOLERANCE.items():
        before = median(getattr(sample, name) for sample in settled[:third])
        after = median(getattr(sample, name) for sample in settled[-third:])
        if after > before * (1 + share) + absolute:
            found.append(f"{name} rose from {before:g} to {after:g} at rest")
    return found


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of them lies; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def rates(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    """Return the requests per second between looks; none across a restart, where counters begin anew."""
    pairs = pairwise(samples)
    return [
        (b.at, (b.requests - a.requests) / (b.at - a.at)) for a, b in pairs if b.at > a.at and b.requests >= a.requests
    ]
