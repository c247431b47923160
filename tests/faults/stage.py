"""An operator at work while something goes wrong: what it reads, hears, asks and says of itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from random import Random
from typing import Any, Final

import attrs

from scopedcache import (
    Client,
    Controller,
    EventHandler,
    Manager,
    Object,
    OwnerChanged,
    Request,
    Result,
    ScopedCache,
    ScopedCacheError,
)

from .servers import Server
from .wire import Wire

OWNER, CONFIG_MAP, SECRET = "serviceaccounts", "configmaps", "secrets"
KINDS: Final = (CONFIG_MAP, SECRET)
OBJECTS: Final = 20
LOOK_SECONDS: Final = 0.25
SETTLED_SECONDS: Final = 300.0
# By kind, namespace and name.
Versions = dict[tuple[str, str, str], str]
VERBS: Final = ("get", "list", "watch")


class Different(AssertionError):
    """The cache is not the server."""


@attrs.define
class Seen:
    """What was seen of the operator in a while.

    Attributes:
        reads: how often reads were answered, or refused with which error.
        ready: what /readyz said, and how often.
        age: how old what was read said it was, at most, in seconds.
        denied: how often an owner was told that a right is gone.
    """

    reads: Counter[str] = attrs.field(factory=Counter)
    ready: Counter[str] = attrs.field(factory=Counter)
    age: float = 0.0
    denied: int = 0


class Stage:
    """The operator, and the admin's hand.

    Attributes:
        mirror: what a handler that takes every change at its word believes there is.
    """

    def __init__(self, server: Server, wire: Wire, cache: ScopedCache, places: int, random: Random) -> None:
        self.server, self.wire, self.cache, self.random = server, wire, cache, random
        self.places = [f"place-{number}" for number in range(places)]
        self.seen = Seen()
        self.mirror: Versions = {}
        self.manager = Manager(
            cache, controllers=[Controller(for_=OWNER, reconcile=self._reconcile, namespaces=self.places, workers=4)]
        )
        self._names = 0

    # -- the admin -----------------------------------------------------------------------------------------------

    def furnish(self) -> None:
        """Make the places, what is in them, and the rights to see it."""
        for place in self.places:
            self.server.admin.create_namespace(place)
            self.server.admin.apply(
                {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "own"}}, namespace=place
            )
            self.server.grant(VERBS, (OWNER, *KINDS), place)
            self.server.grant(("create", "patch"), ("events.events.k8s.io",), place)
            for number in range(OBJECTS if len(self.places) == 1 else 2):
                self._create(place, f"obj-{number}")

    async def change(self, place: str | None = None) -> None:
        """Create one object, change one, delete one."""
        await self.server.act(lambda: self._change(place or self.places[0]))

    def _change(self, place: str) -> None:
        admin = self.server.admin
        there = [
            one["metadata"]["name"]
            for one in admin.list(CONFIG_MAP, place)
            if one["metadata"]["name"] != "kube-root-ca.crt"
        ]
        self._names += 1
        self._create(place, f"new-{self._names}")
        changed, deleted = self.random.sample(there, 2)
        admin.patch(CONFIG_MAP, changed, {"data": {"n": str(self._names)}}, place)
        admin.delete(CONFIG_MAP, deleted, place)

    def _create(self, place: str, name: str) -> None:
        self.server.admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}, place)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    # -- the operator --------------------------------------------------------------------------------------------

    async def _reconcile(self, request: Request) -> Result:
        owner = self.cache.cluster.get(OWNER, request.key)
        if owner is not None and request.name == "own":
            await self.cache.open(owner, *KINDS)
        return Result()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the operator until all that it watches is there, and note what it sees."""
        async with AsyncExitStack() as stack:
            stack.callback(self.cache.subscribe(self._told))
            for place in self.places[:1]:
                handle = await stack.enter_async_context(self.cache.informer(CONFIG_MAP, namespace=place))
                stack.callback(handle.add_handler(self._handler()))
            stop = asyncio.Event()
            manager = asyncio.create_task(self.manager.run(stop))
            looking = asyncio.create_task(self._look())
            try:
                await self.settled()
                yield
            finally:
                looking.cancel()
                stop.set()
                await manager
                with suppress(asyncio.CancelledError):
                    await looking

    def _handler(self) -> EventHandler:
        def put(obj: Object, *_: Any) -> None:
            self.mirror[(CONFIG_MAP, obj.namespace, obj.name)] = obj.resource_version

        def remove(obj: Object, *_: Any) -> None:
            self.mirror.pop((CONFIG_MAP, obj.namespace, obj.name), None)

        return EventHandler(on_add=put, on_update=lambda _, new: put(new), on_delete=remove)

    def _told(self, change: OwnerChanged) -> None:
        self.seen.denied += change.cause == "denied"

    async def _look(self) -> None:
        while True:
            self.seen.reads[self._read()] += 1
            state = self.manager.summary()
            words = "ready" if self.manager.ready else "not ready"
            self.seen.ready[words + ", degraded" * bool(state["degraded"])] += 1
            ages = [informer.age for informer in self.cache.snapshot().informers]
            self.seen.age = max([self.seen.age, *ages])
            await asyncio.sleep(LOOK_SECONDS * len(self.places))

    def _read(self) -> str:
        try:
            scopes = self.cache.namespaces.get(self.places[0], {})
            if not scopes:
                return "closed"
            for scope in scopes.values():
                for kind in KINDS:
                    scope.list(kind)
        except ScopedCacheError as error:
            return type(error).__name__
        return "served"

    # -- the truth -----------------------------------------------------------------------------------------------

    async def settled(self, within: float = SETTLED_SECONDS) -> float:
        """Wait until the cache is the server and all watches are open; return the seconds that took.

        Raises:
            Different: it does not become so.
        """
        clock = asyncio.get_running_loop().time
        start = clock()
        truth = await self.server.act(self._truth)
        while (differs := self._difference(truth)) is not None:
            if clock() - start > within:
                raise Different(differs)
            await asyncio.sleep(0.05 if len(self.places) == 1 else 0.25)
        return clock() - start

    def _truth(self) -> Versions:
        return {
            (kind, place, one["metadata"]["name"]): one["metadata"]["resourceVersion"]
            for place in self.places
            for kind in KINDS
            for one in self.server.admin.list(kind, place)
        }

    def _difference(self, truth: Versions) -> str | None:
        """Return how the cache, or what handlers were told, differs from the server."""
        watches = self.cache.snapshot().open_watches
        if watches < len(self.places) * (len(KINDS) + 1):
            return f"{watches} watches are open"
        held: Versions = {}
        for place in self.places:
            for scope in self.cache.namespaces.get(place, {}).values():
                try:
                    held |= {
                        (kind, place, one.name): one.resource_version for kind in KINDS for one in scope.list(kind)
                    }
                except ScopedCacheError as error:
                    return repr(error)
        if held != truth:
            more, missing = held.items() - truth.items(), truth.items() - held.items()
            return f"held and not there: {more}; there and not held: {missing}"
        heard = {key: version for key, version in truth.items() if key[:2] == (CONFIG_MAP, self.places[0])}
        if self.mirror != heard:
            return f"handlers were told {self.mirror.items() ^ heard.items()}"
        return None


