"""What docs/scale.md shows by formula: `python -m tests.scale.formula` writes it into the page."""

from __future__ import annotations

from typing import Final

import attrs

from scopedcache.cli.scale_estimate import COMPRESSED_POD, Size, estimate, megabytes, percent
from tests import plots
from tests.scale import page

NAMESPACES: Final = (100, 400, 1_000, 5_000, 10_000)
REPLICAS: Final = (1, 2, 4, 8, 16, 32)
# Ten thousand namespaces with ten custom resources and a hundred Pods in each. How much happens is assumed.
LARGE: Final = Size(namespaces=10_000, kinds=1, objects=1_000_000, owners=100_000, events=2_000.0, runs=200.0)
PLOT: Final = "large"


def bounds() -> str:
    """Return the table of bounds, by namespaces and replicas."""
    rows = []
    for namespaces in NAMESPACES:
        row = {"namespaces": f"{namespaces:,}"}
        for replicas in REPLICAS:
            seconds = estimate(Size(namespaces=namespaces, replicas=replicas)).bound
            row[f"bound of {replicas}"] = f"{seconds:.1f} s"
        rows.append(row)
    return page.table(rows)


def large() -> str:
    """Return the table of the large operator, by replicas."""
    rows = []
    for replicas in REPLICAS:
        size = attrs.evolve(LARGE, replicas=replicas)
        each = estimate(size)
        packed = estimate(attrs.evolve(size, object_bytes=COMPRESSED_POD.value))
        rows.append(
            {
                "replicas": str(replicas),
                "watches of each": f"{each.watches:,}",
                "memory of each": megabytes(each.memory),
                "compressed": megabytes(packed.memory),
                "reviews a second of each": f"{each.reviews:.1f}",
                "requests a second of all": f"{each.requests * replicas:.0f}",
                "CPU of each at rest": percent(each.rest_cpu),
                "with events and runs": percent(each.most_cpu),
                "bound": f"{each.bound:.1f} s",
            }
        )
    return page.table(rows)


def large_plot() -> str:
    """Return an SVG: what each replica of the large operator costs, in percent of one alone."""
    found = [estimate(attrs.evolve(LARGE, replicas=replicas)) for replicas in REPLICAS]
    series = {
        "CPU": [each.most_cpu for each in found],
        "memory": [each.memory for each in found],
        "reviews": [each.reviews for each in found],
        "watches": [float(each.watches) for each in found],
        "bound": [each.bound for each in found],
    }
    shares = {name: [100 * value / values[0] for value in values] for name, values in series.items()}
    title = "By formula: each of so many replicas, in % of one alone"
    return plots.lines(title, [str(replicas) for replicas in REPLICAS], shares, across="replicas")


def texts() -> dict[str, str]:
    """Return what stands on the page, by name."""
    return {"bounds": bounds(), "large": large()}


if __name__ == "__main__":
    page.write(texts(), {PLOT: large_plot()})
