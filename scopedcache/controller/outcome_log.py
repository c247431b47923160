"""How loud to say what a reconcile came to. What goes wrong in every healthy cluster is no news, and nothing is twice.

    a lost race (a conflict, an object or a scope that went away)  → DEBUG, unless it does not end
    something outside (the server, a right, a kind)                → INFO, and WARNING where it lasts
    the reconciler (its own exception, an object that is invalid)  → ERROR: a person must look at it

Each is said once for each key, until that succeeds; what an error says counts as the same whatever numbers are in it.
A denial (WARNING) is said for each run, as those are few, but not for each of many in a row. Plain and synchronous.
"""

from __future__ import annotations

import logging
from typing import Final

from ..errors import (
    ConfigurationError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NoSuchIndexError,
    NotFoundError,
    NotLeaderError,
    NotSyncedError,
    NotWatchedError,
    ScopeClosedError,
    ScopedCacheError,
    TerminalError,
)
from ..kinds import ObjectKey
from .log_words import without_numbers
from .outcome import Outcome, leaves_of

# What is over by the next try, or the one after that: an object was changed, made or deleted by somebody else.
RACES: Final = (ConflictError, NotFoundError, NotLeaderError, NotSyncedError, ScopeClosedError)
RACES_AT_MOST: Final = 4
# So many failures are some twenty seconds of trouble.
LASTING_FAILURES: Final = 12
# What a person has to change in the reconciler, or in the object.
MISTAKES: Final = (ConfigurationError, InvalidError, NoSuchIndexError, NotWatchedError, TerminalError)
# Denials of one key with less than a minute between them: more of them are the same one.
DENIALS_IN_A_ROW: Final = 3
# Different words for one key, until it succeeds: beyond these it says something else each time.
REMEMBERED_WORDS: Final = 8


class OutcomeLog:
    """What was said of each key that does not succeed."""

    def __init__(self) -> None:
        self._said: dict[ObjectKey, dict[tuple[int, str], None]] = {}

    def level(self, key: ObjectKey, outcome: Outcome, failures: int) -> int:
        """Return how loud to say how a run ended; `failures` counts it in, where it is one of several in a row.

        A success is news (INFO) where people were told that the key fails.
        """
        if outcome.error is None:
            return logging.DEBUG if self._said.pop(key, None) is None else logging.INFO
        if outcome.ending == "forbidden":
            self._said.setdefault(key, {})
            return logging.WARNING if failures <= DENIALS_IN_A_ROW else logging.DEBUG
        if outcome.ending == "waiting":
            return logging.INFO if failures == 1 else logging.DEBUG
        level = _loudness(outcome.error, failures)
        if level == logging.DEBUG:
            return level
        said = self._said.setdefault(key, {})
        words = (level, f"{type(outcome.error).__name__}: {without_numbers(str(outcome.error))}")
        if words in said or len(said) >= REMEMBERED_WORDS:
            return logging.DEBUG
        said[words] = None
        return level

    def forget(self, key: ObjectKey) -> None:
        """The object is gone."""
        self._said.pop(key, None)

    def __len__(self) -> int:
        return len(self._said)


def _loudness(error: BaseException, failures: int) -> int:
    leaves = list(leaves_of(error))
    if all(isinstance(leaf, RACES) for leaf in leaves) and failures <= RACES_AT_MOST:
        return logging.DEBUG
    if not all(isinstance(leaf, ScopedCacheError) and not isinstance(leaf, MISTAKES) for leaf in leaves):
        return logging.ERROR
    if failures >= LASTING_FAILURES or any(isinstance(leaf, ForbiddenError) for leaf in leaves):
        return logging.WARNING
    return logging.INFO