@attrs.frozen
class Outcome:
    """What came of one fault. Rates are requests per second, tries included that met no server."""

    name: str
    server: str
    reads: str
    ready: str
    age: float
    rate: float
    burst: int
    recovery: float
    relists: int
    denied: int


async def perform(
    server: Server, fault: Callable[[Stage], Awaitable[None]], *, name: str, places: int = 1, seed: int = 0
) -> Outcome:
    """Let a fault befall an operator, and tell what came of it.

    Raises:
        Different: the cache is not the server afterwards.
    """
    random = Random(seed)
    inner = server.client()
    wire = Wire(inner.transport)
    async with Client(wire) as client, ScopedCache(client, rbac_watch=False, chance=random.random) as cache:
        stage = Stage(server, wire, cache, places, random)
        await server.act(stage.furnish)
        async with stage.running():
            await stage.pause(1.0)
            clock = asyncio.get_running_loop().time
            stage.seen, start = Seen(), clock()
            relists = sum(one.relists for one in cache.snapshot().informers)
            await fault(stage)
            during, over = stage.seen, clock()
            recovery = await stage.settled()
            await stage.change()
            await stage.settled(5.0)
            asked = [at for at, _ in wire.asked if at >= start]
            return Outcome(
                name=name,
                server=server.name,
                reads=_words(during.reads),
                ready=_words(during.ready),
                age=during.age,
                rate=sum(at < over for at in asked) / max(1.0, over - start),
                burst=max((sum(at <= other < at + 1.0 for other in asked) for at in asked), default=0),
                recovery=recovery,
                relists=sum(one.relists for one in cache.snapshot().informers) - relists,
                denied=stage.seen.denied,
            )


def _words(counted: Counter[str]) -> str:
    return "; ".join(word for word, _ in counted.most_common())
