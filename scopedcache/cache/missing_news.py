"""Owners whose scopes wait hear of it when more, or less, is missing: their status is to say what it is now.

A binding that is taken away, or given back, changes several verdicts in one step: its owners hear of them once, when
the step is over, and not at all where everything is back by then, or where they were told of a denial in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .owner import OwnerChanged
from .scope_binding import ScopeBinding
from .scope_needs import Verdicts


class MissingNews:
    """What is to be told when the step is over."""

    def __init__(self, verdicts: Callable[[], Verdicts], publish: Callable[[OwnerChanged], None]) -> None:
        self._verdicts = verdicts
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
            scope = binding.scope
            denial = scope.needs.denial(verdicts) if scope.is_waiting and scope.owner is not None else None
            if denial is not None and scope.owner is not None and binding not in told:
                owner = scope.owner
                self._publish(OwnerChanged(owner.kind, owner.key, owner.uid, "denied", denial))
