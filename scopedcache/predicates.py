"""Which changes are worth a reconcile: small tests, joined with `&`, `|` and `~`.

    predicates=[generation_changed() | by_annotation("example.com/paused"), ~by_name("kube-root-ca.crt")]

An update is tested with the new object in view, then with the old one, and passes if either does: an object that
leaves a selection is news for whoever had selected it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import attrs

from .containment import UserFunction
from .kinds import GVK, strings
from .objects import Object
from .selectors import LabelSelector


@attrs.frozen
class Change:
    """One change of one object.

    Attributes:
        old: the object before; None where it was added.
        new: the object now; None where it was deleted.
        object: the one in view: what tests of a single object look at.
    """

    old: Object | None
    new: Object | None
    object: Object

    @classmethod
    def added(cls, obj: Object) -> Change:
        return cls(None, obj, obj)

    @classmethod
    def updated(cls, old: Object, new: Object) -> Change:
        return cls(old, new, new)

    @classmethod
    def deleted(cls, obj: Object) -> Change:
        return cls(obj, None, obj)

    @property
    def views(self) -> tuple[Object, ...]:
        """Return every object the change touches, the newest first."""
        return tuple(obj for obj in (self.new, self.old) if obj is not None)


@attrs.frozen
class Predicate:
    """A test of a change, with words for it, by which it is told from others."""

    test: Callable[[Change], bool] = attrs.field(eq=False)
    words: str

    def __call__(self, change: Change) -> bool:
        return self.test(change)

    def __and__(self, other: Predicate) -> Predicate:
        return Predicate(lambda change: self(change) and other(change), f"({self.words} and {other.words})")

    def __or__(self, other: Predicate) -> Predicate:
        return Predicate(lambda change: self(change) or other(change), f"({self.words} or {other.words})")

    def __invert__(self) -> Predicate:
        return Predicate(lambda change: not self(change), f"not {self.words}")

    def __repr__(self) -> str:
        return f"<Predicate {self.words}>"


def by_name(names: str | Iterable[str]) -> Predicate:
    """Pass objects of these names."""
    wanted = frozenset(strings(names))
    return Predicate(lambda change: change.object.name in wanted, f"named {' or '.join(sorted(wanted))}")


def by_label(selector: str | Mapping[str, str] | LabelSelector) -> Predicate:
    """Pass objects whose labels match.

    Raises:
        ValueError: the text is not a selector.
    """
    wanted = LabelSelector.parse(selector)
    return Predicate(lambda change: wanted.matches(change.object.labels), f"labelled {wanted}")


def by_annotation(name: str, value: str | None = None) -> Predicate:
    """Pass objects that carry the annotation; with a value, exactly this one."""

    def test(change: Change) -> bool:
        current = change.object.annotations.get(name)
        return current is not None and value in (None, current)

    return Predicate(test, f"annotated {name}" if value is None else f"annotated {name}={value}")


def by_owner(kind: GVK, name: str | None = None, *, controller_only: bool = False) -> Predicate:
    """Pass objects with an owner reference to this kind (any version of it), and to this name where one is given."""

    def test(change: Change) -> bool:
        return any(
            ref.kind == kind.kind
            and GVK.of(ref.api_version, ref.kind).group == kind.group
            and name in (None, ref.name)
            and (ref.controller or not controller_only)
            for ref in change.object.owner_references
        )

    owned = "controlled" if controller_only else "owned"
    return Predicate(test, f"{owned} by {kind.kind}.{kind.group}{f' {name}' if name else ''}")


def generation_changed() -> Predicate:
    """Pass updates that changed the wish (`spec`), not only status or metadata; additions and deletions always.

    The server counts generations for the kinds that have a status; an object without a count always passes. A
    deletion that waits for finalizers counts as a change of the wish.
    """

    def test(change: Change) -> bool:
        if change.old is None or change.new is None or not change.new.generation:
            return True
        return (
            change.old.generation != change.new.generation
            or change.old.uid != change.new.uid
            or change.old.deletion_timestamp != change.new.deletion_timestamp
        )

    return Predicate(test, "generation changed")


def passes(predicates: Iterable[Predicate], change: Change) -> bool:
    """Tell whether a change passes all of the predicates, seen from its new or from its old object."""
    wanted = tuple(predicates)
    return any(all(test(attrs.evolve(change, object=view)) for test in wanted) for view in change.views)


class ContainedPredicates:
    """The predicates of somebody; one that fails lets a change through, since one run too many does no harm."""

    def __init__(self, predicates: tuple[Predicate, ...], *, kind: str, controller: str = "") -> None:
        self._passes: UserFunction[bool] = UserFunction(
            lambda change: bool(passes(predicates, change)),
            "predicate.failed",
            otherwise=True,
            kind=kind,
            controller=controller,
            named=getattr(predicates[0], "test", predicates[0]) if len(predicates) == 1 else predicates,
        )

    def passes(self, change: Change) -> bool:
        """Tell whether a change passes."""
        return self._passes.call(change.object.metadata, change)
