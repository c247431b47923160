"""What a scope really has: the informers it takes, the routes from them to its owner, and the handle it is read by.

`Scope` decides what that is; a binding does it, in plain synchronous steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..api.client import Client
from ..identity import Identity
from ..informer import Informer
from ..informer.delta import Delta
from ..kinds import GVK, Kind, ObjectKey, Resource
from ..objects import Object
from ..predicates import Change, ContainedPredicates
from .bound_need import BoundNeed
from .informer_leases import InformerLeases
from .informer_plan import InformerKey
from .lister import View
from .owner import Denial, Obstacle, OwnerChanged
from .resource_cache import ResourceCache
from .scope import Scope
from .scope_views import ScopeViews


class BindingListener(Protocol):
    """Hears of the informer of a scope that has one need."""

    def take_informer(self, informer: Informer) -> None:
        """There is an informer."""

    def lose_informer(self) -> None:
        """It was given up; another one may come."""

    def note_obstacle(self) -> None:
        """Reads are answered with an error, or with another one than before."""

    def end(self) -> None:
        """None will come any more."""


class Table(Protocol):
    """What a binding asks of the table it stands in."""

    def publish(self, change: OwnerChanged) -> None:
        """Tell an owner."""

    def use(self, binding: ScopeBinding) -> None:
        """Something happens where a scope is."""

    def list_anew(self, binding: ScopeBinding) -> None:
        """Tell the owner once a kind that it has lost sight of is there again."""

    def release(self, binding: ScopeBinding, kind: Kind) -> None:
        """Give up one kind of a scope."""

    def missing_permissions(self, binding: ScopeBinding) -> Sequence[Denial]:
        """Return what is missing of the verbs that a scope's needs declare."""

    def client_of(self, identity: Identity | None) -> Client:
        """Return the client that sends as an identity."""


