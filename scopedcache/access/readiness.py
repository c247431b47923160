"""Whether a server's "no" counts: not while it is still coming up.

An API server that has just restarted refuses what it allows, in its answers to reviews too, until it has read the Roles
and bindings; on a real one every such answer came while `/readyz` on the same connection was not 200 (decision 0013).
So `/readyz` is asked after a "no" that would change something, on the connection that the "no" came by.
"""

from __future__ import annotations

from math import inf
from typing import Final

import attrs

from ..api.ready_answer import ReadyAnswer

# A "no" of a server that never calls itself ready counts when it is still a "no" after this long.
READY_WAIT_SECONDS: Final = 3.0
# A server that comes up answers with a time-out, 403, 500, 200: a 403 must last to mean that it is not ours to ask.
READYZ_REFUSED_SECONDS: Final = 10.0


@attrs.define
class Readiness:
    """What `/readyz` said, and whether it is ours to ask.

    Attributes:
        ours: False once it was refused for ten seconds while other requests on its connection succeeded.
    """

    ours: bool = attrs.field(default=True, init=False)
    _refused_since: float | None = attrs.field(default=None, init=False)
    _succeeded_at: float = attrs.field(default=-inf, init=False)

    def succeeded(self, now: float) -> None:
        """Take in that another request on the connection of `/readyz` was answered."""
        self._succeeded_at = now

    def answered(self, answer: ReadyAnswer, now: float) -> bool:
        """Take in what `/readyz` said; tell whether a "no" that came just before it counts."""
        if answer != "refused":
            self.ours, self._refused_since = True, None
            return answer == "ready"
        if self._refused_since is None:
            self._refused_since = now
        elif self._succeeded_at > self._refused_since and now - self._refused_since >= READYZ_REFUSED_SECONDS:
            self.ours = False
        return not self.ours

    @property
    def in_question(self) -> bool:
        """Tell whether `/readyz` is to be asked after every review, to find out whether its refusal lasts."""
        return self._refused_since is not None and self.ours
