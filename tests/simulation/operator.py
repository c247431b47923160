"""An operator that does nothing but hold its scopes, and now and then write something that an owner owns."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import attrs

from scopedcache import ForbiddenError, Need, Object, OwnerChanged, ResourceCache, ScopedCache
from scopedcache.errors import ScopedCacheError
from scopedcache.selectors import LabelSelector

from .cluster import CONFIG_MAP, NAMESPACES, POD, WIDGET, World, manifest

NEW: Final = LabelSelector.parse({"mark": "new"})
NEEDS: Final = (
    (Need(CONFIG_MAP),),
    (Need(POD),),
    (Need(CONFIG_MAP), Need(POD)),
    (Need(CONFIG_MAP, verbs=("create", "delete")), Need(POD, optional=True)),
    (Need(POD, selector=NEW), Need(CONFIG_MAP, optional=True)),
    (Need(CONFIG_MAP, metadata_only=True), Need(POD)),
    (Need(WIDGET), Need(CONFIG_MAP)),
    (Need(CONFIG_MAP), Need(WIDGET, optional=True)),
)


class Broken(AssertionError):
    """A promise was broken."""


@attrs.define(eq=False)
class SimulatedOwner:
    """An owner, what it needs, and what is known of its scope.

    Attributes:
        scope: what `open` returned last, None: it never did. It is read on after it was refused.
        told: how often a controller would have been told of a change of something that is owned.
        woken: something happened that a controller would reconcile for.
        readable: by kind, since when reads succeed without a break.
        seen: the versions that were read last, by kind and name: they never go back.
    """

    owner: Object
    needs: tuple[Need, ...]
    scope: ResourceCache | None = None
    woken: asyncio.Event = attrs.field(factory=asyncio.Event)
    readable: dict[str, float] = attrs.field(factory=dict)
    told: int = 0
    seen: dict[tuple[str, str], tuple[str, int]] = attrs.field(factory=dict)
    task: asyncio.Task[None] | None = None
    writing: asyncio.Task[None] | None = None

    @property
    def namespace(self) -> str:
        return self.owner.namespace

    def __str__(self) -> str:
        kinds = ", ".join(f"{need.kind}{'?' if need.optional else ''}{need.selector or ''}" for need in self.needs)
        return f"{self.owner.name} in {self.namespace}, which needs {kinds}"


@attrs.define(eq=False)
class Operator:
    """The owners of one cache. What it finds wrong with its own writes is `broken`."""

    world: World
    cache: ScopedCache
    owners: dict[str, SimulatedOwner] = attrs.field(factory=dict)
    story: list[str] = attrs.field(factory=list)
    broken: list[str] = attrs.field(factory=list)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Be told as a controller is."""
        end = self.cache.subscribe(self._changed)
        try:
            yield
        finally:
            end()
            for uid in list(self.owners):
                self._forget(uid)

    def take(self) -> str:
        """Begin with a new owner."""
        random = self.world.random
        owner = self.world.owner(random.choice([name for name in NAMESPACES if name not in self.world.leaving]))
        one = self.owners[owner.uid] = SimulatedOwner(owner, random.choice(NEEDS))
        one.task = asyncio.create_task(self._live(one))
        return str(one)

    def give_up(self) -> str:
        """Give an owner up."""
        return self._forget(self.world.random.choice(sorted(self.owners))) if self.owners else "nobody"

    def write(self) -> str:
        """Create, change or delete something as an operator does, and read it in the same breath."""
        if not self.owners:
            return "nobody"
        one = self.owners[self.world.random.choice(sorted(self.owners))]
        if one.writing is not None and not one.writing.done():
            return "still at it"
        one.writing = asyncio.create_task(self._write(one))
        return str(one)

    def _forget(self, uid: str) -> str:
        one = self.owners.pop(uid)
        for task in (one.task, one.writing):
            if task is not None:
                task.cancel()
        self.cache.close(one.owner)
        return str(one)

    async def _live(self, one: SimulatedOwner) -> None:
        while True:
            one.woken.clear()
            try:
                one.scope = await self.cache.open(one.owner, *one.needs)
            except ForbiddenError:
                pass  # the scope waits, and its owner will be told
            except ScopedCacheError as error:
                self.story.append(f"open {one}: {error!r}")
                await asyncio.sleep(2.0)  # a controller tries again
                continue
            await one.woken.wait()

    def _changed(self, change: OwnerChanged) -> None:
        one = self.owners.get(change.uid)
        if one is not None and change.cause == "child":
            one.told += 1
        elif one is not None:
            one.woken.set()

    # -- own writes ----------------------------------------------------------------------------------------------

    async def _write(self, one: SimulatedOwner) -> None:
        kind, random, client = str(one.needs[0].kind), self.world.random, self.cache.client
        try:
            mine = [found.name for found in one.scope.owned(kind)] if one.scope is not None else []
            if not mine or random.random() < 0.4:
                body = manifest(kind, self.world.name("own"), [one.owner])
                self._there(one, kind, await client.create(body, namespace=one.namespace))
            elif random.random() < 0.5:
                mark = {"metadata": {"labels": {"own": str(random.random())}}}
                self._there(one, kind, await client.patch(kind, random.choice(mine), mark, namespace=one.namespace))
            else:
                name = random.choice(mine)
                await client.delete(kind, name, namespace=one.namespace)
                self._gone(one, kind, name)
        except ScopedCacheError:
            return

    def _there(self, one: SimulatedOwner, kind: str, written: Object) -> None:
        """What was written is read at once (G11), unless somebody else changed it since, or etcd was restored.

        Until that is noticed, a version that is older than what was seen passes for one that was told already.
        """
        if (
            one.scope is None
            or self.world.now() < self.world.restored
            or self.world.held(kind, one.namespace).get(written.name) != written.resource_version
        ):
            return
        found = one.scope.get(kind, written.name)
        if one.needs[0].selector.matches(written.labels):
            if found is None or found.resource_version != written.resource_version:
                self.broken.append(f"{kind} {written.key} was written and is not read by {one}: {found}")
        elif found is not None:
            self.broken.append(f"{kind} {written.key} is not selected and is read by {one}")

    def _gone(self, one: SimulatedOwner, kind: str, name: str) -> None:
        restored = self.world.now() < self.world.restored
        if one.scope is not None and not restored and name not in self.world.held(kind, one.namespace):
            found = one.scope.get(kind, name)
            if found is not None:
                self.broken.append(f"{kind} {one.namespace}/{name} was deleted and is read by {one}")
