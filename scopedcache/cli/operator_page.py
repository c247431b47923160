"""What the health port of a running operator tells, read for people: /readyz?verbose as plain values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from ..api.permission import Permission

# How errors and snapshots name a right: `may not list pods in namespace a (Forbidden since 2026-…Z, …)`.
_RIGHT: Final = re.compile(
    r"^(?:may not )?(?P<verb>\S+) (?P<plural>[^\s./]+)(?P<group>(?:\.[^\s/]+)?)(?:/(?P<subresource>\S+))?"
    r'(?: "(?P<name>[^"]+)")? (?:in namespace (?P<namespace>\S+)|at the cluster scope)'
    r"(?: \(Forbidden since (?P<since>[^,)]+))?"
)


@attrs.frozen
class MissingRight:
    """A right that a running operator lacks, and since when, as far as it told."""

    permission: Permission
    since: str | None = None


@attrs.frozen
class OperatorPage:
    """One look at an operator."""

    content: Mapping[str, Any]

    @property
    def ready(self) -> bool:
        return bool(self.content.get("ready"))

    @property
    def snapshot(self) -> Mapping[str, Any]:
        return _mapping(self.content.get("snapshot"))

    @property
    def totals(self) -> Mapping[str, Any]:
        return _mapping(self.content.get("totals"))

    @property
    def bound(self) -> float | None:
        value = self.content.get("effective_bound")
        return float(value) if isinstance(value, int | float) else None

    @property
    def scopes(self) -> list[Mapping[str, Any]]:
        return _mappings(self.snapshot.get("scopes"))

    @property
    def informers(self) -> list[Mapping[str, Any]]:
        return _mappings(self.snapshot.get("informers"))

    @property
    def controllers(self) -> dict[str, Mapping[str, Any]]:
        return {str(name): _mapping(state) for name, state in _mapping(self.content.get("controllers")).items()}

    def missing(self, namespace: str | None = None) -> list[MissingRight]:
        """Return the rights that are missing (in one namespace, or the whole cluster too), each once."""
        found: dict[Permission, MissingRight] = {}
        for right in self._told():
            if namespace is not None and right.permission.namespace not in (namespace, None):
                continue
            if right.permission not in found or right.since is not None:
                found[right.permission] = right
        return list(found.values())

    def _told(self) -> Iterator[MissingRight]:
        texts = [*_texts(self.snapshot.get("missing")), *_texts(self.content.get("reasons"))]
        texts += [str(scope.get("error")) for scope in _mappings(self.snapshot.get("waiting"))]
        for text in texts:
            if (right := parse_right(text)) is not None:
                yield right
        for scope in _mappings(self.content.get("waiting")):
            place = f"in namespace {scope['namespace']}" if scope.get("namespace") else "at the cluster scope"
            for text in _texts(scope.get("missing")):
                if (right := parse_right(f"{text} {place}")) is not None:
                    yield right


def parse_right(text: str) -> MissingRight | None:
    """Read a right as errors and snapshots name it; None where the text is about something else."""
    match = _RIGHT.match(text)
    if match is None:
        return None
    permission = Permission(
        match["verb"], match["group"].removeprefix("."), match["plural"], match["namespace"],
        match["subresource"], match["name"],
    )  # fmt: skip
    return MissingRight(permission, match["since"])


def events_per_second(before: OperatorPage | None, now: OperatorPage, seconds: float) -> dict[tuple[str, str], float]:
    """Return how many events each informer had in a second, by kind and namespace."""
    if before is None or seconds <= 0:
        return {}
    counts = {_informer_key(informer): int(informer.get("events") or 0) for informer in before.informers}
    return {
        key: max(0, int(informer.get("events") or 0) - counts[key]) / seconds
        for informer in now.informers
        if (key := _informer_key(informer)) in counts
    }


def _informer_key(informer: Mapping[str, Any]) -> tuple[str, str]:
    return str(informer.get("kind")), str(informer.get("namespace") or "")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _texts(value: Any) -> Sequence[str]:
    items: Iterable[Any] = value if isinstance(value, list) else ()
    return [item for item in items if isinstance(item, str)]
