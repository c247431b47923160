"""`python -m tests.simulation.false_denials [RESTARTS]`: API servers that restart, and rights that nobody takes away.

Two API servers behind a load balancer, which takes the one out that is down. It restarts again and again, and for some
seconds it denies what it allows; nothing of that may be believed. Then rights are really taken away: finding that out
must not take longer. Prints one line for each kind of balancer; fails where something was believed.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from random import Random
from typing import Any, Final, Literal

import attrs

from scopedcache import GVK, Client, ObjectKey, OwnerChanged, ScopedCache
from scopedcache.api.transport import Response, Stream, Transport
from scopedcache.cache import OwnerId
from scopedcache.testing import EmbeddedCluster, Grant, virtual_time
from scopedcache.testing.embedded import FrontEnd

PLACES: Final = 20
REVOCATIONS: Final = 40
DOWN_SECONDS: Final = 2.0
# How long a real server was seen to deny what it allows, and how much longer it was not ready; the last is worse than
# anything seen (decision 0013).
DENYING_SECONDS: Final = (0.1, 2.9)
STARTING_SECONDS: Final = (0.0, 6.4)
# A connection lasts for so long, unless its server goes down.
CONNECTION_SECONDS: Final = 15.0
SETTLED_SECONDS: Final = 120.0
By = Literal["connection", "request"]


@attrs.define(eq=False)
class Balancer:
    """A transport to several servers: each connection goes to one of them, or even each request."""

    by: By
    inner: Sequence[Transport]
    random: Random
    down: dict[int, float] = attrs.field(factory=dict)
    _server: dict[str, tuple[int, float]] = attrs.field(factory=dict)

    async def request(self, *args: Any, lane: Any = "calls", **options: Any) -> Response:
        return await self.inner[self._pick(lane)].request(*args, lane=lane, **options)

    def stream(self, *args: Any, **options: Any) -> AbstractAsyncContextManager[Stream]:
        return self.inner[self._pick("")].stream(*args, **options)

    async def close(self) -> None:
        for transport in self.inner:
            await transport.close()

    def _pick(self, lane: str) -> int:
        now = asyncio.get_running_loop().time()
        server, until = self._server.get(lane, (0, 0.0))
        if self.by == "request" or lane != "reviews" or now >= until or self._is_down(server, now):
            server = self.random.choice([n for n in range(len(self.inner)) if not self._is_down(n, now)])
            self._server[lane] = server, now + CONNECTION_SECONDS
        return server

    def _is_down(self, server: int, now: float) -> bool:
        return now < self.down.get(server, 0.0)


@attrs.frozen
class Found:
    """What came of it: restarts by which something was lost, how many scopes that were, how long revocations took."""

    by: By
    restarts: int
    false: int
    lost: int
    took: Sequence[float]
    bound: float

    def __str__(self) -> str:
        return (
            f"balanced by {self.by:10}: {self.false} of {self.restarts} restarts took something away "
            f"({self.lost} scopes of {PLACES}); {len(self.took)} revocations were noticed after "
            f"{statistics.mean(self.took):.1f} s, at most {max(self.took):.1f} s; the bound is {self.bound:.1f} s"
        )


@attrs.define(eq=False)
class Restarts:
    """One cache through many restarts."""

    by: By
    random: Random
    server: FrontEnd
    balancer: Balancer
    cache: ScopedCache
    grants: Sequence[Grant]
    denied: list[float] = attrs.field(factory=list)
    heard: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def live(self, restarts: int, revocations: int) -> Found:
        """Restart a server so often, then revoke so often."""
        self.cache.subscribe(self._changed)
        false, lost = 0, 0
        for _ in range(restarts):
            await asyncio.sleep(self.random.uniform(12.0, 17.0))
            self.denied.clear()
            self._restart()
            await asyncio.sleep(20.0)
            false, lost = false + bool(self.denied), lost + len(self.denied)
            await self._healed()
        await asyncio.sleep(60.0)
        bound = self.cache.bound
        took = [await self._revoke() for _ in range(revocations)]
        return Found(self.by, restarts, false, lost, took, bound)

    def _changed(self, change: OwnerChanged) -> None:
        if change.cause == "denied":
            self.denied.append(now())
            self.heard.set()

    def _restart(self) -> None:
        self.balancer.down[1] = now() + DOWN_SECONDS
        self.server.restart(
            down=DOWN_SECONDS,
            unready=self.random.uniform(*DENYING_SECONDS),
            reviews=self.random.choice(["answered", "answered", "refused"]),
            starting=self.random.uniform(*STARTING_SECONDS),
        )

    async def _revoke(self) -> float:
        await asyncio.sleep(self.random.uniform(8.0, 13.0))
        self.denied.clear()
        self.heard.clear()
        grant, start = self.random.choice(self.grants), now()
        grant.revoke()
        await self.heard.wait()
        took = self.denied[0] - start
        grant.restore()
        await self._healed()
        return took

    async def _healed(self) -> None:
        for _ in range(int(2 * SETTLED_SECONDS)):
            if not self.cache.snapshot().waiting:
                return
            await asyncio.sleep(0.5)
        raise AssertionError("what is allowed stays closed")


def now() -> float:
    return asyncio.get_running_loop().time()


def simulate(by: By, restarts: int, revocations: int = REVOCATIONS, *, seed: int = 7) -> Found:
    """Live through so many restarts behind one kind of balancer."""
    with EmbeddedCluster.start(users=("operator",), kubelet=False, seed=seed, controllers=()) as cluster:
        operator = cluster.user("operator")
        names = [f"n{number}" for number in range(PLACES)]
        for name in names:
            cluster.create_namespace(name)
        grants = [cluster.grant(operator, ["list", "watch"], ["configmaps"], namespace=name) for name in names]
        random, server = Random(seed), cluster.front_end()
        return virtual_time.run(_simulate(cluster, by, restarts, revocations, random, server, grants))


async def _simulate(
    cluster: EmbeddedCluster,
    by: By,
    restarts: int,
    revocations: int,
    random: Random,
    server: FrontEnd,
    grants: Sequence[Grant],
) -> Found:
    operator = cluster.user("operator")
    balancer = Balancer(by, [front.client(operator).transport for front in (cluster.front_ends[0], server)], random)
    async with Client(balancer) as client, ScopedCache(client, rbac_watch=False, chance=random.random) as cache:
        for number in range(PLACES):
            key = ObjectKey(f"n{number}", "w")
            await cache.open(OwnerId(GVK("x.io", "v1", "W"), key, f"u{number}"), "configmaps", namespace=key.namespace)
        return await Restarts(by, random, server, balancer, cache, grants).live(restarts, revocations)


def main() -> int:
    """Return 1 when something was taken away that a balancer of connections cannot excuse."""
    restarts = int([*sys.argv[1:], "100"][0])
    logging.disable()
    found = [simulate("connection", restarts), simulate("request", restarts)]
    for one in found:
        sys.stdout.write(f"{one}\n")
    return 1 if found[0].false else 0


if __name__ == "__main__":
    sys.exit(main())
