"""Whose business a change is: from an object to the keys that should run.

Only for the kinds that a controller watches by declaration (`owns=`, `watches=`). What an owner opened itself needs no
mapping: the cache knows whose it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import attrs

from ..containment import UserFunction
from ..kinds import GVK, Kind, ObjectKey, Resource
from ..needs import Need
from ..objects import Object
from ..predicates import Change, ContainedPredicates, Predicate, by_label
from ..selectors import Labels, LabelSelector
from .request import Request
from .selecting import SelectorOf

# Names the objects to reconcile because of this one. A plain function: it runs for every event and must not wait, and
# is not called before the primary objects can be read for the first time.
Mapper = Callable[[Object], Iterable[ObjectKey | Request]]


def _selector(value: Labels) -> LabelSelector:
    return LabelSelector.parse(value)


def _as_tuple(predicates: Iterable[Predicate]) -> tuple[Predicate, ...]:
    return tuple(predicates)


@attrs.frozen
class Watch:
    """A kind watched for as long as the controller runs.

    Attributes:
        kind: what to watch.
        mapper: names the keys to reconcile; for an update it is asked about the old object too, so whoever was
            dropped from the object hears of it.
        predicates: all of them must pass.
        namespace: where; None is everywhere.
        name: only the object of this name (for rights given by `resourceNames`).
        selector: labels; an object that leaves the selection passes, as does one that enters it.
        metadata_only: keep no bytes; the mapper then sees metadata alone.
        selector_of: see `selecting`.
    """

    kind: Kind
    mapper: Mapper
    predicates: tuple[Predicate, ...] = attrs.field(default=(), kw_only=True, converter=_as_tuple)
    namespace: str | None = attrs.field(default=None, kw_only=True)
    name: str | None = attrs.field(default=None, kw_only=True)
    selector: LabelSelector = attrs.field(default=None, kw_only=True, converter=_selector)
    metadata_only: bool = attrs.field(default=False, kw_only=True)
    selector_of: SelectorOf | None = attrs.field(default=None, kw_only=True)

    @classmethod
    def selecting(
        cls, kind: Kind, selector_of: SelectorOf, *, predicates: Iterable[Predicate] = (), namespace: str | None = None
    ) -> Watch:
        """Watch a kind whose objects the primary objects select by labels: namespaces, for one.

            Watch.selecting("namespaces", lambda obj: obj.at("spec", "namespaceSelector"))

        Each primary whose selector matches, or did match before, is reconciled. `selector_of` is given a primary object
        and returns a selector, several in a list (any of them is enough), or None for nothing; it is asked once for
        each version of a primary. Metadata alone are kept of the kind.
        """
        return cls(
            kind, _nobody, predicates=predicates, namespace=namespace, metadata_only=True, selector_of=selector_of
        )

    @property
    def need(self) -> Need:
        """Return what is needed of the kind."""
        return Need(self.kind, name=self.name, metadata_only=self.metadata_only)


def _nobody(obj: Object) -> Iterator[ObjectKey]:
    return iter(())


class ContainedWatch:
    """The functions of a Watch; what one of them raises costs the object at hand."""

    def __init__(self, watch: Watch, *, controller: str, kind: str, mapper: Mapper | None = None) -> None:
        mapper = mapper or watch.mapper
        selected = (by_label(watch.selector),) if watch.selector else ()
        self._predicates = ContainedPredicates((*selected, *watch.predicates), controller=controller, kind=kind)
        self._mapped: UserFunction[tuple[ObjectKey, ...]] = UserFunction(
            lambda obj: tuple(_key(target) for target in mapper(obj)),
            "mapper.failed",
            otherwise=(),
            kind=kind,
            controller=controller,
            named=mapper,
        )

    def keys(self, change: Change) -> tuple[ObjectKey, ...]:
        """Return the keys a change concerns, each once, in the mapper's order."""
        if not self._predicates.passes(change):
            return ()
        return tuple(dict.fromkeys(key for view in change.views for key in self._mapped.call(view.metadata, view)))


def owner_mapper(owner: Resource) -> Mapper:
    """Return the mapper from an object to its owners of this kind, of whatever version."""

    def mapper(obj: Object) -> Iterable[ObjectKey]:
        namespace = obj.namespace if owner.namespaced else ""
        for ref in obj.owner_references:
            if ref.kind == owner.gvk.kind and GVK.of(ref.api_version, ref.kind).group == owner.gvk.group:
                yield ObjectKey(namespace, ref.name)

    return mapper


def _key(target: ObjectKey | Request) -> ObjectKey:
    if isinstance(target, Request):
        return target.key
    if not isinstance(target, ObjectKey):
        raise TypeError(f"a mapper names keys or requests, not {type(target).__name__}")
    return target
