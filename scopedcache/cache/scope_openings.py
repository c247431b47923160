"""Opening scopes: what has to wait, for reviews and for first lists. All who ask share one opening of a scope."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from copy import copy
from typing import Final, Protocol

from ..access import Monitor
from ..errors import CacheError, ForbiddenError, ScopeClosedError, ScopedCacheError, UnauthorizedError
from ..supervisor import Supervisor
from .bound_need import BoundNeed
from .informer_pool import InformerPool
from .resource_cache import ResourceCache
from .scope_binding import ScopeBinding
from .scope_effects import Effect

logger: Final = logging.getLogger("scopedcache.cache")


class EffectRunner(Protocol):
    """Carries out what a scope wants done."""

    def carry_out(self, binding: ScopeBinding, effects: Sequence[Effect]) -> None:
        """Do it all before this returns."""


class ScopeOpenings:
    """The openings under way, at most one for each scope."""

    def __init__(self, monitor: Monitor, pool: InformerPool, supervisor: Supervisor, runner: EffectRunner) -> None:
        self._monitor = monitor
        self._pool = pool
        self._supervisor = supervisor
        self._runner = runner
        self._tasks: dict[ScopeBinding, asyncio.Task[ResourceCache]] = {}

    def open_at_once(self, binding: ScopeBinding) -> ResourceCache | None:
        """Open a scope whose rights are known and whose informers are synced, without a wait; None if it takes one."""
        scope, verdicts = binding.scope, self._monitor.verdicts
        if scope.is_waiting or self._under_way(binding) is not None:
            return None
        if not all((verdict := verdicts.get(permission)) and verdict.open for permission in scope.needs.required):
            return None
        if not all(self._is_synced(binding, need) for need in scope.needs.visible(verdicts)):
            return None
        self._runner.carry_out(binding, scope.on_reviewed(verdicts))
        self._runner.carry_out(binding, scope.on_synced())
        return binding.handle

    async def open(self, binding: ScopeBinding) -> ResourceCache:
        """Open a scope. Nobody's cancellation ends another's opening.

        Raises:
            ForbiddenError, UnauthorizedError: a required right is missing. The scope waits for it.
            ScopeClosedError: it was closed meanwhile.
        """
        task = self._under_way(binding)
        if task is None:
            scope = binding.scope
            denial = scope.needs.denial(self._monitor.verdicts)
            if scope.is_waiting and denial is not None:
                raise denial
            task = self._supervisor.start(f"open {scope}", self._open(binding), quiet=True)
            self._tasks[binding] = task
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled() and not _is_cancelled():
                raise _closed_error(binding) from None
            raise

    def reopen(self, binding: ScopeBinding) -> None:
        """Open a scope in the background."""
        self._supervisor.start(f"reopen {binding.scope}", self._reopen(binding))

    def is_under_way(self, binding: ScopeBinding) -> bool:
        """Tell whether somebody waits for a scope to open."""
        return self._under_way(binding) is not None

    def cancel(self, binding: ScopeBinding) -> None:
        """End the opening of a scope that was closed."""
        task = self._tasks.pop(binding, None)
        if task is not None:
            task.cancel()

    async def _open(self, binding: ScopeBinding) -> ResourceCache:
        scope = binding.scope
        while True:
            await self._monitor.check(scope.needs.permissions)
            if scope.is_closed:
                raise _closed_error(binding)
            denial = scope.needs.denial(self._monitor.verdicts)
            self._runner.carry_out(binding, scope.on_reviewed(self._monitor.verdicts))
            if denial is not None:
                raise denial
            needs = list(scope.needs)
            for need in needs:
                await self._wait_synced(binding, need)
            if scope.denial is not None:  # denied while its informers synced
                raise copy(scope.denial)
            # Needs may have come, or optional ones been granted, while others synced.
            if needs == list(scope.needs) and scope.needs.is_complete(self._monitor.verdicts):
                break
        self._runner.carry_out(binding, scope.on_synced())
        return binding.handle

    async def _wait_synced(self, binding: ScopeBinding, need: BoundNeed) -> None:
        informer = binding.informer_of(need) if binding.scope.needs.is_bound(need) else None
        if informer is None:
            return
        try:
            await informer.wait_synced()
        except (ForbiddenError, UnauthorizedError):
            if not need.need.optional:
                raise
        except CacheError:  # closed: released meanwhile, or replaced by a wider need
            if binding.scope.needs.has(need):
                raise

    async def _reopen(self, binding: ScopeBinding) -> None:
        try:
            while True:
                try:
                    await self.open(binding)
                    return
                except (ForbiddenError, UnauthorizedError):
                    # It waits, and its owner was told; unless what it was refused for is over already.
                    if not binding.scope.can_reopen(self._monitor.verdicts):
                        return
        except ScopeClosedError:
            pass
        except ScopedCacheError as error:
            logger.info("scope.reopen_failed", extra=binding.scope.log_fields() | {"error": str(error)})

    def _under_way(self, binding: ScopeBinding) -> asyncio.Task[ResourceCache] | None:
        task = self._tasks.get(binding)
        if task is not None and task.done():
            del self._tasks[binding]
            return None
        return task

    def _is_synced(self, binding: ScopeBinding, need: BoundNeed) -> bool:
        informer = binding.informer_of(need) or self._pool.running(need.informer_key)
        return informer is not None and informer.synced


def _closed_error(binding: ScopeBinding) -> ScopeClosedError:
    return ScopeClosedError(f"the scope {binding.scope} was closed while it opened")


def _is_cancelled() -> bool:
    """Tell whether somebody cancels the current task."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
