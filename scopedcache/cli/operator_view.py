"""What `top` shows of an operator: a few lines about the whole, its scopes, worst first, and its watches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .exit_status import ExitStatus
from .operator_page import OperatorPage, events_per_second
from .permissions import place_name
from .report import Report, Table

_MEBIBYTE: Final = 2**20


def report(page: OperatorPage, before: OperatorPage | None = None, seconds: float = 0.0) -> Report:
    """Return what to print of one look, with rates since the one before."""
    rates = events_per_second(before, page, seconds)
    blocks: list[Table | str] = [_head(page, sum(rates.values()) if before else None)]
    if scopes := _scopes(page):
        blocks.append(scopes)
    if informers := _informers(page, rates if before else None):
        blocks.append(informers)
    if lacking := page.missing():
        rows = [
            (str(right.permission), right.since or "")
            for right in sorted(lacking, key=lambda right: (right.since is None, right.since or ""))
        ]
        blocks.append(Table(("missing right", "since"), rows))
    data = {"eventsPerSecond": round(sum(rates.values()), 3) if before else None, **page.content}
    return Report(data, blocks, status=ExitStatus.DONE if page.ready and not lacking else ExitStatus.FOUND)


def _head(page: OperatorPage, rate: float | None) -> str:
    leader = page.content.get("leader")
    leads = "" if not isinstance(leader, Mapping) else "leads" if leader.get("leading") else "waits to lead"
    words = [
        "ready" if page.ready else "NOT READY",
        leads,
        f"changes noticed in {page.bound:g} s" if page.bound else "",
    ]
    totals, objects = page.totals, sum(int(informer.get("objects") or 0) for informer in page.informers)
    counts = [
        f"{totals.get('scopes', 0)} scopes", f"{totals.get('waiting', 0)} waiting",
        f"{page.content.get('open_watches', 0)} watches", f"{objects} objects", _memory(page),
        "" if rate is None else f"{rate:.1f} events/s",
    ]  # fmt: skip
    lines = [_joined(words), _joined(counts)]
    for name, state in page.controllers.items():
        queue, workers = state.get("queue"), state.get("workers")
        if isinstance(queue, Mapping) and isinstance(workers, Mapping):
            busy = f"{workers.get('busy', 0)} of {workers.get('of', 0)} workers busy"
            lines.append(f"{name}: {busy}, {queue.get('ready', 0)} queued, {queue.get('delayed', 0)} delayed")
    return "\n".join(lines)


def _scopes(page: OperatorPage) -> Table | None:
    owned = [scope for scope in page.scopes if scope.get("owner")]
    rows = [
        (
            str(scope["owner"]),
            place_name(scope.get("namespace")),
            str(scope.get("state", "")),
            str(scope.get("verdict", "")),
            _age(scope.get("evidence")),
            ", ".join(map(str, scope.get("kinds") or ())),
        )
        for scope in owned
    ]
    if not rows:
        return None
    hidden = _hidden(page, "scopes", len(page.scopes))
    return Table(("owner", "namespace", "scope", "verdict", "confirmed", "kinds"), rows, f"Scopes{hidden}")


def _informers(page: OperatorPage, rates: Mapping[tuple[str, str], float] | None) -> Table | None:
    rows = [
        (
            str(informer.get("kind")),
            place_name(informer.get("namespace")),
            str(informer.get("error") or informer.get("state", "")),
            str(informer.get("objects", "")),
            _rate(informer, rates),
            str(informer.get("relists", "")),
            _age(informer.get("age")),
        )
        for informer in page.informers
    ]
    if not rows:
        return None
    hidden = _hidden(page, "informers", len(rows))
    return Table(("watch", "namespace", "state", "objects", "events/s", "relists", "heard"), rows, f"Watches{hidden}")


def _hidden(page: OperatorPage, what: str, shown: int) -> str:
    total = page.totals.get(what)
    return f" (the first {shown} of {total})" if isinstance(total, int) and total > shown else ""


def _rate(informer: Mapping[str, Any], rates: Mapping[tuple[str, str], float] | None) -> str:
    key = str(informer.get("kind")), str(informer.get("namespace") or "")
    return "" if rates is None or key not in rates else f"{rates[key]:.1f}"


def _age(seconds: Any) -> str:
    return f"{seconds:.0f} s ago" if isinstance(seconds, int | float) else ""


def _memory(page: OperatorPage) -> str:
    """Return how much memory it takes, where the operator tells."""
    kept = [informer["bytes"] for informer in page.informers if isinstance(informer.get("bytes"), int)]
    return f"{sum(kept) / _MEBIBYTE:.1f} MiB kept" if kept else ""


def _joined(words: list[str]) -> str:
    return " · ".join(word for word in words if word)
