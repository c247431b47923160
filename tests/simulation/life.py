"""An operator that does nothing but hold its scopes, and an observer who notes every promise that is broken."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import attrs

from scopedcache import ForbiddenError, Need, Object, OwnerChanged, ResourceCache, ScopedCache
from scopedcache.access.budget import PERIOD
from scopedcache.errors import CacheError, ScopedCacheError
from scopedcache.testing import virtual_time

from .cluster import CONFIG_MAP, NAMESPACES, POD, World, manifest

# Seconds beside the bound: opening a scope takes requests, and those take time.
SLACK: Final = 3.0
MINUTE: Final = 60.0
# A watch that has just ended in good order is opened again within a second, and its request takes time.
RENEWED: Final = 3.0
# One that a fault lets drip does so for as long as it lasts, a second for each line.
DRIPPED: Final = 20.0
# What heals does so within the longest pause of any back-off, and a silent watch within its time-out.
HEALED: Final = 240.0


@attrs.define(eq=False)
class Held:
    """An owner, what it needs, and what is known of its scope.

    Attributes:
        scope: what `open` returned last, None: it never did. It is read on after it was refused.
        told: how often a controller would have been told of a change of something that is owned.
        woken: something happened that a controller would reconcile for.
        readable: since when reads succeed without a break, None: they do not.
        seen: the versions that were read last, by kind and name: they never go back.
    """

    owner: Object
    needs: tuple[str, ...]
    scope: ResourceCache | None = None
    woken: asyncio.Event = attrs.field(factory=asyncio.Event)
    readable: float | None = None
    told: int = 0
    seen: dict[tuple[str, str], tuple[str, int]] = attrs.field(factory=dict)
    task: asyncio.Task[None] | None = None
    writing: asyncio.Task[None] | None = None

    @property
    def namespace(self) -> str:
        return self.owner.namespace


class Broken(AssertionError):
    """A promise was broken."""


@attrs.define(eq=False)
class Life:
    """The owners of one cache."""

    world: World
    cache: ScopedCache
    held: dict[str, Held] = attrs.field(factory=dict)
    story: list[str] = attrs.field(factory=list)
    broken: list[str] = attrs.field(factory=list)

    # -- the operator --------------------------------------------------------------------------------------------

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Be told as a controller is."""
        end = self.cache.subscribe(self._changed)
        try:
            yield
        finally:
            end()
            for uid in list(self.held):
                self.forget(uid)

    def take(self) -> str:
        """Begin with a new owner."""
        random = self.world.random
        owner = self.world.owner(random.choice(NAMESPACES))
        one = self.held[owner.uid] = Held(owner, random.choice([(CONFIG_MAP,), (POD,), (CONFIG_MAP, POD)]))
        one.task = asyncio.create_task(self._live(one))
        return f"{owner.namespace}/{owner.name} needs {one.needs}"

    def write(self) -> str:
        """Create, change or delete something as an operator does, and read it in the same breath."""
        if not self.held:
            return "nobody"
        one = self.held[self.world.random.choice(sorted(self.held))]
        if one.writing is not None and not one.writing.done():
            return "still at it"
        one.writing = asyncio.create_task(self._write(one))
        return f"{one.owner.namespace}/{one.owner.name}"

    async def _write(self, one: Held) -> None:
        kind, random, client = one.needs[0], self.world.random, self.cache.client
        try:
            mine = [found.name for found in one.scope.owned(kind)] if one.scope is not None else []
            if not mine or random.random() < 0.4:
                body = manifest(kind, self.world.name("own"), [one.owner])
                written = await client.create(body, namespace=one.namespace)
            elif random.random() < 0.5:
                mark = {"metadata": {"labels": {"mark": str(random.random())}}}
                written = await client.patch(kind, random.choice(mine), mark, namespace=one.namespace)
            else:
                name = random.choice(mine)
                await client.delete(kind, name, namespace=one.namespace)
                self._gone(one, kind, name)
                return
            self._there(one, kind, written)
        except ScopedCacheError:
            return

    def _there(self, one: Held, kind: str, written: Object) -> None:
        """What was written is read at once, unless somebody else changed it since."""
        if one.scope is None or self.world.held(kind, one.namespace).get(written.name) != written.resource_version:
            return
        found = one.scope.get(kind, written.name)
        if found is None or found.resource_version != written.resource_version:
            self.broken.append(f"{kind} {written.key} was written and is not read: {found}")

    def _gone(self, one: Held, kind: str, name: str) -> None:
        if one.scope is not None and name not in self.world.held(kind, one.namespace):
            found = one.scope.get(kind, name)
            if found is not None:
                self.broken.append(f"{kind} {one.namespace}/{name} was deleted and is read: {found}")

    def forget(self, uid: str) -> str:
        """Give an owner up."""
        one = self.held.pop(uid)
        for task in (one.task, one.writing):
            if task is not None:
                task.cancel()
        self.cache.close(one.owner)
        return f"{one.owner.namespace}/{one.owner.name}"

    async def _live(self, one: Held) -> None:
        while True:
            one.woken.clear()
            try:
                one.scope = await self.cache.open(one.owner, *(Need(kind) for kind in one.needs))
            except ForbiddenError:
                pass
            except ScopedCacheError as error:
                self.story.append(f"open {one.owner.name}: {error!r}")
                await asyncio.sleep(2.0)
                continue
            await one.woken.wait()

    def _changed(self, change: OwnerChanged) -> None:
        one = self.held.get(change.uid)
        if one is not None and change.cause == "child":
            one.told += 1
        elif one is not None:
            one.woken.set()

    # -- the observer --------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Read everything once. Raise Broken where a promise is."""
        if self.broken:
            raise Broken(self.broken[0])
        for one in self.held.values():
            try:
                for kind in one.needs:
                    self._read(one, kind)
                    self._served(one, kind)
            except ForbiddenError as error:
                self._refused(one, error)
                one.readable = None
            except CacheError:
                one.readable = None
            else:
                one.readable = one.readable if one.readable is not None else self.world.now()

    def _read(self, one: Held, kind: str) -> None:
        if one.scope is None:
            raise CacheError("not open")
        for found in one.scope.list(kind):
            if found.namespace != one.namespace:
                raise Broken(f"{kind} of {found.namespace} are shown to an owner in {one.namespace}")
            before = one.seen.get((kind, found.name))
            now = found.uid, int(found.resource_version)
            if before is not None and before[0] == now[0] and now[1] < before[1]:
                raise Broken(f"{kind} {found.key} went back from version {before[1]} to {now[1]}")
            one.seen[kind, found.name] = now

    def _served(self, one: Held, kind: str) -> None:
        """Nothing is served that may not be seen any more, after the bound (G1, G2)."""
        world = self.world
        if world.sees(kind, one.namespace):
            return
        since = max(world.changed.get((one.namespace, kind), 0.0), world.trouble)
        if world.now() - since > self.cache.bound + SLACK:
            raise Broken(
                f"{kind} in {one.namespace} are served {world.now() - since:.1f} s after the right was lost; "
                f"the bound is {self.cache.bound:.1f} s"
            )

    def _refused(self, one: Held, error: ForbiddenError) -> None:
        """Nothing is torn down while every right is there (G3)."""
        world = self.world
        if one.readable is None or not all(world.sees(kind, one.namespace) for kind in one.needs):
            return
        since = max(world.changed.get((one.namespace, kind), 0.0) for kind in one.needs)
        if one.readable > since and world.now() > since + self.cache.bound + SLACK:
            raise Broken(f"reads of {one.owner.name} in {one.namespace} are refused without a reason: {error}")

    # -- at rest -------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Compare everything with the server, some time after all trouble has ended. Raise Broken."""
        watched = set()
        for one in self.held.values():
            allowed = all(self.world.sees(kind, one.namespace) for kind in one.needs)
            if allowed:
                watched |= {(one.namespace, kind) for kind in one.needs}
                self._equal(one)
            else:
                self._denied(one)
        looks = [self._watched()]
        for _ in range(int(RENEWED / 0.5)):
            await virtual_time.after(0.5)
            looks.append(self._watched())
        if sorted(watched) not in looks:
            raise Broken(f"the open watches are {looks[-1]}, needed are {sorted(watched)}")

    def _watched(self) -> list[tuple[str | None, str]]:
        found = self.world.cluster.audit.open_watches(user=self.world.operator.username)
        return sorted((watch.namespace, watch.resource) for watch in found if watch.namespace)

    def _equal(self, one: Held) -> None:
        for kind in one.needs:
            there = self.world.held(kind, one.namespace)
            try:
                if one.scope is None:
                    raise CacheError("it never opened")
                held = {found.name: found.resource_version for found in one.scope.list(kind)}
                owned = {found.name for found in one.scope.owned(kind)}
            except (ForbiddenError, CacheError) as error:
                raise Broken(f"{one.owner.name} in {one.namespace} may see {kind} and does not: {error!r}") from error
            if held != there:
                raise Broken(f"{kind} in {one.namespace}: the cache holds {held}, the server {there}")
            if owned != self.world.owned(kind, one.namespace, one.owner.uid):
                raise Broken(f"{kind} of {one.owner.name}: {owned}")

    async def quiet(self) -> None:
        """Be told of what is owned; then let a minute pass, and count what is asked. Raise Broken."""
        world, operator = self.world, self.world.operator.username
        able = [one for one in self.held.values() if all(world.sees(kind, one.namespace) for kind in one.needs)]
        before = {one.owner.uid: one.told for one in able}
        for one in able:
            world.child(one.needs[0], one.namespace, one.owner)
        await virtual_time.after(DRIPPED)
        for one in able:
            if one.told == before[one.owner.uid]:
                raise Broken(f"nobody told {one.owner.name} in {one.namespace} of its new {one.needs[0]}")
        mark = world.cluster.audit.mark()
        await virtual_time.after(MINUTE)
        asked = [r for r in world.cluster.audit.requests(mark, user=operator) if r.verb != "watch"]
        reviews = [r for r in asked if r.resource.startswith("selfsubject")]
        if others := [f"{r.verb} {r.resource} {r.namespace}" for r in asked if r not in reviews]:
            raise Broken(f"at rest it asks: {others[:5]}")
        places = len({one.namespace for one in self.held.values()}) + 1
        if self.cache.snapshot().attempting is False and len(reviews) > places * (MINUTE / PERIOD + 2):
            raise Broken(f"at rest there are {len(reviews)} reviews in a minute, for {places} places")

    def _denied(self, one: Held) -> None:
        try:
            if one.scope is not None:
                for kind in one.needs:
                    one.scope.list(kind)
                raise Broken(f"{one.owner.name} in {one.namespace} is served what it may not see")
        except (ForbiddenError, CacheError):
            pass
        waiting = {state.uid for state in self.cache.snapshot().waiting}
        if one.owner.uid not in waiting:
            raise Broken(f"{one.owner.name} in {one.namespace} is refused and does not wait")
