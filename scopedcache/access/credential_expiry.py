"""When credentials count as expired: once every answer has been a 401 for as long as the bound on detection.

Before that, a token may just be changing hands. One answer that only a known user gets ends the doubt.
"""

from __future__ import annotations

from typing import Final

import attrs

from ..errors import (
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    ScopedCacheError,
    UnauthorizedError,
)

# Refusals that only somebody whose credentials were accepted meets.
_OF_KNOWN_USERS: Final = (ForbiddenError, NotFoundError, ConflictError, GoneError, InvalidError)


@attrs.define
class CredentialExpiry:
    """Since when every answer is a 401."""

    _refused_since: float | None = attrs.field(default=None, init=False)

    def observe(self, error: ScopedCacheError | None, now: float) -> bool:
        """Take in how one of our requests ended; tell whether it is the first 401 after good answers."""
        if error is None or isinstance(error, _OF_KNOWN_USERS):
            self._refused_since = None
        elif isinstance(error, UnauthorizedError) and self._refused_since is None:
            self._refused_since = now
            return True
        return False

    @property
    def in_doubt(self) -> bool:
        """Tell whether the last answers were 401."""
        return self._refused_since is not None

    def seconds_left(self, now: float, bound: float) -> float:
        """Return how much longer the answers must be 401 until the credentials are expired; 0 where they are."""
        return bound if self._refused_since is None else max(0.0, self._refused_since + bound - now)
