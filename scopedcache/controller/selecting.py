"""Which primary objects select another object by its labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import attrs

from ..containment import UserFunction
from ..kinds import ObjectKey
from ..objects import Object
from ..selectors import Labels, LabelSelector

# What a primary object selects: labels, several of them, or None for nothing.
SelectorOf = Callable[[Object], Labels | Iterable[Labels]]


class Primaries(Protocol):
    """The primary objects that can be read."""

    def keys(self, namespace: str = "", /) -> Iterator[ObjectKey]: ...
    def get(self, key: ObjectKey) -> Object | None: ...


@attrs.frozen
class _Selected:
    """What one version of a primary selects."""

    version: tuple[str, str]
    selectors: tuple[LabelSelector, ...]


class SelectingMapper:
    """A mapper from an object to the primaries that select it. One that says nothing sensible selects nothing."""

    def __init__(self, selector_of: SelectorOf, primaries: Primaries, *, controller: str, kind: str) -> None:
        self._primaries = primaries
        self._known: dict[ObjectKey, _Selected] = {}
        self._ask: UserFunction[tuple[LabelSelector, ...]] = UserFunction(
            lambda obj: _selectors(selector_of(obj)),
            "mapper.failed",
            otherwise=(),
            kind=kind,
            controller=controller,
            named=selector_of,
        )

    def __call__(self, obj: Object) -> Iterator[ObjectKey]:
        known, self._known = self._known, {}  # those that are gone are forgotten
        for key in self._primaries.keys(""):
            primary = self._primaries.get(key)
            if primary is None:
                continue
            selected = self._known[key] = self._selected(primary, known.get(key))
            if any(selector.matches(obj.labels) for selector in selected.selectors):
                yield key

    def _selected(self, primary: Object, known: _Selected | None) -> _Selected:
        version = primary.uid, primary.resource_version
        if known is not None and known.version == version:
            return known
        return _Selected(version, self._ask.call(primary.metadata, primary))


def _selectors(answer: Labels | Iterable[Labels]) -> tuple[LabelSelector, ...]:
    if answer is None:
        return ()
    if isinstance(answer, str | dict | LabelSelector) or hasattr(answer, "keys"):
        return (LabelSelector.parse(answer),)  # type: ignore[arg-type]  # one of them, which mypy does not follow
    return tuple(LabelSelector.parse(one) for one in answer)
