"""The server's own refusals of one verb: two 403s, some seconds apart and no success between, deny.

They count whatever reviews say, for it is the request that matters: a filtering proxy, or another authoriser, may
refuse what a review allows. A "yes" of a review does not erase them, a success of the verb does.
"""

from __future__ import annotations

from typing import Final

import attrs

from ..api.permission import Permission
from .readiness import READY_WAIT_SECONDS

# Between two refused calls that deny.
REFUSALS_APART_SECONDS: Final = 3.0
# A refusal says nothing about one that comes this much later: two servers may have restarted one after the other. Who
# is refused for good is refused again sooner, for after the first one we try by ourselves.
REFUSALS_FORGOTTEN_SECONDS: Final = 20.0


def is_tried(permission: Permission) -> bool:
    """Tell whether a permission can be tried without changing anything, so that a success can end its refusals."""
    if permission.subresource is not None:
        return False
    return permission.verb in ("list", "watch") or (permission.verb == "get" and permission.name is not None)


@attrs.define
class Refusals:
    """The 403s in a row that a verb met.

    Attributes:
        stand: they deny; only a success of the verb ends that.
    """

    stand: bool = attrs.field(default=False, init=False)
    _first: float | None = attrs.field(default=None, init=False)
    _last: float = attrs.field(default=0.0, init=False)
    _unready_since: float | None = attrs.field(default=None, init=False)

    def met(self, now: float) -> bool:
        """Take in one more; tell whether they are to be judged: would deny, if the server is ready."""
        if self._first is None or now - self._last >= REFUSALS_FORGOTTEN_SECONDS:
            self._first, self._unready_since = now, None
        self._last = now
        return not self.stand and now - self._first >= REFUSALS_APART_SECONDS

    def judged(self, ready: bool, now: float) -> bool:
        """Take in whether the server was ready after the second one; tell whether they deny.

        A server that is never ready is waited for, but not for ever.
        """
        if self._first is None or self._last - self._first < REFUSALS_APART_SECONDS:  # a success came meanwhile
            return False
        if not ready and self._unready_since is None:
            self._unready_since = now
        waited = self._unready_since is not None and now - self._unready_since >= READY_WAIT_SECONDS
        self.stand = ready or waited
        return self.stand

    @property
    def tried_at(self) -> float | None:
        """Return from when on a try tells whether they last; None where there are none."""
        return self._first + REFUSALS_APART_SECONDS if self._first is not None else None

    @property
    def judged_again_at(self) -> float | None:
        """Return when they deny although the server is not ready; None where it was not asked, or was ready."""
        return self._unready_since + READY_WAIT_SECONDS if self._unready_since is not None else None

    def ended(self) -> None:
        """Take in a success of the verb."""
        self.stand, self._first, self._unready_since = False, None, None
