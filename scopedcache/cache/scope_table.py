"""All scopes of a cache, by namespace and owner: brings them events, and carries out what they want done.

A denial is one synchronous step: when `verdict_changed` returns, no read shows anything of what was lost, no handler
is called for it, and its owners have been told; where there are many, they are told in the next turns of the loop.
Connections close after that.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from copy import copy
from math import inf
from typing import Final, assert_never

from ..access import Monitor, Verdict
from ..access.verdict import VerdictState
from ..api.client import Client
from ..api.discovery import Discovery
from ..api.permission import Permission
from ..clock import loop_time
from ..errors import APIError, UnknownKindError
from ..event_logger import event_logger
from ..identity import Identity
from ..kinds import GVK, Kind, Resource
from ..needs import Need
from ..supervisor import Supervisor
from .bound_need import BoundNeed
from .deleted_owners import DeletedOwners
from .informer_leases import InformerLeases
from .informer_pool import InformerPool
from .late_verdicts import SCOPES_IN_A_TURN, LateVerdicts, VerdictNews
from .loss_log import LossLog
from .missing_news import MissingNews
from .need_registry import NeedRegistry
from .opening_turns import OpeningTurns
from .owner import Denial, OwnerChanged, OwnerId
from .pending_grants import PendingGrants
from .resource_cache import ResourceCache
from .scope import Scope
from .scope_binding import ScopeBinding
from .scope_effects import (
    AwaitKind,
    Bind,
    DropKeys,
    DropKind,
    Effect,
    Forget,
    Hide,
    Invalidate,
    Log,
    Publish,
    PublishMissing,
    Rebind,
    Release,
    Renew,
    Reopen,
    Track,
    Untrack,
)
from .scope_openings import ScopeOpenings
from .served_kinds import ServedKinds

logger: Final = event_logger("scopedcache.cache")

Needs = Iterable[Need]


class ScopeTable:
    """The table namespace → UID → scope. The monitor tells it of changed verdicts."""

    def __init__(
        self,
        monitor: Monitor,
        pool: InformerPool,
        discovery: Discovery,
        supervisor: Supervisor,
        *,
        cluster_wide: Collection[Kind],
        publish: Callable[[OwnerChanged], None],
        timer: Callable[[], float] = loop_time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.publish = publish
        self.deleted_owners = DeletedOwners(pool, timer=timer)
        self._monitor = monitor
        self._pool = pool
        self._cluster_wide = tuple(cluster_wide)
        self.pending_grants = PendingGrants(monitor, publish, timer=timer)
        self._waiting: dict[ScopeBinding, None] = {}
        self.internal: dict[ScopeBinding, None] = {}  # what the cache watches for itself
        self._needs = NeedRegistry(monitor, pool)
        self.leases = InformerLeases(pool, supervisor)
        self.turns = OpeningTurns()
        self._late = LateVerdicts(self._take_missed)
        self._kinds = ServedKinds(discovery, supervisor, self, timer=timer, chance=chance)
        self._openings = ScopeOpenings(monitor, self.leases, self._kinds, self.turns, supervisor, self)
        self._missing_news = MissingNews(lambda: monitor.verdicts, self._openings.is_under_way, publish)
        self._losses = LossLog()
        self._by_namespace: dict[str | None, dict[str, ScopeBinding]] = {}
        self._by_uid: dict[str, dict[ScopeBinding, None]] = {}
        self._of_nobody: dict[str | None, dict[ScopeBinding, None]] = {}  # by namespace

    # -- opening -------------------------------------------------------------------------------------------------

    def of(self, owner: OwnerId, namespace: str | None, identity: Identity | None = None) -> ScopeBinding:
        """Return the scope of an owner in a namespace, made if it is not there.

        One that was opened as another identity is closed: the owner begins anew.

        Raises:
            ScopeClosedError: the owner was deleted.
        """
        self.deleted_owners.check(owner)
        binding = self._by_namespace.get(namespace, {}).get(owner.uid)
        if binding is not None:
            self._late.settle(binding)
        if binding is not None and binding.scope.identity != identity:
            logger.info("scope.identity_changed", extra=binding.scope.log_fields() | {"becomes": str(identity)})
            self.close(binding)
            binding = None
        if binding is None:
            scope = Scope(owner, namespace, cluster_wide=self._cluster_wide, identity=identity)
            binding = self._by_namespace.setdefault(namespace, {})[owner.uid] = self._new(scope)
            self._by_uid.setdefault(owner.uid, {})[binding] = None
        return binding

    def is_open(self, uid: str, namespace: str | None) -> bool:
        """Tell whether an owner has an open scope in a namespace: what it opens there is most often there already."""
        binding = self._by_namespace.get(namespace, {}).get(uid)
        return binding is not None and binding.scope.is_open

    def of_nobody(self, namespace: str | None, *, internal: bool = False) -> ScopeBinding:
        """Return a new scope that belongs to no owner."""
        binding = self._new(Scope(None, namespace, cluster_wide=self._cluster_wide, internal=internal))
        self._of_nobody.setdefault(namespace, {})[binding] = None
        if internal:
            self.internal[binding] = None
        return binding

    def add(self, binding: ScopeBinding, needs: Needs, resource: Resource | None = None) -> bool:
        """Add what a scope lacks; tell whether it lacked something. `resource`: of whatever they need."""
        known = [(resource or self._kinds.known(need.kind), need) for need in needs]
        effects = binding.scope.on_needs(known)
        self.carry_out(binding, effects)
        for unserved in list(binding.scope.needs.unserved):
            error = self._kinds.error(unserved.need.kind)
            if error is not None and unserved.error is None:  # others asked for it before
                verdicts = self._monitor.verdicts
                self.carry_out(binding, binding.scope.on_unserved(unserved.need.kind, error, verdicts))
        if effects:
            _log_unrouted(binding.scope, [need for _, need in known])
        return bool(effects)

    async def open(self, binding: ScopeBinding, needs: Needs = (), *, wait: float = inf) -> ResourceCache:
        """Add what a scope lacks, and open it; waits at most `wait` seconds, not at all if everything is there.

        Raises:
            ForbiddenError, UnauthorizedError: a required right is missing. The scope waits for it.
            UnknownKindError: a required kind is not served. The scope waits for it.
            NotSyncedError: it takes longer. The opening goes on, and the owner is told.
            ScopeClosedError: it was closed meanwhile.
        """
        added = self.add(binding, needs)
        if not added and self._openings.is_open(binding):
            return binding.handle
        return self._openings.open_at_once(binding) or await self._openings.open(binding, wait)

    def await_grant(self, owner: OwnerId, permission: Permission, *, settled: bool) -> None:
        """Tell an owner once it has a right that a call of its was refused.

        A scope that waits for it tells by itself, once everything is synced.
        """
        scopes = [binding.scope for binding in self._by_uid.get(owner.uid, ())]
        told = any(scope.is_waiting and scope.needs.of(permission) for scope in scopes)
        if not told and not self.deleted_owners.has(owner.uid):
            self.pending_grants.add(owner, permission, settled=settled)

    # -- what the monitor tells ----------------------------------------------------------------------------------

    def verdict_changed(self, verdict: Verdict, before: VerdictState) -> None:
        """Close what was lost, open what came back; who is told can read of no scope what was lost."""
        verdicts, bindings = self._monitor.verdicts, self._needs.of(verdict.permission)
        if verdict.denying or verdict.granted:
            now = self._put_off(bindings, verdict, before)
            self._carry_out_all((binding, binding.scope.on_verdict(verdict, before, verdicts)) for binding in now)
        if verdict.granted:
            self._losses.granted(verdict.permission)
            self.pending_grants.end(verdict.permission)
        if verdict.unserved:
            for resource in {need.resource for b in bindings for need in b.scope.needs.of(verdict.permission)}:
                self._kinds.doubt(resource)

    def _put_off(self, bindings: list[ScopeBinding], verdict: Verdict, before: VerdictState) -> list[ScopeBinding]:
        """Let scopes take in a verdict later, where they are too many for one step; return those that cannot wait.

        What a denial takes is closed before that.
        """
        if len(bindings) <= SCOPES_IN_A_TURN:
            for binding in bindings:
                self._late.settle(binding)
            return bindings
        exposed = self.leases.lose(verdict.permission, verdict.error()) if verdict.denying else set()
        apart = exposed | self._needs.of_nobody(verdict.permission)
        later = [binding for binding in bindings if binding not in apart] if apart else bindings
        self._late.add(later, VerdictNews(copy(verdict), before))
        now = [binding for binding in bindings if binding in apart] if apart else []
        for binding in now:
            self._late.settle(binding)
        return now

    def _take_missed(self, binding: ScopeBinding, missed: Sequence[VerdictNews]) -> None:
        for news in missed:
            self.carry_out(binding, binding.scope.on_verdict(news.verdict, news.before, self._monitor.verdicts))

    def settle(self, binding: ScopeBinding) -> None:
        """Let a scope take in what it has missed of verdicts, before anything else happens to it."""
        self._late.settle(binding)

    def attempt_mode_changed(self, attempting: bool) -> None:
        """Give every watch the life that it is to have now."""
        self._pool.renew()

    # -- what discovery tells ------------------------------------------------------------------------------------

    async def kind_served(self, kind: Kind, resource: Resource) -> None:
        """Open what waited for a kind."""
        async for bindings in self._in_turns():
            verdicts = self._monitor.verdicts
            self._carry_out_all((binding, binding.scope.on_served(kind, resource, verdicts)) for binding in bindings)

    async def kind_unserved(self, kind: Kind, error: UnknownKindError) -> None:
        """Close what needs a kind that is not served."""
        async for bindings in self._in_turns():
            verdicts = self._monitor.verdicts
            self._carry_out_all((binding, binding.scope.on_unserved(kind, error, verdicts)) for binding in bindings)

    async def _in_turns(self) -> AsyncIterator[list[ScopeBinding]]:
        """Return all scopes, so many in a turn of the loop."""
        bindings = list(self)
        for first in range(0, len(bindings), SCOPES_IN_A_TURN):
            if first:
                await asyncio.sleep(0)
            some = bindings[first : first + SCOPES_IN_A_TURN]
            for binding in some:
                self._late.settle(binding)
            yield some

    def is_doubted(self, resource: Resource) -> bool:
        """Tell whether requests for a resource meet a 404."""
        return any(self._meets_404(need) for need in self._of(resource))

    def _meets_404(self, need: BoundNeed) -> bool:
        """Tell whether what a need asks for is not found. What is denied in part is not asked for at all."""
        verdicts = [verdict for right in need.permissions if (verdict := self._monitor.verdict(right)) is not None]
        return any(one.unserved for one in verdicts) and not any(one.denying for one in verdicts)

    def is_shown(self, resource: Resource) -> bool:
        """Tell whether somebody can read objects of a resource."""
        informers = (self.leases.running(need.informer_key) for need in self._of(resource))
        return any(informer is not None and informer.synced for informer in informers)

    def _of(self, resource: Resource) -> Iterator[BoundNeed]:
        needs = (binding.scope.needs.of_resource.get(resource) for binding in self)
        return (need for need in needs if need is not None)

    # -- closing -------------------------------------------------------------------------------------------------

    def close(self, binding: ScopeBinding) -> None:
        """Close one scope and forget it."""
        self.carry_out(binding, binding.scope.on_close())

    def close_owner(self, uid: str, *, deleted: bool = False) -> None:
        """Close all scopes of an owner; `deleted`: it may not open any more."""
        if deleted:
            self.deleted_owners.add(uid)
        self.pending_grants.drop(uid)
        self.turns.close(uid)
        for binding in list(self._by_uid.get(uid, ())):
            self.close(binding)

    def close_place(self, uid: str, namespace: str) -> None:
        """Close what an owner has, and waits for, in one namespace."""
        self.pending_grants.drop(uid, namespace)
        self.turns.close(uid, namespace)
        binding = self._by_namespace.get(namespace, {}).get(uid)
        if binding is not None:
            self.close(binding)

    def places_of(self, uid: str) -> list[str]:
        """Return the namespaces in which an owner has a scope, open or not."""
        scopes = (binding.scope for binding in self._by_uid.get(uid, ()))
        return [scope.namespace for scope in scopes if scope.namespace is not None]

    def close_all(self) -> None:
        """Close everything."""
        self.turns.close_all()
        for binding in self:
            self.close(binding)
        self.pending_grants.clear()

    # -- what a handle asks --------------------------------------------------------------------------------------

    def use(self, binding: ScopeBinding) -> None:
        """Something happens where a scope is: whether it may be seen still matters more than elsewhere."""
        self._monitor.use(binding.scope.namespace, binding.scope.identity)

    def list_anew(self, binding: ScopeBinding) -> None:
        """Tell the owner once a kind that it has lost sight of is there again."""
        self._late.settle(binding)
        if binding.scope.is_open:
            self.carry_out(binding, binding.scope.on_overdue())
            self._openings.reopen(binding)

    def release(self, binding: ScopeBinding, kind: Kind) -> None:
        """Give up one kind of a scope."""
        self._late.settle(binding)
        self.carry_out(binding, binding.scope.on_release(kind, self._monitor.verdicts))

    def client_of(self, identity: Identity | None) -> Client:
        """Return the client that sends as an identity."""
        return self._pool.client_of(identity)

    def identity_of(self, uid: str) -> Identity | None:
        """Return as whom an owner opened what it has; None: as the program's own user, or it has nothing."""
        return next((binding.scope.identity for binding in self._by_uid.get(uid, ())), None)

    def has_scopes(self, uid: str) -> bool:
        """Tell whether an owner has a scope, open or not."""
        return uid in self._by_uid

    def missing_permissions(self, binding: ScopeBinding) -> Sequence[Denial]:
        """Return what is missing for certain of the verbs that a scope's needs declare."""
        return binding.scope.needs.missing_permissions(self._monitor.verdicts)

    def missing_in(self, binding: ScopeBinding) -> Sequence[Denial]:
        """Return everything that is missing for certain of what a scope needs."""
        return binding.scope.needs.missing(self._monitor.verdicts)

    def missing_of(self, uid: str, namespace: str | None = None) -> Sequence[Denial]:
        """Return everything that is missing for certain of what an owner needs, or waits for; perhaps in one place."""
        verdicts = self._monitor.verdicts
        missing = [
            error
            for binding in self._by_uid.get(uid, ())
            if namespace in (None, binding.scope.namespace)
            for error in binding.scope.needs.missing(verdicts)
        ]
        waits = (verdicts[wait.permission] for wait in self.pending_grants.of_owner(uid))
        missing += [verdict.error() for verdict in waits if verdict.denying]
        found = {error.subject: error for error in missing if namespace in (None, error.namespace)}
        return list(found.values())

    @property
    def waiting(self) -> Collection[ScopeBinding]:
        """Return the scopes that wait for a right, the cache's own included."""
        return self._waiting.keys()

    @property
    def missing(self) -> Iterator[Permission]:
        """Return every right that is missing for certain, and that somebody needs or waits for."""
        for permission in self._monitor.missing:
            if self._is_missed(permission):
                yield permission

    def count_missing(self) -> int:
        """Return how many of those there are, without a look at each."""
        return len(self._monitor.missing) - sum(right in self._monitor.missing for right in self.own_wishes)

    @property
    def verdicts_in_use(self) -> Iterator[Verdict]:
        """Return what is believed about the rights that somebody needs or waits for, without the cache's own wishes."""
        own = self.own_wishes
        for permission, verdict in list(self._monitor.verdicts.items()):
            if permission not in own:
                yield verdict

    @property
    def own_wishes(self) -> AbstractSet[Permission]:
        """Return the rights that nobody but the cache itself would like."""
        rights = (right for binding in self.internal for right in binding.scope.needs.permissions)
        return {right for right in rights if not self._is_missed(right)}

    def _is_missed(self, permission: Permission) -> bool:
        return self.pending_grants.has(permission) or self._needs.is_needed(permission)

    # -- look-ups ------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[ScopeBinding]:
        for bindings in list(self._by_namespace.values()):
            yield from list(bindings.values())
        for of_nobody in list(self._of_nobody.values()):
            yield from list(of_nobody)

    def __len__(self) -> int:
        owned = sum(len(bindings) for bindings in self._by_namespace.values())
        return owned + sum(len(bindings) for bindings in self._of_nobody.values())

    def owners(self, kind: GVK, namespace: str | None) -> list[OwnerId]:
        """Return the owners of a kind, of whatever version, in a namespace (None: all) that have a scope or wait for a
        right.
        """
        owners = [binding.scope.owner for bindings in self._by_uid.values() for binding in bindings]
        return [
            owner
            for owner in dict.fromkeys([*owners, *(wait.owner for wait in self.pending_grants)])
            if owner is not None
            and (owner.kind.group, owner.kind.kind) == (kind.group, kind.kind)
            and namespace in (None, owner.key.namespace)
        ]

    @property
    def namespaces(self) -> int:
        """Return the number of places where an owner has a scope."""
        return len(self._by_namespace)

    def of_everybody(self, namespace: str | None) -> Iterable[ScopeBinding]:
        """Return the scopes that see the whole cluster, those of nobody first; then nobody's in a namespace."""
        yield from (binding for binding in self._of_nobody.get(None, ()) if not binding.scope.internal)
        yield from self._by_namespace.get(None, {}).values()
        if namespace is not None:
            yield from self._of_nobody.get(namespace, ())

    # -- effects -------------------------------------------------------------------------------------------------

    def carry_out(self, binding: ScopeBinding, effects: Sequence[Effect]) -> None:
        """Do what a scope wants done, in this step; its owner is told last."""
        self._carry_out_all([(binding, effects)])

    def _carry_out_all(self, effects_of: Iterable[tuple[ScopeBinding, Sequence[Effect]]]) -> None:
        """Do what several scopes want done; only then is anybody told."""
        changes: list[tuple[ScopeBinding, OwnerChanged]] = []
        for binding, effects in effects_of:
            for effect in effects:
                if isinstance(effect, Publish):
                    if not self._knows(effect):
                        changes.append((binding, effect.change))
                else:
                    self._carry_out(binding, effect)
            if binding.scope.is_waiting:
                self._waiting[binding] = None
            else:
                self._waiting.pop(binding, None)
        for binding, change in changes:
            self.publish(change)
            if change.cause == "denied":
                self._missing_news.told(binding)

    def _knows(self, effect: Publish) -> bool:
        """Tell whether an owner was refused already what it is to hear: a reconcile more would send the write again."""
        return effect.right is not None and self.pending_grants.awaits(effect.change.uid, effect.right)

    def _carry_out(self, binding: ScopeBinding, effect: Effect) -> None:
        match effect:
            case Track(need):
                self._needs.add(binding, need)
            case Untrack(need, for_good=True):
                self._needs.drop(binding, need)
            case Untrack(need):
                self._needs.drop_rights(binding, need)
            case DropKeys(need):
                self._needs.drop_place(need)
            case AwaitKind(kind):
                self._kinds.add(kind)
            case DropKind(kind):
                self._kinds.drop(kind)
            case Bind(need):
                binding.bind(need)
            case Rebind(before, after):
                binding.rebind(before, after)
            case Release(need, error):
                binding.unbind(need, error)
            case Hide(kind, reason):
                binding.hide(kind, reason)
            case Invalidate(reason):
                binding.invalidate(reason)
            case Renew(generation, reason):
                binding.renew(generation, reason)
            case Publish():
                raise AssertionError("told last")
            case PublishMissing():
                self._missing_news.add(binding)
            case Reopen():
                self._openings.reopen(binding)
            case Forget():
                self._forget(binding)
            case Log():
                self._log(binding.scope, effect)
            case _:
                assert_never(effect)

    def _log(self, scope: Scope, effect: Log) -> None:
        error = effect.error
        level = logging.INFO if error is None else self._losses.level(error, self._monitor.missing)
        if not logger.isEnabledFor(level):  # thousands of owners may lose a right in one step
            return
        about = {} if error is None else {"error": str(error)}
        if isinstance(error, APIError):
            about = {"verb": error.verb, "resource": error.resource} | about
        logger.log(level, effect.event, extra=scope.log_fields() | {"kinds": list(effect.kinds)} | about)

    def _new(self, scope: Scope) -> ScopeBinding:
        return ScopeBinding(scope, self.leases, self)

    def _forget(self, binding: ScopeBinding) -> None:
        self._late.drop(binding)
        self._openings.cancel(binding)
        binding.end()
        self._pool.drop_owner(binding, binding.scope.identity)
        self.internal.pop(binding, None)
        scope = binding.scope
        of_nobody = self._of_nobody.get(scope.namespace, {})
        if binding in of_nobody:
            del of_nobody[binding]
            if not of_nobody:
                del self._of_nobody[scope.namespace]
        bindings = self._by_namespace.get(scope.namespace, {})
        if bindings.get(scope.uid) is binding:
            del bindings[scope.uid]
            if not bindings:
                del self._by_namespace[scope.namespace]
        same_owner = self._by_uid.get(scope.uid, {})
        if binding in same_owner:
            del same_owner[binding]
            if not same_owner:
                del self._by_uid[scope.uid]

    def __repr__(self) -> str:
        return f"<ScopeTable scopes={len(self)} openings={self._openings!r}>"


def _log_unrouted(scope: Scope, needs: Iterable[Need]) -> None:
    """Say of which kinds an owner will hear nothing: no owner reference leads into another namespace."""
    if scope.owner is None or not scope.namespace or scope.owner.key.namespace in ("", scope.namespace):
        return
    kinds = [str(need.kind) for need in needs if need.route is None and need.name is None and need.told_of is None]
    if kinds:
        advice = "owner references lead into no other namespace: give Need(…, route=…) to be told of changes"
        logger.info("scope.nothing_routed", extra=scope.log_fields() | {"kinds": kinds, "advice": advice})
