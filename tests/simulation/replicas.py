"""Two replicas of an operator that elects a leader: killed, cut off, started anew, their Lease deleted.

Each has a cache and a connection of its own. Nobody writes while somebody else holds the Lease, and when all has come
to rest one leads, and its last reconcile of every key saw what there is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import attrs

from scopedcache import (
    Client,
    Controller,
    ForbiddenError,
    LeaderElection,
    Manager,
    Object,
    ObjectKey,
    Request,
    ScopedCache,
)
from scopedcache.api.transport import Query, Response, Stream, Transport
from scopedcache.errors import CacheError, TransportError
from scopedcache.testing import virtual_time

from .cluster import CONFIG_MAP, NAMESPACES, REQUEST_TIMEOUT_SECONDS, World
from .declaring import AT_REST, OWNER, Sight, is_owned, key_of, words
from .observer import DRIPPED_SECONDS, QUIET_SECONDS, SLACK_SECONDS
from .operator import Broken
from .user_code import UserCode

LEASES: Final = "leases.coordination.k8s.io"
LEASE: Final = "operator"
PLACE: Final = "default"
# By then everybody who reaches the server has seen the Lease, and who holds it.
SEEN_SECONDS: Final = 60.0
MARK: Final = "sim.example.org/seen"


class Link:
    """A transport that can be cut off: what is asked waits then, and what was sent is answered late."""

    def __init__(self, way: Transport, sent: Any) -> None:
        self._way = way
        self._sent = sent
        self._there = asyncio.Event()
        self._there.set()

    def cut(self) -> None:
        self._there.clear()

    def mend(self) -> None:
        self._there.set()

    async def request(self, method: str, path: str, query: Query = (), **about: Any) -> Response:
        self._sent(method, path)
        await self._until_there(path)
        answer = await self._way.request(method, path, query, **about)
        await self._until_there(path)
        return answer

    async def _until_there(self, path: str) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
                await self._there.wait()
        except TimeoutError as error:
            raise TransportError(f"no answer to {path}") from error

    def stream(self, path: str, query: Query = (), **about: Any) -> AbstractAsyncContextManager[Stream]:
        return self._way.stream(path, query, **about)

    async def close(self) -> None:
        await self._way.close()


@attrs.define(eq=False)
class SimulatedReplica:
    """One process."""

    name: str
    link: Link
    cache: ScopedCache
    manager: Manager
    ended: asyncio.Event
    task: asyncio.Task[None] | None = None


@attrs.define(eq=False)
class Pair:
    """Both of them, and what the last reconcile of each key saw, whoever ran it."""

    world: World
    user_code: UserCode
    replicas: dict[str, SimulatedReplica] = attrs.field(factory=dict)
    sights: dict[ObjectKey, Sight] = attrs.field(factory=dict)
    runs: Counter[ObjectKey] = attrs.field(factory=Counter)
    broken: list[str] = attrs.field(factory=list)
    started: int = 0
    arrived: float = 0.0  # when somebody came, or came back, last

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        world = self.world
        world.cluster.grant(world.operator, ["get", "list", "watch", "patch"], [OWNER])
        world.cluster.grant(world.operator, ["get", "create", "update", "patch"], [LEASES], namespace=PLACE)
        self.start()
        self.start()
        try:
            yield
        finally:
            for name in list(self.replicas):
                self._end(name)
            await asyncio.sleep(60.0)  # what was cut off times out

    # -- what happens to them ------------------------------------------------------------------------------------

    def start(self) -> str:
        """Start replicas until there are two."""
        if len(self.replicas) == 2:
            return "there are two"
        if self.started > 1 and self.replicas and not self._is_leased():
            return "the Lease is gone just now"
        self.arrived = self.world.now()
        self.started += 1
        name = f"replica-{self.started}"
        way = self.world.cluster.balanced_client(self.world.operator, self.world.servers).transport
        link = Link(way, lambda method, path: self._sent(name, method, path))
        client = Client(link)
        cache = ScopedCache(client, chance=self.world.random.random, compress=self.world.compress)

        async def reconcile(request: Request) -> None:
            await self.reconcile(cache, request)

        controller = Controller(
            for_=OWNER, reconcile=reconcile, owns=[CONFIG_MAP], on_forbidden=lambda owner, error: None,
            predicates=[self.user_code.predicate],
        )  # fmt: skip
        election = LeaderElection(LEASE, namespace=PLACE, identity=name)
        manager = Manager(cache, controllers=[controller], leader_election=election)
        replica = self.replicas[name] = SimulatedReplica(name, link, cache, manager, asyncio.Event())
        replica.task = asyncio.create_task(self._run(client, replica), name=name)
        return name

    async def _run(self, client: Client, replica: SimulatedReplica) -> None:
        async with client, replica.cache:
            await replica.manager.run(replica.ended)

    def stop(self) -> str:
        """End one in good order."""
        name = self._one()
        self.replicas.pop(name).ended.set()
        return name

    def kill(self) -> str:
        """End one as SIGKILL does: nothing it sends arrives any more."""
        name = self._one()
        self._end(name)
        return name

    def _end(self, name: str) -> None:
        replica = self.replicas.pop(name)
        replica.link.cut()
        assert replica.task is not None
        replica.task.cancel()

    def cut(self) -> str:
        """Cut one off, or mend it."""
        name = self._one()
        self.arrived = self.world.now()  # who was cut off may have missed the last to take the Lease
        if self.world.random.random() < 0.5:
            self.replicas[name].link.cut()
            return f"{name} off"
        self.replicas[name].link.mend()
        return f"{name} mended"

    def delete_the_lease(self) -> str:
        """Delete the Lease, as an admin may; not before everybody has seen it: who has not cannot know (0015)."""
        now = self.world.now()
        if not self._is_leased() or now < max(self.arrived + SEEN_SECONDS, self.world.trouble):
            return "not now"
        self.world.cluster.delete(LEASES, LEASE, PLACE)
        return "gone"

    def mend(self) -> None:
        for replica in self.replicas.values():
            replica.link.mend()
        while len(self.replicas) < 2 and self.start() in self.replicas:
            pass

    def _is_leased(self) -> bool:
        return self.world.cluster.get(LEASES, LEASE, PLACE) is not None

    def _one(self) -> str:
        if not self.replicas:
            self.start()
        return self.world.random.choice(sorted(self.replicas))

    # -- what they do --------------------------------------------------------------------------------------------

    async def reconcile(self, cache: ScopedCache, request: Request) -> None:
        key = request.key
        self.runs[key] += 1
        owner = cache.cluster.get(OWNER, key)
        if owner is None:
            self.sights.pop(key, None)
            return
        self.user_code.perhaps_fail()
        try:
            found = cache.cluster.list(CONFIG_MAP)
        except ForbiddenError:
            self.sights[key] = None
            raise
        names = frozenset(one.name for one in found if is_owned(one, owner))
        if owner.annotations.get(MARK) != str(len(names)):
            await asyncio.sleep(0.5)
            mark = {"metadata": {"annotations": {MARK: str(len(names))}}}
            await cache.client.patch(OWNER, key.name, mark, namespace=key.namespace)
        self.sights[key] = names

    def _sent(self, name: str, method: str, path: str) -> None:
        if method == "GET" or "/leases" in path or "review" in path:
            return
        lease = self.world.cluster.get(LEASES, LEASE, PLACE)
        holder = lease["spec"].get("holderIdentity") if lease is not None else name
        if holder != name:
            self.broken.append(f"{name} sends {method} {path} while {holder or 'nobody'} holds the Lease")

    @property
    def leaders(self) -> list[SimulatedReplica]:
        return [replica for replica in self.replicas.values() if replica.manager.leading]


@attrs.frozen
class PairObserver:
    """Looks at both."""

    world: World
    pair: Pair

    def look(self) -> None:
        """Raise Broken where a promise is."""
        self.world.refresh()
        if self.pair.broken:
            raise Broken(self.pair.broken[0])
        if len(self.pair.leaders) > 1:
            raise Broken(f"{[one.name for one in self.pair.leaders]} lead at once")
        for replica in self.pair.replicas.values():
            if replica.task is not None and replica.task.done():
                raise Broken(f"{replica.name} has ended by itself: {replica.task.exception()!r}")

    async def settle(self) -> None:
        """Compare what every key saw last with the truth. Raise Broken."""
        if len(self.pair.leaders) != 1:
            raise Broken(f"there are {len(self.pair.leaders)} leaders")
        there = {key_of(one): one["metadata"]["uid"] for one in self.world.cluster.list(OWNER)}
        for key, uid in there.items():
            sees = self.world.sees(CONFIG_MAP, "")
            truth = frozenset(self.world.owned(CONFIG_MAP, key.namespace, uid)) if sees else None
            seen = self.pair.sights.get(key, frozenset({"nothing at all"}))
            if seen != truth:
                raise Broken(f"the last reconcile of {key} saw {words(seen)}, there is {words(truth)}")
        for replica in self.pair.replicas.values():
            self._equal(replica)

    def _equal(self, replica: SimulatedReplica) -> None:
        """Who waits to lead holds the same."""
        sees = self.world.sees(CONFIG_MAP, "")
        try:
            held = {(one.namespace, one.name): one.resource_version for one in replica.cache.cluster.list(CONFIG_MAP)}
        except (ForbiddenError, CacheError) as error:
            if sees:
                raise Broken(f"{replica.name} may see {CONFIG_MAP} and does not: {error!r}") from error
            return
        there = {
            (one["metadata"]["namespace"], one["metadata"]["name"]): one["metadata"]["resourceVersion"]
            for one in self.world.cluster.list(CONFIG_MAP)
        }
        if not sees or held != there:
            raise Broken(f"{replica.name} holds {held}, and sees: {sees}; there are {there}")

    async def quiet(self) -> None:
        """Let every owner own something new; then nobody runs twice in a minute. Raise Broken."""
        for one in self.world.cluster.list(OWNER):
            if one["metadata"]["namespace"] in NAMESPACES:
                owner = Object.from_dict({**one, "apiVersion": "v1", "kind": "ServiceAccount"})
                self.world.child(CONFIG_MAP, owner.namespace, owner)
        await virtual_time.after(DRIPPED_SECONDS + SLACK_SECONDS)
        await self.settle()
        before = self.pair.runs.copy()
        await virtual_time.after(QUIET_SECONDS)
        if hot := {str(key): runs for key, runs in (self.pair.runs - before).items() if runs > AT_REST}:
            raise Broken(f"at rest it reconciles {hot}")
