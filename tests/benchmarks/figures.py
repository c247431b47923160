"""What is aimed at, and the table of what was reached. The targets are those of docs, not of this machine."""

import statistics
from collections.abc import Iterable, Mapping
from typing import Literal

import attrs

Figures = Mapping[str, float]
Results = Mapping[str, Figures]
"""Figures by what they were measured on: a driver, or "micro"."""
Row = tuple[str, str, str, str, str]
_LOW, _HIGH = ", least", ", most"

OURS, SHARED, LIGHTKUBE, UVLOOP, MICRO = "scopedcache", "SharedInformer", "lightkube", "scopedcache on uvloop", "micro"
COMPRESSED = "scopedcache, compressed"
ASYNCIO, KR8S, KOPF = "kubernetes_asyncio", "kr8s", "kopf's index"
SLOW = (ASYNCIO, KR8S, KOPF)
GO, GO_TYPED, GO_METADATA = "Go unstructured", "Go typed, JSON", "Go metadata"
RUST = "kube-rs typed, jemalloc"
PEERS = (GO, GO_TYPED, GO_METADATA, RUST)
PATH, WATCHES, WATCHES_UVLOOP = "event path", "watches", "watches on uvloop"


@attrs.frozen
class Target:
    """One row: a figure of ours, what it should be, and the client it is set against."""

    name: str
    key: str
    unit: str
    bound: float | None = None
    better: Literal["more", "less"] = "more"
    peer: str | None = None
    """The bound is then a factor: so many times the peer's figure."""
    source: str = OURS

    def row(self, results: Results) -> Row | None:
        """Return name, target, value, ratio and verdict; None where it was not measured."""
        value = results.get(self.source, {}).get(self.key)
        if value is None:
            return None
        if self.peer is None:
            shown = f"{_number(value)} {self.unit}{_spread(results[self.source], self.key)}"
            return self.name, self._aim(), shown, "", self._verdict(value)
        other = results.get(self.peer, {}).get(self.key)
        if other is None:
            return None
        ratio = value / other if self.better == "more" else other / value
        shown = f"{_number(value)} : {_number(other)} {self.unit}{_spread(results[self.peer], self.key)}"
        return f"{self.name}, beside {self.peer}", self._aim(), shown, f"{ratio:.1f} ×", self._verdict(ratio)

    def _aim(self) -> str:
        if self.bound is None:
            return ""
        sign = "≥" if self.better == "more" or self.peer else "≤"
        return f"{sign} {self.bound:,g} {'×' if self.peer else self.unit}"

    def _verdict(self, value: float) -> str:
        if self.bound is None:
            return ""
        more = self.better == "more" or self.peer is not None
        return "met" if (value >= self.bound if more else value <= self.bound) else "missed"


def _targets(ours: str) -> list[Target]:
    def row(name: str, key: str, unit: str, bound: float | None, better: Literal["more", "less"] = "more") -> Target:
        return Target(name, key, unit, bound, better, source=ours)

    def beside(peer: str, name: str, key: str, unit: str, bound: float | None) -> Target:
        return Target(name, key, unit, bound, "more" if unit.endswith("/s") else "less", peer, source=ours)

    def beside_others(name: str, key: str, unit: str, go: float | None, rust: float | None) -> list[Target]:
        bounds = {GO: go, RUST: rust}
        return [beside(peer, name, key, unit, bounds.get(peer)) for peer in (*SLOW, *PEERS)]

    return [
        row("first sync", "sync_objects_per_s", "objects/s", 40_000),
        beside(SHARED, "first sync", "sync_objects_per_s", "objects/s", 15),
        beside(LIGHTKUBE, "first sync", "sync_objects_per_s", "objects/s", None),
        *beside_others("first sync", "sync_objects_per_s", "objects/s", 20, 4),
        row("events", "events_per_s", "events/s", 35_000),
        beside(SHARED, "events", "events_per_s", "events/s", 12),
        beside(LIGHTKUBE, "events", "events_per_s", "events/s", 1.7),
        *beside_others("events", "events_per_s", "events/s", 30, 4),
        row("events, each decoded in full", "full_events_per_s", "events/s", 20_000),
        beside(LIGHTKUBE, "events, each decoded in full", "full_events_per_s", "events/s", None),
        row("CPU of an event", "cpu_us_per_event", "µs", None, "less"),
        *beside_others("CPU of an event", "cpu_us_per_event", "µs", None, None),
        row("CPU of an event that comes alone (1,000/s)", "lone_cpu_us_per_event", "µs", 60, "less"),
        row("memory kept", "kept_kb_per_object", "KB/Pod", 4.5, "less"),
        beside(SHARED, "memory kept", "kept_kb_per_object", "KB/Pod", None),
        beside(LIGHTKUBE, "memory kept", "kept_kb_per_object", "KB/Pod", None),
        *beside_others("memory kept", "kept_kb_per_object", "KB/Pod", None, None),
        row("peak growth while syncing", "peak_growth_mb", "MB", 60, "less"),
        row("whole process, peak after the first sync", "peak_mb", "MB", 75, "less"),
        row("longest stall, syncing", "sync_stall_ms", "ms", 5, "less"),
        row("  of it our own CPU", "sync_stall_cpu_ms", "ms", 5, "less"),
        row("longest stall, 20,000 events/s", "paced_stall_ms", "ms", 5, "less"),
        row("  of it our own CPU", "paced_stall_cpu_ms", "ms", 5, "less"),
        row("delay of an event at 1,000/s, median", "latency_p50_us", "µs", None, "less"),
        row("delay of an event at 1,000/s, p99", "latency_p99_us", "µs", None, "less"),
    ]


