"""Whose business a change is: from an object to the keys that should run.

Only for the kinds that a controller watches by declaration (`owns=`, `watches=`). What an owner opened itself needs no
mapping: the cache knows whose it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from ..containment import UserFunction
from ..kinds import GVK, Kind, ObjectKey, Resource
from ..objects import Object
from ..predicates import Change, ContainedPredicates, Predicate
from .request import Request

# Names the objects to reconcile because of this one. A plain function: it runs for every event and must not wait.
Mapper = Callable[[Object], Iterable[ObjectKey | Request]]


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
        metadata_only: keep no bytes; the mapper then sees metadata alone.
    """

    kind: Kind
    mapper: Mapper
    predicates: tuple[Predicate, ...] = attrs.field(default=(), kw_only=True, converter=_as_tuple)
    namespace: str | None = attrs.field(default=None, kw_only=True)
    metadata_only: bool = attrs.field(default=False, kw_only=True)


class ContainedWatch:
    """The functions of a Watch; what one of them raises costs the object at hand."""

    def __init__(self, watch: Watch, *, controller: str, kind: str) -> None:
        self._predicates = ContainedPredicates(watch.predicates, controller=controller, kind=kind)
        self._mapped: UserFunction[tuple[ObjectKey, ...]] = UserFunction(
            lambda obj: tuple(_key(target) for target in watch.mapper(obj)),
            "mapper.failed",
            otherwise=(),
            kind=kind,
            controller=controller,
            named=watch.mapper,
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
