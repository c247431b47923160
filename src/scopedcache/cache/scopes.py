"""All scopes of a cache, and what moves them: opening, verdicts, closing.

A denial is one synchronous step: when `verdict_changed` returns, no read shows anything of what was lost, no handler
is called for it, and its owners have been told. Connections close after that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import cachetools

from ..access import Monitor, Verdict
from ..api.reviews import Right
from ..errors import ForbiddenError, ScopeClosedError
from ..objects import Kind, Need, Resource
from ..tasks import Supervisor
from .changes import Denial, OwnerChanged, OwnerId
from .pool import Pool, plan
from .resource_cache import ResourceCache
from .scope import Held, Scope

_log = logging.getLogger("scopedcache.cache")

# UIDs of owners seen deleted, so that a reconcile still under way cannot open a scope that nobody would close.
_GONE = 10_000
_GONE_TTL = 600.0

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
    ) -> None:
        self.table: dict[str | None, dict[str, Scope]] = {}
        self._monitor = monitor
        self._pool = pool
        self._supervisor = supervisor
        self._cluster_wide = tuple(cluster_wide)
        self._publish = publish
        self._by_right: dict[Right, dict[Scope, None]] = {}
        self._by_uid: dict[str, dict[Scope, None]] = {}
        self._static: dict[Scope, None] = {}
        self._awaited: dict[Right, dict[OwnerId, None]] = {}
        self._gone: cachetools.TTLCache[str, bool] = cachetools.TTLCache(_GONE, _GONE_TTL)

    # -- opening -------------------------------------------------------------------------------------------------

    def scope(self, owner: OwnerId, namespace: str | None) -> Scope:
        """Return the scope of an owner in a namespace, made if it is not there.

        Raises:
            ScopeClosedError: the owner was deleted.
        """
        if owner.uid in self._gone:
            raise ScopeClosedError(f"{owner} was deleted")
        found = self.table.setdefault(namespace, {}).get(owner.uid)
        if found is None:
            found = Scope(owner, namespace, self._publish, self.release, self.lacking)
            self.table[namespace][owner.uid] = found
            self._by_uid.setdefault(owner.uid, {})[found] = None
        return found

    def static(self, namespace: str | None, *, internal: bool = False) -> Scope:
        """Return a new scope that belongs to no owner."""
        scope = Scope(None, namespace, self._publish, self.release, self.lacking, internal)
        self._static[scope] = None
        return scope

    def add(self, scope: Scope, needs: Needs) -> bool:
        """Add what a scope lacks; tell whether it lacked something."""
        lacking = scope.lacks(needs)
        for resource, need in lacking:
            before = scope.held.get(resource)
            if before is not None:
                self._drop(scope, before, None)
            held = self._held(resource, need, scope.namespace)
            scope.held[resource] = held
            self._monitor.lease(held.rights)
            for right in held.rights:
                self._by_right.setdefault(right, {})[scope] = None
        return bool(lacking)

    def open_at_once(self, scope: Scope) -> ResourceCache | None:
        """Open a scope whose rights are known and whose informers are synced, without a wait; None if it takes one."""
        if not all((verdict := self._monitor.verdict(right)) and verdict.open for right in scope.required):
            return None
        for held in scope.held.values():
            informer = held.informer or self._pool.running(held.physical)
            if (informer is None or not informer.synced) and not (held.need.optional and self._lost(held)):
                return None
        self._bind(scope)
        return self._opened(scope)

    async def open(self, scope: Scope, *, granted: bool = False) -> ResourceCache:
        """Open a scope; everybody who asks meanwhile shares one opening, and nobody's cancellation ends another's.

        Raises:
            ForbiddenError, UnauthorizedError: a required right is missing. The scope waits for it.
        """
        if scope.opening is None or scope.opening.done():
            refusal = self._refusal(scope)
            if scope.state == "waiting" and refusal is not None:
                raise refusal
            scope.opening = self._supervisor.start(f"open {scope}", self._open(scope, granted), quiet=True)
        try:
            return await asyncio.shield(scope.opening)
        except asyncio.CancelledError:
            if scope.opening.cancelled() and not _cancelled():
                raise ScopeClosedError(f"the scope {scope} was closed while it opened") from None
            raise

    async def _open(self, scope: Scope, granted: bool) -> ResourceCache:
        was_waiting, bound = scope.state == "waiting", False
        while True:
            await self._monitor.check([right for held in scope.held.values() for right in held.rights])
            if scope.state == "closed":
                raise ScopeClosedError(f"the scope {scope} was closed while it opened")
            refusal = self._refusal(scope)
            if refusal is not None:
                self._wait(scope, refusal)
                raise refusal
            if was_waiting:
                scope.renew()
                was_waiting = False
            if scope.state == "waiting":
                scope.state = "opening"
            if scope.state == "opening" and scope.owner is not None and not bound:
                _log.info("cache.created", extra=_fields(scope))
                bound = True
            self._bind(scope)
            wanted = list(scope.held.values())
            for held in wanted:
                if held.informer is not None:
                    await self._synced(held)
            self._check_open(scope)
            if wanted == list(scope.held.values()):
                break
        handle = self._opened(scope)
        if granted and scope.owner is not None:
            self._publish(scope.change("granted"))
        return handle

    def _check_open(self, scope: Scope) -> None:
        """Raise if the scope was denied while its informers synced."""
        if scope.state == "waiting" and scope.error is not None:
            raise scope.error

    async def _synced(self, held: Held) -> None:
        assert held.informer is not None
        try:
            await held.informer.wait_synced()
        except ForbiddenError:
            if not held.need.optional:
                raise

    def _refusal(self, scope: Scope) -> Denial | None:
        for right in scope.required:
            verdict = self._monitor.verdict(right)
            if verdict is not None and verdict.lost:
                return verdict.error()
        return None

    def _bind(self, scope: Scope) -> None:
        """Take the informers a scope needs, and the routes from them to its owner."""
        for held in scope.held.values():
            if held.informer is not None:
                continue
            lost = self._lost(held)
            if lost is not None:  # an optional one: its place stays empty
                scope.handle.hide(held.resource, lost.error())
                continue
            informer = self._pool.acquire(held.physical, scope)
            scope.bind(held, informer)
            scope.handle.show(held.resource, informer, held.need)
            if scope.owner is not None:
                informer.router.add(scope, selector=held.need.selector, route=held.need.route)

    def _opened(self, scope: Scope) -> ResourceCache:
        if scope.state != "open" and scope.owner is not None:
            _log.info("cache.synced", extra=_fields(scope))
        scope.state, scope.error = "open", None
        return scope.handle

    def _lost(self, held: Held) -> Verdict | None:
        verdicts = (self._monitor.verdict(right) for right in held.physical.rights)
        return next((verdict for verdict in verdicts if verdict is not None and verdict.lost), None)

    # -- verdicts ------------------------------------------------------------------------------------------------

    def verdict_changed(self, verdict: Verdict) -> None:
        """Close what was lost, open what came back."""
        scopes = list(self._by_right.get(verdict.right, ()))
        if verdict.state in ("denied", "unauthenticated"):
            error = verdict.error()
            for scope in scopes:
                self._right_lost(scope, verdict.right, error)
        elif verdict.state == "allowed":
            for scope in scopes:
                self._right_gained(scope, verdict.right)
            self._awaited_gained(verdict.right)

    def await_right(self, owner: OwnerId, right: Right) -> None:
        """Tell an owner once it has a right that a call of its was refused and that no need of its declares."""
        if any(right in held.rights for scope in self.of_owner(owner.uid) for held in scope.held.values()):
            return
        owners = self._awaited.setdefault(right, {})
        if owner not in owners:
            owners[owner] = None
            self._monitor.lease([right])

    def _awaited_gained(self, right: Right) -> None:
        for owner in self._awaited.pop(right, ()):
            self._monitor.release([right])
            self._publish(OwnerChanged(owner.kind, owner.key, owner.uid, "granted"))

    def _right_lost(self, scope: Scope, right: Right, error: Denial) -> None:
        held = scope.holding(right)
        if held is None or scope.state == "closed":
            return
        if right not in held.physical.rights:
            self._tell_denied(scope, error)  # another verb: what may be seen stays
        elif not held.need.optional:
            if scope.state != "waiting":
                self._wait(scope, error)
        elif held.informer is not None:
            self._unbind(scope, held, error)
            scope.handle.hide(held.resource, error)
            self._tell_denied(scope, error)

    def _right_gained(self, scope: Scope, right: Right) -> None:
        held = scope.holding(right)
        if held is None or scope.state == "closed":
            return
        if right not in held.physical.rights:
            if scope.state == "open" and scope.owner is not None:
                self._publish(scope.change("granted"))
        elif (scope.state == "waiting" and self._refusal(scope) is None) or (
            scope.state == "open" and held.informer is None and self._lost(held) is None
        ):
            self._supervisor.start(f"reopen {scope}", self._reopen(scope))

    async def _reopen(self, scope: Scope) -> None:
        try:
            await self.open(scope, granted=True)
        except (ForbiddenError, ScopeClosedError):
            pass  # lost again; it waits, and its owner was told
        except Exception as error:
            _log.info("reopen-failed", extra=_fields(scope) | {"error": str(error)})

    def _wait(self, scope: Scope, error: Denial) -> None:
        """A required right is missing: the group closes as one, in this step, and waits."""
        had = scope.state
        scope.lose(error)
        for held in scope.held.values():
            self._unbind(scope, held, error)
        if not scope.internal:
            said = {"error": str(error), "verb": error.verb, "resource": error.resource}
            _log.info("cache.removed" if had == "open" else "access.denied", extra=_fields(scope) | said)
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
        self._static.pop(scope, None)
        if scope.owner is not None:
            self._pool.chain.drop(scope)
            self._forget(scope)
            _log.info("cache.removed", extra=_fields(scope))

    def close_owner(self, uid: str, *, gone: bool = False) -> None:
        """Close all scopes of an owner; `gone`: it was deleted, and may not open any more."""
        if gone:
            self._gone[uid] = True
        for right, owners in list(self._awaited.items()):
            for owner in [owner for owner in owners if owner.uid == uid]:
                del owners[owner]
                self._monitor.release([right])
            if not owners:
                del self._awaited[right]
        for scope in list(self._by_uid.get(uid, ())):
            self.close(scope)

    def release(self, scope: Scope, kind: Kind) -> None:
        """Give up one kind of a scope."""
        held = scope.find(kind)
        if held is not None:
            del scope.held[held.resource]
            self._drop(scope, held, None)
            scope.handle.hide(held.resource, None)

    def lacking(self, scope: Scope) -> Sequence[Denial]:
        """Return what is missing for certain of the verbs that a scope's needs declare."""
        verdicts = (self._monitor.verdict(right) for held in scope.held.values() for right in held.verbs)
        return [verdict.error() for verdict in verdicts if verdict is not None and verdict.state == "denied"]

    def __iter__(self) -> Iterator[Scope]:
        for scopes in list(self.table.values()):
            yield from list(scopes.values())
        yield from list(self._static)

    def in_cluster(self) -> Iterable[Scope]:
        """Return the scopes that see the whole cluster, those of nobody first."""
        return [*(scope for scope in self._static if scope.namespace is None), *self.table.get(None, {}).values()]

    def of_owner(self, uid: str) -> Iterable[Scope]:
        return list(self._by_uid.get(uid, ()))

    def _drop(self, scope: Scope, held: Held, error: Denial | None) -> None:
        """End a need for good: its informer, its routes, its verdicts."""
        self._unbind(scope, held, error)
        for right in held.rights:
            holders = self._by_right.get(right)
            if holders is not None:
                holders.pop(scope, None)
                if not holders:
                    del self._by_right[right]
                    self._pool.forget(held.physical)
        self._monitor.release(held.rights)

    def _unbind(self, scope: Scope, held: Held, error: Denial | None) -> None:
        if held.informer is None:
            return
        if scope.owner is not None:
            held.informer.router.remove(scope, selector=held.need.selector, route=held.need.route)
        scope.bind(held, None)
        self._pool.release(held.physical, scope, error)

    def _forget(self, scope: Scope) -> None:
        mine = self.table.get(scope.namespace, {})
        mine.pop(scope.uid, None)
        if not mine:
            self.table.pop(scope.namespace, None)
        same = self._by_uid.get(scope.uid, {})
        same.pop(scope, None)
        if not same:
            self._by_uid.pop(scope.uid, None)

    def _held(self, resource: Resource, need: Need, namespace: str | None) -> Held:
        physical = plan(resource, need, namespace, self._cluster_wide)
        gvr = resource.gvr
        place = namespace if resource.namespaced else None
        verbs = tuple(Right(verb, gvr.group, gvr.resource, place, name=need.name) for verb in need.all_verbs[2:])
        return Held(resource, need, physical, verbs)


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