_MICRO = [
    Target("private full read", "full_read_us", "µs", 12, "less", source=MICRO),
    Target("  of it msgspec's decoding (7.9 where targets were set)", "decode_us", "µs", source=MICRO),
    Target("get, nothing decoded", "get_us", "µs", source=MICRO),
    Target("metadata read of what was got", "metadata_read_us", "µs", 0.3, "less", source=MICRO),
    Target("miss", "miss_us", "µs", 0.3, "less", source=MICRO),
    Target("event with 1 scope open", "event_1_scope_us", "µs", source=MICRO),
    Target("event with many scopes open, beside one", "event_scopes_ratio", "×", 1.1, "less", source=MICRO),
    Target("opening one of the first 100 scopes", "first_scope_us", "µs", 50, "less", source=MICRO),
    Target("opening one of the last 100", "last_scope_us", "µs", 50, "less", source=MICRO),
    Target("import scopedcache", "import_ms", "ms", 120, "less", source=MICRO),
    Target("Kubernetes clients imported by that", "import_clients", "", 0, "less", source=MICRO),
]


# D is the time of one `msgspec.json.decode` of the same Pod in the same round.
_PATH = [
    Target("event, from the bytes of the socket to the handler", "path_d", "D", 1.5, "less", source=PATH),
    Target("  median of the rounds", "path_d_median", "D", source=PATH),
    Target("  in time", "path_us", "µs", source=PATH),
    Target("the same, the handler decodes in full", "path_full_d", "D", 2.7, "less", source=PATH),
    Target("  median of the rounds", "path_full_d_median", "D", source=PATH),
]


_COMPRESSED = [
    Target("memory kept, compressed", "kept_kb_per_object", "KB/Pod", 1.6, "less", source=COMPRESSED),
    Target("  CPU of an event then", "cpu_us_per_event", "µs", source=COMPRESSED),
]


def _watches(source: str) -> list[Target]:
    return [
        Target("idle namespace: a watch over TLS and its scope", "watch_kib", "KiB", 100, "less", source=source),
        Target("opening 2,000 of them at once", "watches_open_s", "s", 10, "less", source=source),
        Target("  of it our own CPU", "watches_open_cpu_s", "s", source=source),
    ]


def table(results: Results) -> str:
    """Return the table of `python -m tests.benchmarks`."""
    return _laid_out(rows_of(results))


def rows_of(results: Results) -> list[Row]:
    """Return the rows of that table."""
    rows = _rows([*_targets(OURS), *_COMPRESSED], results) + _rows(_PATH, results) + _rows(_MICRO, results)
    rows += _rows(_watches(WATCHES), results)
    if UVLOOP in results:
        rows += [("on uvloop", "", "", "", ""), *_rows(_targets(UVLOOP), results)]
        rows += _rows(_watches(WATCHES_UVLOOP), results)
    return rows


def table_of(targets: Iterable[Target], results: Results) -> str:
    """Return a table of these targets: figure, target, value, ratio, met or missed."""
    return _laid_out(_rows(targets, results))


def medians(runs: Iterable[Figures]) -> dict[str, float]:
    """Return the median of each figure over the runs; and its least and its most, where there were several."""
    gathered: dict[str, list[float]] = {}
    for figures in runs:
        for key, value in figures.items():
            gathered.setdefault(key, []).append(value)
    found = {key: statistics.median(values) for key, values in gathered.items()}
    for key, values in gathered.items():
        if len(values) > 1:
            found |= {key + _LOW: min(values), key + _HIGH: max(values)}
    return found


def _spread(figures: Figures, key: str) -> str:
    if key + _LOW not in figures:
        return ""
    return f" ({_number(figures[key + _LOW])}–{_number(figures[key + _HIGH])})"


def _rows(targets: Iterable[Target], results: Results) -> list[Row]:
    return [row for target in targets if (row := target.row(results)) is not None]


def _laid_out(found: list[Row]) -> str:
    rows = [("figure", "target", "value", "ratio", ""), *found]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "─" * (sum(widths) + 8), *lines[1:]])


def _number(value: float) -> str:
    if value == int(value) or abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:,.2f}"
