"""All scopes of a cache, and what moves them: opening, verdicts, closing.

A denial is one synchronous step: when `verdict_changed` returns, no read shows anything of what was lost, no handler
is called for it, and its owners have been told. Connections close after that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from copy import copy

from ..access import Monitor, Verdict
from ..access.verdict import VerdictState
from ..api.permission import Permission
from ..clock import loop_time
from ..errors import CacheError, ForbiddenError, ScopeClosedError, UnauthorizedError
from ..kinds import Kind, Resource
from ..needs import Need
from ..supervisor import Supervisor
from .deleted_owners import DeletedOwners
from .informer_plan import plan
from .informer_pool import Pool
from .need_registry import NeedRegistry
from .owner import Denial, OwnerChanged, OwnerId
from .pending_grants import PendingGrants
from .resource_cache import ResourceCache
from .scope import BoundNeed, Scope

logger = logging.getLogger("scopedcache.cache")

Needs = list[tuple[Resource, Need]]


class Scopes:
    """The table namespace → UID → scope."""

    def __init__(
        self,
        monitor: Monitor,
        pool: Pool,
        supervisor: Supervisor,
        *,
        cluster_wide: Collection[Kind],
        publish: Callable[[OwnerChanged], None],
        timer: Callable[[], float] = loop_time,
    ) -> None:
        self.table: dict[str | None, dict[str, Scope]] = {}
        self._monitor = monitor
        self._pool = pool
        self._supervisor = supervisor
        self._cluster_wide = tuple(cluster_wide)
        self._publish = publish
        self.awaited = PendingGrants(monitor, publish)
        self.deleted_owners = DeletedOwners(pool, timer=timer)
        self._claims = NeedRegistry(monitor, pool)
        self._by_uid: dict[str, dict[Scope, None]] = {}
        self._static: dict[str | None, dict[Scope, None]] = {}  # by namespace

    # -- opening -------------------------------------------------------------------------------------------------

    def scope(self, owner: OwnerId, namespace: str | None) -> Scope:
        """Return the scope of an owner in a namespace, made if it is not there.

        Raises:
            ScopeClosedError: the owner was deleted.
        """
        self.deleted_owners.check(owner)
        found = self.table.setdefault(namespace, {}).get(owner.uid)
        if found is None:
            found = Scope(owner, namespace, self._publish, self.release, self.lacking)
            self.table[namespace][owner.uid] = found
            self._by_uid.setdefault(owner.uid, {})[found] = None
        return found

    def static(self, namespace: str | None, *, internal: bool = False) -> Scope:
        """Return a new scope that belongs to no owner."""
        scope = Scope(None, namespace, self._publish, self.release, self.lacking, internal)
        self._static.setdefault(namespace, {})[scope] = None
        return scope

    def add(self, scope: Scope, needs: Needs) -> bool:
        """Add what a scope lacks; tell whether it lacked something."""
        lacking = scope.lacks(needs)
        for resource, need in lacking:
            before, held = scope.held.get(resource), self._held(resource, need, scope.namespace)
            self._claims.add(scope, held)
            scope.held[resource] = held
            if before is None:
                scope.handle.expect(resource)
            else:
                self._succeed(scope, before, held)
        return bool(lacking)

    def _succeed(self, scope: Scope, before: BoundNeed, held: BoundNeed) -> None:
        """Let a need take the place of one of its kind that asked for less; its informer stays where it will do."""
        informer = before.informer
        if informer is not None and before.informer_key == held.informer_key:
            self._unroute(scope, before)
            before.informer, held.informer = None, informer
            self._show(scope, held)
        elif informer is not None:
            scope.handle.expect(held.resource)
        self._drop(scope, before, None)

    def is_complete(self, scope: Scope) -> bool:
        """Tell whether everything a scope needs and may see has its informer."""
        return all(
            held.informer is not None or (held.need.optional and self._lost(held) is not None)
            for held in scope.held.values()
        )

    def open_at_once(self, scope: Scope) -> ResourceCache | None:
        """Open a scope whose rights are known and whose informers are synced, without a wait; None if it takes one."""
        if not all((verdict := self._monitor.verdict(permission)) and verdict.open for permission in scope.required):
            return None
        for held in scope.held.values():
            informer = held.informer or self._pool.running(held.informer_key)
            if (informer is None or not informer.synced) and not (held.need.optional and self._lost(held)):
                return None
        if scope.state == "opening" and scope.owner is not None:
            logger.info("cache.created", extra=_fields(scope))
        self._bind(scope)
        return self._opened(scope)

    async def open(self, scope: Scope, *, granted: bool = False) -> ResourceCache:
        """Open a scope; everybody who asks meanwhile shares one opening, and nobody's cancellation ends another's.

        Raises:
            ForbiddenError, UnauthorizedError: a required right is missing. The scope waits for it.
        """
        opening = scope.opening
        if opening is None or opening.done():
            refused = self._refused(scope)
            if scope.state == "waiting" and refused is not None:
                raise refused.error()
            opening = scope.opening = self._supervisor.start(f"open {scope}", self._open(scope, granted), quiet=True)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            if opening.cancelled() and not _cancelled():
                raise ScopeClosedError(f"the scope {scope} was closed while it opened") from None
            raise

    async def _open(self, scope: Scope, granted: bool) -> ResourceCache:
        created = False
        while True:
            await self._monitor.check([permission for held in scope.held.values() for permission in held.permissions])
            if scope.state == "closed":
                raise ScopeClosedError(f"the scope {scope} was closed while it opened")
            refused = self._refused(scope)
            if refused is not None:
                # What is open already and only suspected goes on being read (design, access).
                if scope.state == "opening" or (scope.state == "open" and refused.state != "suspect"):
                    self._wait(scope, refused.error())
                raise refused.error()
            if scope.state == "waiting":
                scope.renew()
                scope.state, granted = "opening", True
            if scope.state == "opening" and scope.owner is not None and not created:
                logger.info("cache.created", extra=_fields(scope))
                created = True
            self._bind(scope)
            wanted = list(scope.held.values())
            for held in wanted:
                await self._synced(scope, held)
            self._check_open(scope)
            # Needs may have come, or optional ones been granted, while others synced.
            if wanted == list(scope.held.values()) and self.is_complete(scope):
                break
        handle = self._opened(scope)
        if granted and scope.owner is not None:
            self._publish(scope.change("granted"))
        return handle

    def _check_open(self, scope: Scope) -> None:
        """Raise if the scope was denied while its informers synced."""
        if scope.state == "waiting" and scope.error is not None:
            raise copy(scope.error)

    async def _synced(self, scope: Scope, held: BoundNeed) -> None:
        if held.informer is None:
            return
        try:
            await held.informer.wait_synced()
        except (ForbiddenError, UnauthorizedError):
            if not held.need.optional:
                raise
        except CacheError:  # closed: released meanwhile, or replaced by a wider need
            if scope.held.get(held.resource) is held:
                raise

    def _refused(self, scope: Scope) -> Verdict | None:
        """Return what stands against opening a scope; what is settled first."""
        lost = (self._monitor.verdict(permission) for permission in scope.required)
        found = [verdict for verdict in lost if verdict is not None and verdict.lost]
        return min(found, key=lambda verdict: verdict.state == "suspect", default=None)

    def _bind(self, scope: Scope) -> None:
        """Take the informers a scope needs, and the routes from them to its owner."""
        for held in list(scope.held.values()):
            if held.informer is not None:
                continue
            lost = self._lost(held)
            if lost is not None:  # an optional one: its place stays empty
                scope.handle.hide(held.resource, lost.error())
                continue
            informer = self._pool.acquire(held.informer_key, scope)
            held.informer = informer
            self._show(scope, held)
            scope.bind(held, informer)

    def _show(self, scope: Scope, held: BoundNeed) -> None:
        """Let a scope's reads, and its owner, see an informer."""
        assert held.informer is not None
        scope.handle.show(held.resource, held.informer, held.need)
        if scope.owner is not None:
            held.informer.router.add(scope, selector=held.need.selector, route=held.need.route)

    def _unroute(self, scope: Scope, held: BoundNeed) -> None:
        if held.informer is not None and scope.owner is not None:
            held.informer.router.remove(scope, selector=held.need.selector, route=held.need.route)

    def _opened(self, scope: Scope) -> ResourceCache:
        if scope.state != "open" and scope.owner is not None:
            logger.info("cache.synced", extra=_fields(scope))
        scope.state, scope.error = "open", None
        return scope.handle

    def _lost(self, held: BoundNeed) -> Verdict | None:
        verdicts = (self._monitor.verdict(permission) for permission in held.informer_key.permissions)
        return next((verdict for verdict in verdicts if verdict is not None and verdict.lost), None)

    # -- verdicts ------------------------------------------------------------------------------------------------

    def verdict_changed(self, verdict: Verdict, before: VerdictState) -> None:
        """Close what was lost, open what came back."""
        scopes = self._claims.of(verdict.permission)
        if verdict.state in ("denied", "unauthenticated"):
            error = verdict.error()
            for scope in scopes:
                self._permission_lost(scope, verdict.permission, error)
        elif verdict.state == "allowed":
            for scope in scopes:
                self._permission_gained(scope, verdict.permission, before)
            self.awaited.gained(verdict.permission)

    def await_grant(self, owner: OwnerId, permission: Permission, *, settled: bool) -> None:
        """Tell an owner once it has a right that a call of its was refused and that no need of its declares."""
        declared = any(
            permission in held.permissions for scope in self.of_owner(owner.uid) for held in scope.held.values()
        )
        if not declared and not self.deleted_owners.has(owner.uid):
            self.awaited.add(owner, permission, settled=settled)

    def _permission_lost(self, scope: Scope, permission: Permission, error: Denial) -> None:
        for held in scope.needs_for(permission):
            if permission not in held.informer_key.permissions:
                if scope.state == "open":
                    self._tell_denied(scope, error)  # another verb: what may be seen stays
            elif not held.need.optional:
                if scope.state in ("opening", "open"):
                    self._wait(scope, error)
            else:
                self._hide(scope, held, error)

    def _hide(self, scope: Scope, held: BoundNeed, error: Denial) -> None:
        """An optional need is denied: it closes alone."""
        if scope.state in ("opening", "open"):
            shown = held.informer is not None
            self._unbind(scope, held, error)
            scope.handle.hide(held.resource, error)
            if shown and scope.state == "open":
                self._tell_denied(scope, error)

    def _permission_gained(self, scope: Scope, permission: Permission, before: VerdictState) -> None:
        for held in scope.needs_for(permission):
            if permission not in held.informer_key.permissions:
                if scope.state == "open" and scope.owner is not None and before in ("denied", "unauthenticated"):
                    self._publish(scope.change("granted"))
            elif scope.state == "waiting" and (refused := self._refused(scope)) is not None:
                scope.lose(refused.error())
            elif scope.state == "waiting" or (scope.state == "open" and not self.is_complete(scope)):
                self._supervisor.start(f"reopen {scope}", self._reopen(scope))

    async def _reopen(self, scope: Scope) -> None:
        try:
            while True:
                try:
                    await self.open(scope, granted=True)
                    return
                except (ForbiddenError, UnauthorizedError):
                    # It waits, and its owner was told; unless what it was refused for is over already.
                    if scope.state != "waiting" or self._refused(scope) is not None:
                        return
        except ScopeClosedError:
            pass
        except Exception as error:
            logger.info("scope.reopen_failed", extra=_fields(scope) | {"error": str(error)})

    def _wait(self, scope: Scope, error: Denial) -> None:
        """A required right is missing: the group closes as one, in this step, and waits."""
        had = scope.state
        scope.lose(error)
        for held in list(scope.held.values()):
            self._unbind(scope, held, error)
        if not scope.internal:
            said = {"error": str(error), "verb": error.verb, "resource": error.resource}
            logger.info("cache.removed" if had == "open" else "access.denied", extra=_fields(scope) | said)
        if had == "open":
            self._tell_denied(scope, error)

    def _tell_denied(self, scope: Scope, error: Denial) -> None:
        if scope.owner is not None:
            self._publish(scope.change("denied", error=error))

    # -- closing -------------------------------------------------------------------------------------------------

    def close(self, scope: Scope) -> None:
        """Close one scope and forget it."""
        if scope.state == "closed":
            return
        for held in list(scope.held.values()):
            self._drop(scope, held, None)
        scope.held.clear()
        scope.close()
        if scope.opening is not None:
            scope.opening.cancel()
        if scope.owner is None:
            self._forget_static(scope)
        else:
            self._pool.chain.drop(scope)
            self._forget(scope)
            logger.info("cache.removed", extra=_fields(scope))

    def close_owner(self, uid: str, *, gone: bool = False) -> None:
        """Close all scopes of an owner; `gone`: it was deleted, and may not open any more."""
        if gone:
            self.deleted_owners.gone(uid)
        self.deleted_owners.closed(uid)
        self.awaited.drop(uid)
        for scope in list(self._by_uid.get(uid, ())):
            self.close(scope)

    def release(self, scope: Scope, kind: Kind) -> None:
        """Give up one kind of a scope."""
        held = scope.find(kind)
        if held is not None:
            del scope.held[held.resource]
            self._drop(scope, held, None)
            scope.handle.hide(held.resource, None)
            if scope.state == "waiting" and self._refused(scope) is None:
                self._supervisor.start(f"reopen {scope}", self._reopen(scope))

    def lacking(self, scope: Scope) -> Sequence[Denial]:
        """Return what is missing for certain of the verbs that a scope's needs declare."""
        verdicts = (self._monitor.verdict(permission) for held in scope.held.values() for permission in held.verbs)
        return [verdict.error() for verdict in verdicts if verdict is not None and verdict.state == "denied"]

    def close_all(self) -> None:
        """Close everything."""
        self.deleted_owners.closed_all()
        for scope in self:
            self.close(scope)
        self.awaited.clear()

    def __iter__(self) -> Iterator[Scope]:
        for scopes in list(self.table.values()):
            yield from list(scopes.values())
        for static in list(self._static.values()):
            yield from list(static)

    def of_everybody(self, namespace: str | None) -> Iterable[Scope]:
        """Return the scopes that see the whole cluster, those of nobody first; then nobody's in a namespace."""
        yield from (scope for scope in self._static.get(None, ()) if not scope.internal)
        yield from self.table.get(None, {}).values()
        if namespace is not None:
            yield from self._static.get(namespace, ())

    def of_owner(self, uid: str) -> Iterable[Scope]:
        return list(self._by_uid.get(uid, ()))

    def _drop(self, scope: Scope, held: BoundNeed, error: Denial | None) -> None:
        """End a need for good: its informer, its routes, its verdicts."""
        self._unbind(scope, held, error)
        self._claims.drop(scope, held)

    def _unbind(self, scope: Scope, held: BoundNeed, error: Denial | None) -> None:
        if held.informer is None:
            return
        self._unroute(scope, held)
        scope.bind(held, None)
        self._pool.release(held.informer_key, scope, error)

    def _forget_static(self, scope: Scope) -> None:
        static = self._static.get(scope.namespace, {})
        static.pop(scope, None)
        if not static:
            self._static.pop(scope.namespace, None)

    def _forget(self, scope: Scope) -> None:
        mine = self.table.get(scope.namespace, {})
        mine.pop(scope.uid, None)
        if not mine:
            self.table.pop(scope.namespace, None)
        same = self._by_uid.get(scope.uid, {})
        same.pop(scope, None)
        if not same:
            self._by_uid.pop(scope.uid, None)

    def _held(self, resource: Resource, need: Need, namespace: str | None) -> BoundNeed:
        informer_key = plan(resource, need, namespace, self._cluster_wide)
        gvr = resource.gvr
        place = namespace if resource.namespaced else None
        verbs = tuple(Permission(verb, gvr.group, gvr.resource, place, name=need.name) for verb in need.all_verbs[2:])
        return BoundNeed(resource, need, informer_key, verbs)


def _cancelled() -> bool:
    """Tell whether somebody cancels the current task."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _fields(scope: Scope) -> dict[str, object]:
    owner = scope.owner
    return {
        "namespace": scope.namespace,
        "owner": str(owner) if owner else None,
        "uid": scope.uid or None,
        "kinds": [resource.gvk.kind for resource in scope.held],
    }
