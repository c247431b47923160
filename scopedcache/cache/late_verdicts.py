"""Verdicts that scopes have yet to take in, where one of them concerns more than a step of the loop has room for.

What was lost is closed before that, by `InformerLeases.lose`: nobody reads it. What is left is each scope's own affair,
and telling its owner. A scope takes in what it has missed, in its order, before anything else happens to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import attrs

from ..access import Verdict
from ..access.verdict import VerdictState
from ..event_logger import event_logger
from .scope_binding import ScopeBinding

logger: Final = event_logger("scopedcache.cache")

# One takes about a tenth of a millisecond, and what its owner's controller does with that as much again.
SCOPES_IN_A_TURN: Final = 25


@attrs.frozen
class VerdictNews:
    """A verdict as it was, and the state that it had been in before."""

    verdict: Verdict
    before: VerdictState


class LateVerdicts:
    """What scopes have missed. `take` lets one take it in, all of it, and tells its owner."""

    def __init__(self, take: Callable[[ScopeBinding, Sequence[VerdictNews]], None]) -> None:
        self._take = take
        self._missed: dict[ScopeBinding, list[VerdictNews]] = {}
        self._scheduled = False

    def add(self, bindings: Iterable[ScopeBinding], news: VerdictNews) -> None:
        """Scopes are to take in a verdict when their turn comes."""
        missed = self._missed
        for binding in bindings:
            before = missed.get(binding)
            if before is None:
                missed[binding] = [news]
            else:
                before.append(news)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._next)

    def settle(self, binding: ScopeBinding) -> None:
        """Let a scope take in what it has missed, now."""
        missed = self._missed.pop(binding, None)
        if missed is not None:
            self._take(binding, missed)

    def drop(self, binding: ScopeBinding) -> None:
        """A scope is closed."""
        self._missed.pop(binding, None)

    def _next(self) -> None:
        for _ in range(min(SCOPES_IN_A_TURN, len(self._missed))):
            binding = next(iter(self._missed), None)
            if binding is None:  # another one closed it
                break
            try:
                self.settle(binding)
            except Exception as error:
                logger.error("listener.failed", extra={"permission": None, "scope": str(binding.scope)}, exc_info=error)
        self._scheduled = bool(self._missed)
        if self._scheduled:
            asyncio.get_running_loop().call_soon(self._next)

    def __len__(self) -> int:
        return len(self._missed)
