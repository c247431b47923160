"""So many openings go on in one turn of the loop; the others wait for the next ones, in the order they came.

Thousands of owners may be opened at once, or all wait for one first list. Each step of theirs is short, but a loop
runs everything that is ready before it looks at its sockets again. While there is room for all, nobody waits.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ..errors import ScopeClosedError

# One takes between a tenth of a millisecond and half of one.
OPENINGS_IN_A_TURN: Final = 10
CLOSED: Final = "the scope was closed before it opened"


class OpeningTurns:
    """Who may go on in this turn of the loop, and who waits for that, by owner."""

    def __init__(self, in_a_turn: int = OPENINGS_IN_A_TURN) -> None:
        self._in_a_turn = in_a_turn
        self._left = in_a_turn
        # The first that came first. Who has begun goes before those who have not: what it brings opens others at once.
        self._begun: dict[asyncio.Future[None], None] = {}
        self._new: dict[asyncio.Future[None], None] = {}
        self._of_owner: dict[str, dict[asyncio.Future[None], str | None]] = {}  # to the namespace
        self._refused: set[asyncio.Future[None]] = set()
        self._scheduled = False

    async def take(self, uid: str, namespace: str | None, *, begun: bool = False) -> bool:
        """Wait for a turn, and return True; False without a wait while there is room in this one.

        Args:
            begun: it is not its first.

        Raises:
            ScopeClosedError: the owner was closed meanwhile.
        """
        if not self._scheduled:
            self._begin()
        waiting = self._begun if begun else self._new
        if self._left and not waiting:
            self._left -= 1
            return False
        turn = asyncio.get_running_loop().create_future()
        waiting[turn] = None
        self._of_owner.setdefault(uid, {})[turn] = namespace
        try:
            await turn
            if turn in self._refused:  # between its turn and now
                raise ScopeClosedError(CLOSED)
            return True
        finally:
            self._drop(turn, uid)

    def close(self, uid: str, namespace: str | None = None) -> None:
        """Refuse an owner that waits, in one namespace or (None) in all: it was closed."""
        for turn, place in list(self._of_owner.get(uid, {}).items()):
            if namespace not in (None, place):
                continue
            if turn.done():
                self._refused.add(turn)
            else:
                turn.set_exception(ScopeClosedError(CLOSED))

    def close_all(self) -> None:
        """Refuse everybody who waits."""
        for uid in list(self._of_owner):
            self.close(uid)

    def _begin(self) -> None:
        self._scheduled = True
        asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """The next turn of the loop: those who waited longest go first."""
        self._scheduled = False
        self._left = self._in_a_turn
        while self._left and (waiting := self._begun or self._new):
            turn = next(iter(waiting))
            del waiting[turn]
            if not turn.done():
                turn.set_result(None)
                self._left -= 1
        if self._left < self._in_a_turn:
            self._begin()

    def _drop(self, turn: asyncio.Future[None], uid: str) -> None:
        self._begun.pop(turn, None)
        self._new.pop(turn, None)
        self._refused.discard(turn)
        turns = self._of_owner.get(uid, {})
        turns.pop(turn, None)
        if not turns:
            self._of_owner.pop(uid, None)

    def __len__(self) -> int:
        return len(self._begun) + len(self._new)
