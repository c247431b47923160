"""The API servers of a cluster: all on one storage, each with its own watches and its own idea of who may what."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final, Literal, Protocol

from ...api.client import Client
from ...errors import ScopedCacheError
from ..identities import Identity
from .faults import Fault, Faults
from .server.api_server import Question, Server
from .storage.history import History
from .storage.replica import Replica
from .wire.request_attributes import is_true

# Seconds that a server waits for a version it has not seen (semantics 1.4).
VERSION_WAIT_SECONDS: Final = 3.0
Meanwhile = Literal["answered", "refused"]


class Cluster(Protocol):
    """What a front end needs of its cluster."""

    lock: threading.RLock
    faults: Faults

    def balanced_client(self, identity: Identity | None, front_ends: Sequence[FrontEnd]) -> Client: ...

    def now(self) -> float: ...

    def tick(self) -> float | None: ...


class FrontEnd:
    """One API server of several, as behind a load balancer.

    Attributes:
        number: which one; 0 is the cluster's own, that is never behind. Faults and the audit name it as `server`.
    """

    def __init__(self, cluster: Cluster, number: int, server: Server, replica: Replica | None = None) -> None:
        self.number = number
        self.server = server
        self._replica = replica
        self._cluster = cluster

    @property
    def seen(self) -> History:
        """Return what this server has seen of the storage."""
        return self._replica or self.server.storage

    @property
    def lag(self) -> float:
        """Return how many seconds this server is behind; it may be set at any time, 0: it has caught up."""
        return self._replica.lag if self._replica is not None else 0.0

    @lag.setter
    def lag(self, seconds: float) -> None:
        if self._replica is None:
            raise ScopedCacheError("the first front end is never behind: let another one lag, `cluster.front_end()`")
        self._replica.lag = seconds
        self._cluster.tick()

    def client(self, identity: Identity | None = None) -> Client:
        """Return a client of this server, in process."""
        return self._cluster.balanced_client(identity, [self])

    def restart(
        self, *, down: float = 2.0, unready: float = 1.0, reviews: Meanwhile = "answered", starting: float = 0.0
    ) -> None:
        """Restart: every watch is lost, and what happened before is seen, and too old for the next ones.

        Args:
            down: seconds for which connections are refused.
            unready: seconds after that for which everybody but `system:masters` is refused: no Role is known yet.
            reviews: what users hear meanwhile who ask about themselves: an answered "no", or a refusal as well. Both
                happen, for Roles and ClusterRoles become known one after the other; the answer is the harder one.
            starting: seconds after that for which `/readyz` is 500 all the same, as it is until everything is known.
        """
        with self._cluster.lock:
            now = self._cluster.now()
            self._cluster.faults.add(Fault(server=self.number, refuse=True, until=now + down), first=True)
            synced_at = now + down + unready
            self.server.restart(synced_at, "reviews" if reviews == "answered" else "nothing", synced_at + starting)
            if self._replica is not None:
                self._replica.catch_up()
            self.seen.forget()

    def start_over(self) -> None:
        """Forget what was seen of a storage that was restored."""
        if self._replica is not None:
            self._replica.start_over()

    def wait(self, question: Question, now: float) -> float:
        """Return how long the server waits before it answers, for a version that it has not seen yet."""
        asked, request, replica = question.asked, question.request, self._replica
        wanted = request.asked("resourceVersion")
        if replica is None or question.user is None:
            return 0.0
        if not self.server.authorizer.decide(question.user, asked).allowed:
            return 0.0
        if asked.verb == "watch" and not wanted:
            # It begins with the newest state, however long that takes.
            return replica.delay(0, now)
        fresh = asked.verb in ("get", "list") or is_true(request.asked("sendInitialEvents"))
        version = int(wanted) if wanted.isdecimal() else 0
        if not fresh or not version or request.asked("resourceVersionMatch") == "Exact":
            return 0.0
        return min(VERSION_WAIT_SECONDS, replica.delay(version, now))

    def __repr__(self) -> str:
        return f"<FrontEnd {self.number} {self.lag:g} s behind, at {self.seen.version}>"
