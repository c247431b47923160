"""Whether the server is away, and when it is back: at its first good answer, to whatever it was asked.

That nobody answers says something about the server, so it counts whoever asked. A server error may be about one kind
alone (a conversion that fails, an aggregated server that is down), so it counts where a review met it: a review needs
nothing but the server itself.
"""

from __future__ import annotations

import attrs

from ..errors import ScopedCacheError, ServerError, TransportError


@attrs.define
class Outage:
    """Knows whether the server is away.

    Attributes:
        away: it was, when it was asked last, and has not answered since.
        ended: how often it has come back.
    """

    away: bool = attrs.field(default=False, init=False)
    ended: int = attrs.field(default=0, init=False)

    def observe(self, error: ScopedCacheError | None, *, review: bool) -> bool:
        """Take in how one of our requests ended; tell whether the server has come back with it."""
        if error is None:
            back, self.away = self.away, False
            self.ended += back
            return back
        if isinstance(error, TransportError) and (review or not error.connected):
            self.away = True
        if isinstance(error, ServerError) and review:
            self.away = True
        return False
