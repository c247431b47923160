"""What was measured, as rows: ours, the peers, and how many times theirs ours is."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence

from .contestants import GO, KOPF, OURS
from .measurement import PHASES, Measured, Phase

Row = tuple[str, ...]
HEADER: Row = ("figure", "asked", OURS, GO, KOPF, "ours / Go", "")
# Asked of ours, in Go's figures of the same run.
TIME, CPU, RSS, REQUESTS = 1.0, 1.2, 1.2, 1.0


def brief(result: Measured) -> str:
    """Return one run in one line."""
    seconds = ", ".join(f"{name} {phase.seconds:.1f} s" for name, phase in result.phases.items())
    cpu, work = _total(result, lambda p: p.cpu), _total(result, lambda p: p.work)
    reviews = _total(result, lambda p: p.reviews)
    return f"{seconds}; CPU {cpu:.1f} s, peak {result.peak_mb:.0f} MB, requests {work:.0f}, reviews {reviews:.0f}"


def rows(measured: Mapping[str, Sequence[Measured]]) -> list[Row]:
    """Return the rows."""

    def of(phase: str, figure: Callable[[Phase], float]) -> Callable[[Measured], float]:
        return lambda result: figure(result.phases[phase])

    found = [_row(f"{phase}: time", "s", of(phase, lambda p: p.seconds), measured, TIME) for phase in PHASES]
    found += [_row(f"{phase}: operator CPU", "s", of(phase, lambda p: p.cpu), measured, CPU) for phase in PHASES]
    found += [
        _row("all phases: operator CPU", "s", lambda m: _total(m, lambda p: p.cpu), measured, CPU),
        _row("peak resident memory", "MB", lambda m: m.peak_mb, measured, RSS),
        _row("  the same before the first custom resource", "MB", lambda m: m.idle_mb, measured),
        _row("open watches", "", lambda m: m.watches, measured),
    ]
    found += [
        _row(f"{phase}: requests besides reviews", "", of(phase, lambda p: p.work), measured, REQUESTS)
        for phase in PHASES
    ]
    found += [
        _row("  of them status writes", "", lambda m: _total(m, lambda p: p.status_writes), measured),
        _row("reviews, all phases", "", lambda m: _total(m, lambda p: p.reviews), measured),
        _row("refused writes", "", lambda m: _total(m, lambda p: p.refused.total()), measured),
        _row("error lines logged", "", lambda m: m.error_lines, measured),
        _row("API server CPU, all phases", "s", lambda m: _total(m, lambda p: p.apiserver_cpu), measured),
    ]
    return found


def verbs(result: Measured) -> str:
    """Return the requests of a run by verb."""
    return "; ".join(f"{name}: {dict(phase.requests)}" for name, phase in result.phases.items())


def table(found: Iterable[Row]) -> str:
    """Return the rows in columns."""
    lines = [HEADER, *found]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def markdown(found: Iterable[Row]) -> str:
    """Return the rows as a table of a page."""
    lines = ["| " + " | ".join(HEADER) + " |", "|---" * len(HEADER) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(cell.strip() for cell in row) + " |" for row in found)])


def _row(
    name: str,
    unit: str,
    figure: Callable[[Measured], float],
    measured: Mapping[str, Sequence[Measured]],
    asked: float | None = None,
) -> Row:
    values = {who: [figure(one) for one in measured.get(who, ())] for who in (OURS, GO, KOPF)}
    middle = {who: statistics.median(found) for who, found in values.items() if found}
    ratio = middle[OURS] / middle[GO] if OURS in middle and middle.get(GO) else None
    verdict = "" if ratio is None or asked is None else "met" if ratio <= asked else "missed"
    cells = [_spread(values[who], unit) for who in (OURS, GO, KOPF)]
    aim = "" if asked is None else f"≤ {asked:g} × Go"
    return (name, aim, *cells, "" if ratio is None else f"{ratio:.2f} ×", verdict)


def _spread(values: Sequence[float], unit: str) -> str:
    """Return the median, with the least and the most where they differ."""
    if not values:
        return "–"
    shown = _number(statistics.median(values))
    least, most = _number(min(values)), _number(max(values))
    return f"{shown}{f' ({least}–{most})' if least != most else ''} {unit}".strip()


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def _total(result: Measured, figure: Callable[[Phase], float]) -> float:
    return sum(figure(phase) for phase in result.phases.values())
