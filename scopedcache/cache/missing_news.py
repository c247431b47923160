"""Owners whose scopes wait hear of it when more, or less, is missing: their status is to say what it is now.

A binding that is taken away, or given back, changes several verdicts in one step: its owners hear of them once, when
the step is over, and not at all where everything is back by then, where they were told of a denial in it, or where an
opening is under way, which raises what is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .owner import OwnerChanged
from .scope_binding import ScopeBinding
from .scope_needs import Verdicts


class MissingNews:
    """What is to be told when the step is over."""

    def __init__(
        self,
        verdicts: Callable[[], Verdicts],
        is_opening: Callable[[ScopeBinding], bool],
        publish: Callable[[OwnerChanged], None],
    ) -> None:
        self._verdicts = verdicts
        self._is_opening = is_opening
        self._publish = publish
        self._news: dict[ScopeBinding, None] = {}
        self._told: set[ScopeBinding] = set()

    def add(self, binding: ScopeBinding) -> None:
        """What is missing for a scope has changed."""
        self._begin()
        self._news[binding] = None

    def told(self, binding: ScopeBinding) -> None:
        """Its owner has just been told of a denial."""
        self._begin()
        self._told.add(binding)

    def _begin(self) -> None:
        if not self._news and not self._told:
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        news, told = self._news, self._told
        self._news, self._told = {}, set()
        verdicts = self._verdicts()
        for binding in news:
            scope, owner = binding.scope, binding.scope.owner
            if owner is None or not scope.is_waiting or binding in told or self._is_opening(binding):
                continue
            denial = scope.needs.denial(verdicts)
            if denial is not None:
                self._publish(OwnerChanged(owner.kind, owner.key, owner.uid, "denied", denial))
