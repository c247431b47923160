"""Opening scopes: what has to wait, for discovery, for reviews and for first lists.

All who ask share one opening of a scope. Who asks waits for a while only, and no longer than what it waits for has been
under way already; the opening goes on, and the owner is told. Optional needs come on their own: nobody waits for what
one of them lacks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from math import inf
from typing import Final, Protocol

import attrs

from ..access import Monitor
from ..clock import loop_time
from ..errors import (
    CacheError,
    ForbiddenError,
    NotSyncedError,
    ScopeClosedError,
    ScopedCacheError,
    UnauthorizedError,
    UnknownKindError,
    where,
)
from ..event_logger import event_logger
from ..informer import Informer
from ..kinds import Kind
from ..supervisor import Supervisor
from .bound_need import BoundNeed
from .informer_leases import InformerLeases
from .opening_turns import OpeningTurns
from .resource_cache import ResourceCache
from .scope_binding import ScopeBinding
from .scope_effects import Effect
from .scope_needs import lost_verdict
from .served_kinds import ServedKinds

logger: Final = event_logger("scopedcache.cache")

# An optional need that lacks nothing is listed with the required ones, and may come a little later than they do.
OPTIONAL_GRACE_SECONDS: Final = 0.5


class EffectRunner(Protocol):
    """Carries out what a scope wants done."""

    def carry_out(self, binding: ScopeBinding, effects: Sequence[Effect]) -> None:
        """Do it all before this returns."""

    def settle(self, binding: ScopeBinding) -> None:
        """Let it take in what it has missed of verdicts: after each wait, before anything else happens to it."""


@attrs.define(eq=False)
class _Opening:
    """An opening under way."""

    task: asyncio.Task[ResourceCache]
    since: float


@attrs.define(eq=False)
class _OptionalOpening:
    """The opening of one optional need; `late`: nobody waits for it any more, its owner is to be told."""

    task: asyncio.Task[None]
    since: float
    late: bool = False


class ScopeOpenings:
    """The openings under way, at most one for each scope, and one for each of its optional needs."""

    def __init__(
        self,
        monitor: Monitor,
        leases: InformerLeases,
        kinds: ServedKinds,
        turns: OpeningTurns,
        supervisor: Supervisor,
        runner: EffectRunner,
    ) -> None:
        self._monitor = monitor
        self._leases = leases
        self._kinds = kinds
        self._turns = turns
        self._supervisor = supervisor
        self._runner = runner
        self._openings: dict[ScopeBinding, _Opening] = {}
        self._optional: dict[ScopeBinding, dict[Kind, _OptionalOpening]] = {}

    def is_open(self, binding: ScopeBinding) -> bool:
        """Tell whether a scope shows every required need."""
        needs = binding.scope.needs
        return (
            binding.scope.is_open
            and needs.is_complete
            and all(need.need.optional or self._is_synced(binding, need) for need in needs)
        )

    def open_at_once(self, binding: ScopeBinding) -> ResourceCache | None:
        """Open a scope whose rights are known and whose informers are synced, without a wait; None if it takes one."""
        scope, verdicts = binding.scope, self._monitor.verdicts
        if scope.is_waiting or scope.needs.unserved or self._under_way(binding) is not None:
            return None
        for permission in scope.needs.required:
            verdict = verdicts.get(permission)
            if verdict is None or not verdict.open:
                return None
        for need in scope.needs:
            if not self._is_synced(binding, need) and not (need.need.optional and self._is_lost(need)):
                return None
        self._runner.carry_out(binding, scope.on_reviewed(verdicts))
        self._runner.carry_out(binding, scope.on_synced())
        return binding.handle

    async def open(self, binding: ScopeBinding, wait: float = inf) -> ResourceCache:
        """Open a scope; wait for that for so many seconds. Nobody's cancellation ends another's opening.

        Raises:
            ForbiddenError, UnauthorizedError: a required right is missing. The scope waits for it.
            UnknownKindError: a required kind is not served. The scope waits for it.
            NotSyncedError: it takes longer. The opening goes on, and the owner is told.
            ScopeClosedError: it was closed meanwhile.
        """
        opening = self._under_way(binding) or self._start(binding)
        patience = max(0.0, wait - (loop_time() - self._blocked_since(binding, opening)))
        await asyncio.wait({opening.task}, timeout=None if wait == inf else patience)
        if opening.task.done():
            if opening.task.cancelled():
                raise _closed_error(binding)
            return opening.task.result()
        self._runner.settle(binding)
        self._runner.carry_out(binding, binding.scope.on_overdue())
        raise NotSyncedError(self._words(binding), awaited=True)

    def reopen(self, binding: ScopeBinding) -> None:
        """Open a scope in the background."""
        if not binding.scope.is_waiting:
            self._start_optional(binding)
        self._supervisor.start(f"reopen {binding.scope}", self._reopen(binding))

    def is_under_way(self, binding: ScopeBinding) -> bool:
        """Tell whether somebody waits for a scope to open."""
        return self._under_way(binding) is not None

    def cancel(self, binding: ScopeBinding) -> None:
        """End the opening of a scope that was closed."""
        opening = self._openings.pop(binding, None)
        if opening is not None:
            opening.task.cancel()
        for optional in self._optional.pop(binding, {}).values():
            optional.task.cancel()

    def _start(self, binding: ScopeBinding) -> _Opening:
        scope = binding.scope
        denial = scope.needs.denial(self._monitor.verdicts)
        if scope.is_waiting and denial is not None:
            raise copy(denial)
        task = self._supervisor.start(f"open {scope}", self._open(binding), quiet=True)
        opening = self._openings[binding] = _Opening(task, loop_time())
        return opening

    async def _open(self, binding: ScopeBinding) -> ResourceCache:
        scope = binding.scope
        while True:
            self._start_optional(binding)
            await self._kinds.wait_answered(scope.needs.unresolved)
            needs = scope.needs.required_needs
            await self._monitor.check([permission for need in needs for permission in need.permissions])
            await self._turns.take(scope.uid, scope.namespace, begun=True)
            self._runner.settle(binding)
            if scope.is_closed:
                raise _closed_error(binding)
            denial = scope.needs.denial(self._monitor.verdicts)
            self._runner.carry_out(binding, scope.on_reviewed(self._monitor.verdicts))
            if denial is not None:
                raise copy(denial)
            for need in needs:
                await self._wait_synced(binding, need)
            await self._turns.take(scope.uid, scope.namespace, begun=True)
            self._runner.settle(binding)
            _check(binding)
            # Needs may have come while others synced.
            if needs == scope.needs.required_needs and self._is_there(binding):
                break
        self._start_optional(binding)
        await self._wait_optional(binding)
        self._runner.settle(binding)
        _check(binding)
        self._runner.carry_out(binding, scope.on_synced())
        return binding.handle

    async def _wait_synced(self, binding: ScopeBinding, need: BoundNeed) -> None:
        while (informer := self._bound_informer(binding, need)) is not None:
            try:
                await informer.wait_synced()
                return
            except (CacheError, ForbiddenError, UnauthorizedError):
                # Released meanwhile, lost, replaced by a wider need, or served by another informer.
                self._runner.settle(binding)
                if self._bound_informer(binding, need) is informer:
                    raise

    def _is_there(self, binding: ScopeBinding) -> bool:
        needs = binding.scope.needs
        return needs.is_complete and all(self._is_synced(binding, need) for need in needs.required_needs)

    def _bound_informer(self, binding: ScopeBinding, need: BoundNeed) -> Informer | None:
        return binding.informer_of(need) if binding.scope.needs.is_bound(need) else None

    async def _reopen(self, binding: ScopeBinding) -> None:
        try:
            while True:
                try:
                    await self.open(binding)
                    return
                except (ForbiddenError, UnauthorizedError, UnknownKindError):
                    # It waits, and its owner was told; unless what it was refused for is over already.
                    self._runner.settle(binding)
                    if not binding.scope.can_reopen(self._monitor.verdicts):
                        return
        except ScopeClosedError:
            pass
        except ScopedCacheError as error:
            logger.info("scope.reopen_failed", extra=binding.scope.log_fields() | {"error": str(error)})

    # -- optional needs ------------------------------------------------------------------------------------------

    def _start_optional(self, binding: ScopeBinding) -> None:
        """Begin to open every optional need that may be had and is not there."""
        needs = binding.scope.needs
        missing = [
            need.need.kind
            for need in needs.optional_needs
            if not self._is_lost(need) and not (needs.is_bound(need) and self._is_synced(binding, need))
        ]
        unasked = [need.need.kind for need in needs.unserved if need.need.optional and need.error is None]
        under_way = self._optional.setdefault(binding, {})
        for kind in [*missing, *unasked]:
            if kind not in under_way:
                task = self._supervisor.start(f"open {kind} {binding.scope}", self._open_optional(binding, kind))
                under_way[kind] = _OptionalOpening(task, loop_time())
        if not under_way:
            del self._optional[binding]

    async def _open_optional(self, binding: ScopeBinding, kind: Kind) -> None:
        scope = binding.scope
        try:
            await self._kinds.wait_answered([kind])
            need = scope.needs.find(kind)
            if need is None:
                return
            await self._monitor.check(need.permissions)
            self._runner.settle(binding)
            if scope.is_closed or not scope.needs.has(need):
                return
            self._runner.carry_out(binding, scope.on_optional_reviewed(need, self._monitor.verdicts))
            with suppress(CacheError, ForbiddenError, UnauthorizedError):
                await self._wait_synced(binding, need)
            self._runner.settle(binding)
            if not scope.is_closed:
                late = self._optional[binding][kind].late
                self._runner.carry_out(binding, scope.on_optional_synced(need, late=late))
        finally:
            under_way = self._optional.get(binding, {})
            under_way.pop(kind, None)
            if not under_way:
                self._optional.pop(binding, None)

    async def _wait_optional(self, binding: ScopeBinding) -> None:
        """Wait a moment for optional needs; none for those that have been under way for longer."""
        now, pending = loop_time(), list(self._optional.get(binding, {}).items())
        if pending:
            since = max(min(optional.since, self._asked_since(binding, kind)) for kind, optional in pending)
            patience = max(0.0, OPTIONAL_GRACE_SECONDS - (now - since))
            await asyncio.wait([optional.task for _, optional in pending], timeout=patience)
        for optional in self._optional.get(binding, {}).values():
            optional.late = True

    def _asked_since(self, binding: ScopeBinding, kind: Kind) -> float:
        need = binding.scope.needs.find(kind)
        if need is None:
            return self._kinds.asked_since(kind)
        return self._leases.started(need.informer_key) if self._leases.running(need.informer_key) else inf

    # -- what it waits for ---------------------------------------------------------------------------------------

    def _blocked_since(self, binding: ScopeBinding, opening: _Opening) -> float:
        """Return since when what an opening waits for is under way: for others too, perhaps."""
        needs = binding.scope.needs
        kinds = [self._kinds.asked_since(kind) for kind in needs.unresolved]
        lists = [self._leases.started(need.informer_key) for need in self._unsynced(binding)]
        return min([opening.since, *kinds, *lists])

    def _words(self, binding: ScopeBinding) -> str:
        """Say what an opening waits for."""
        scope = binding.scope
        for kind in scope.needs.unresolved:
            return f"discovery has not said whether {kind} is served" + _because(self._kinds.trouble(kind))
        for need in self._unsynced(binding):
            informer = self._leases.running(need.informer_key)
            words = f"{need.resource} {where(need.informer_key.namespace)}: the first list is not complete yet"
            return words + _because(informer.error if informer is not None else None)
        return f"the rights of the scope {scope} are not known yet"

    def _unsynced(self, binding: ScopeBinding) -> list[BoundNeed]:
        running = ((need, self._leases.running(need.informer_key)) for need in binding.scope.needs.required_needs)
        return [need for need, informer in running if informer is not None and not informer.synced]

    def _under_way(self, binding: ScopeBinding) -> _Opening | None:
        opening = self._openings.get(binding)
        if opening is not None and opening.task.done():
            del self._openings[binding]
            return None
        return opening

    def _is_lost(self, need: BoundNeed) -> bool:
        return lost_verdict(need, self._monitor.verdicts) is not None

    def _is_synced(self, binding: ScopeBinding, need: BoundNeed) -> bool:
        informer = binding.informer_of(need) or self._leases.running(need.informer_key)
        return informer is not None and informer.synced


def _check(binding: ScopeBinding) -> None:
    """Raise if a scope was closed, or denied, while it opened."""
    if binding.scope.is_closed:
        raise _closed_error(binding)
    if binding.scope.denial is not None:
        raise copy(binding.scope.denial)


def _closed_error(binding: ScopeBinding) -> ScopeClosedError:
    return ScopeClosedError(f"the scope {binding.scope} was closed while it opened")


def _because(trouble: Exception | None) -> str:
    return f": {trouble}" if trouble is not None else ""