class ScopeBinding:
    """A scope and what it has. Informers know it as the owner they route to, the pool as a holder."""

    def __init__(self, scope: Scope, leases: InformerLeases, table: Table) -> None:
        self.scope = scope
        self.listener: BindingListener | None = None
        self._leases = leases
        self._table = table
        self._informers: dict[Resource, Informer] = {}
        self._predicates: dict[GVK, ContainedPredicates] = {}  # of the needs that have some
        self._names: dict[GVK, str] = {}  # of the needs that are about one object
        self._views = ScopeViews(scope.namespace)
        self.handle = ResourceCache(scope.owner, scope.generation, self._views, self)

    # -- effects -------------------------------------------------------------------------------------------------

    def bind(self, need: BoundNeed) -> None:
        """Take the informer of a need; reads see it, and its events reach the owner."""
        informer = self._informers[need.resource] = self._leases.acquire(need.informer_key, self)
        self._show(need, informer)
        if self.listener is not None:
            self.listener.take_informer(informer)

    def rebind(self, before: BoundNeed, after: BoundNeed) -> None:
        """Let one need take the place of another that has the same informer."""
        informer = self._informers[before.resource]
        self._unroute(before, informer)
        self._show(after, informer)

    def unbind(self, need: BoundNeed, error: Obstacle | None) -> None:
        """Give the informer of a need back; the last who does so closes it, for `error` where it was lost."""
        informer = self._informers.pop(need.resource, None)
        if informer is None:  # taking it failed
            return
        self._unroute(need, informer)
        if self.listener is not None:
            self.listener.lose_informer()
        self._leases.release(need.informer_key, self, error)

    def hide(self, kind: Kind, error: Exception | None) -> None:
        self._views.hide(kind, error)

    def invalidate(self, error: Exception) -> None:
        self._views.invalidate(error)
        if self.listener is not None:
            self.listener.note_obstacle()

    def renew(self, generation: int, error: Exception) -> None:
        """Begin with a new handle; the old one answers every read with `error`."""
        self._views.invalidate(error)
        self._views = ScopeViews(self.scope.namespace)
        self.handle = ResourceCache(self.scope.owner, generation, self._views, self)

    def end(self) -> None:
        """The scope is closed."""
        if self.listener is not None:
            self.listener.end()

    # -- what the leases ask of a tenant ---------------------------------------------------------------------------

    @property
    def may_share(self) -> bool:
        """Tell whether a wider informer will do: not where a listener adds handlers, which would hear of too much."""
        return self.listener is None

    def move(self, informer_key: InformerKey, informer: Informer) -> None:
        """Read and hear of a need by another informer; the owner is told where that shows something else."""
        for need in self.scope.needs:
            before = self._informers.get(need.resource)
            if need.informer_key == informer_key and before is not None and before is not informer:
                seen = self._owned_by(need, before)
                self._unroute(need, before)
                self._informers[need.resource] = informer
                self._show(need, informer)
                if not informer.synced:
                    self._table.list_anew(self)
                elif seen is not None and seen != self._owned_by(need, informer):
                    self._tell_of_child()

    def _owned_by(self, need: BoundNeed, informer: Informer) -> dict[str, str] | None:
        """Return what of a need is the owner's, by UID and version; None where that cannot be told."""
        if self.scope.owner is None or not informer.synced:
            return None
        name = need.need.name
        return {obj.uid: obj.resource_version for obj in informer.owned_by(self) if name in (None, obj.name)}

    def _tell_of_child(self) -> None:
        owner = self.scope.owner
        if owner is not None and self.scope.is_open:
            self._table.publish(OwnerChanged(owner.kind, owner.key, owner.uid, "child"))

    # -- what it has ---------------------------------------------------------------------------------------------

    def informer_of(self, need: BoundNeed) -> Informer | None:
        """Return the informer of a need, None while it has none."""
        return self._informers.get(need.resource)

    def view_of(self, kind: Kind) -> View:
        """Return how a kind is seen; raises what a read of it would."""
        return self._views.find(kind)

    # -- what a router asks of an owner --------------------------------------------------------------------------

    @property
    def uid(self) -> str:
        return self.scope.uid

    @property
    def key(self) -> ObjectKey:
        return self.scope.key

    def concerned(self, gvk: GVK, delta: Delta, initial: bool) -> None:
        if self._names and not self._is_named(gvk, delta):
            return
        predicates = self._predicates.get(gvk)
        if predicates and not self._passes(predicates, gvk, delta):
            return
        change = self.scope.on_child(delta, initial)
        if change is not None:
            self._table.use(self)
            self._table.publish(change)

    # -- what its handle asks ------------------------------------------------------------------------------------

    def owned_in(self, informer: Informer) -> Sequence[Object]:
        return informer.owned_by(self)

    def missing_permissions(self) -> Sequence[Denial]:
        return self._table.missing_permissions(self)

    def release(self, kind: Kind) -> None:
        self._table.release(self, kind)

    @property
    def client(self) -> Client:
        return self._table.client_of(self.scope.identity)

    def _is_named(self, gvk: GVK, delta: Delta) -> bool:
        """Tell whether a change is of the object that a need is about: a wider informer tells of others too."""
        subject = delta.new or delta.old
        name = self._names.get(gvk)
        return name is None or (subject is not None and subject.metadata.name == name)

    def _show(self, need: BoundNeed, informer: Informer) -> None:
        if need.need.name is not None:
            self._names[need.resource.gvk] = need.need.name
        else:
            self._names.pop(need.resource.gvk, None)
        self._views.show(need.resource, informer, need.need)
        if self.scope.owner is not None:
            informer.router.add(self, selector=need.need.selector, route=need.need.route, name=_told_of(need))
            if need.need.predicates:
                self._predicates[need.resource.gvk] = ContainedPredicates(
                    need.need.predicates, kind=need.resource.gvk.kind
                )

    def _unroute(self, need: BoundNeed, informer: Informer) -> None:
        if self.scope.owner is not None:
            informer.router.remove(self, selector=need.need.selector, route=need.need.route, name=_told_of(need))
            self._predicates.pop(need.resource.gvk, None)

    def _passes(self, predicates: ContainedPredicates, gvk: GVK, delta: Delta) -> bool:
        before, after = delta.final or delta.old, delta.new
        old = None if before is None else Object(before.metadata, before.raw, gvk)
        new = None if after is None else Object(after.metadata, after.raw, gvk)
        subject = new or old
        return subject is None or predicates.passes(Change(old, new, subject))

    def __repr__(self) -> str:
        return f"<ScopeBinding {self.scope!r} informers={len(self._informers)}>"


def _told_of(need: BoundNeed) -> str | None:
    """Return the name of the object that the owner is told of, whoever's it is."""
    return need.need.told_of or need.need.name
