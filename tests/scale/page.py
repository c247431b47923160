"""The tables and plots of docs/scale.md that a run of replicas fills in: nobody types a figure."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

from tests import plots

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
END: Final = "<!-- end -->"


@attrs.frozen
class Cost:
    """What one replica costs, of so many: at rest, and while objects change."""

    replicas: int
    name: str
    namespaces: int
    objects: int
    watches: int
    bound: float
    bare_mib: float
    resident_mib: float
    rest_cpu: float
    reviews: float
    renewals: float
    lease_requests: float
    changes: float
    cpu: float
    received_kb: float
    requests: float
    server_filters: bool

    def at_rest(self) -> dict[str, str]:
        """Return its row of the table of what there is, and what it costs while nothing happens."""
        return {
            "replicas": str(self.replicas),
            "replica": self.name,
            "namespaces": f"{self.namespaces:,}",
            "objects": f"{self.objects:,}",
            "watches": f"{self.watches:,}",
            "bound": f"{self.bound:.1f} s",
            "resident": f"{self.resident_mib:.1f} MiB",
            "before it began": f"{self.bare_mib:.1f} MiB",
            "reviews a second": f"{self.reviews:.1f}",
            "Lease renewals a second": f"{self.renewals:.2f}",
            "all requests for Leases": f"{self.lease_requests:.2f}",
            "CPU": f"{self.rest_cpu:.1f} %",
        }

    def at_work(self) -> dict[str, str]:
        """Return its row of the table of what it costs while objects change."""
        return {
            "replicas": str(self.replicas),
            "replica": self.name,
            "changes a second": f"{self.changes:.1f}",
            "requests a second": f"{self.requests:.1f}",
            "primary's watch, kB a second": f"{self.received_kb:.1f}",
            "CPU": f"{self.cpu:.1f} %",
        }


# What the plot shows, in parts of what one replica alone has.
DRAWN: Final = {
    "CPU": "cpu", "memory": "resident_mib", "bytes watched": "received_kb", "bound": "bound", "watches": "watches",
}  # fmt: skip


@attrs.frozen
class Step:
    """Something that happened to replicas: when, and how long until those that were left had it all."""

    what: str
    began: float
    seconds: float
    pause: float = 0.0

    def row(self) -> dict[str, str]:
        """Return its row."""
        return {
            "what happened": self.what,
            "until the others had it all": f"{self.seconds:.1f} s",
            "longest time without a write in a namespace": f"{self.pause:.1f} s",
        }


def cost_plot(costs: Sequence[Cost], title: str) -> str:
    """Return an SVG: the dearest replica of so many, in percent of what one alone costs."""
    counts = sorted({cost.replicas for cost in costs})

    def most(name: str, count: int) -> float:
        return float(max(getattr(cost, name) for cost in costs if cost.replicas == count))

    shares = {
        label: [100 * most(name, count) / (most(name, counts[0]) or 1.0) for count in counts]
        for label, name in DRAWN.items()
    }
    return plots.lines(title, [str(count) for count in counts], shares, across="replicas")


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return a table of a page, of rows with equal headings."""
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    head, *written = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *written])


def cost_tables(costs: Sequence[Cost]) -> str:
    """Return the tables of what replicas cost."""
    rest, work = table([cost.at_rest() for cost in costs]), table([cost.at_work() for cost in costs])
    return f"While nothing happens:\n\n{rest}\n\nWhile one object of each namespace changes:\n\n{work}"


def fill(page: str, texts: Mapping[str, str]) -> str:
    """Return the page with these texts between the comments of their names."""
    for name, text in texts.items():
        mark = f"<!-- table: {name} -->\n"
        before, rest = page.split(mark, 1)
        page = f"{before}{mark}{text}\n{END}{rest.split(END, 1)[1]}"
    return page


def rows(page: str, name: str) -> list[list[dict[str, str]]]:
    """Return the tables between the comments of this name, each as rows by heading."""
    text = page.split(f"<!-- table: {name} -->\n", 1)[1].split(END, 1)[0]
    found = []
    for block in text.split("\n\n"):
        lines = [line.strip("|").split("|") for line in block.splitlines() if line.startswith("|")]
        if lines:
            cells = [[cell.strip() for cell in line] for line in lines]
            found.append([dict(zip(cells[0], line, strict=True)) for line in cells[2:]])
    return found


def write(texts: Mapping[str, str], drawn: Mapping[str, str] | None = None, docs: Path = DOCS) -> None:
    """Write texts into docs/scale.md, and plots beside it."""
    page = docs / "scale.md"
    page.write_text(fill(page.read_text(), texts))
    for name, svg in (drawn or {}).items():
        (docs / "scale").mkdir(exist_ok=True)
        (docs / "scale" / f"{name}.svg").write_text(svg)


def machine(load: float) -> str:
    """Return a sentence on how busy the machine was."""
    return (
        f"Load {load:.1f} on {os.cpu_count()} cores when it began, {os.getloadavg()[0]:.1f} at the end; "
        "servers, replicas and whatever else ran there share them."
    )
