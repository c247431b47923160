"""One life of a cache: half an hour of trouble in an order that a number decides, with a look after every step.

There are three kinds of lives: of an operator that opens what its owners need, of one that declares its kinds, and of
one that declares them in single namespaces.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Final, Protocol

import attrs

from scopedcache import ScopedCache
from scopedcache.testing import virtual_time

from .cluster import NAMESPACES, World
from .declaring import EVERYWHERE, DeclaringObserver, DeclaringOperator
from .observer import HEALED_SECONDS, Observer
from .operator import Broken, Operator

EPOCHS: Final = 4
STEPS: Final = 60
# A deleted namespace is swept after five seconds.
SWEPT_SECONDS: Final = 10.0
# So much of the story is told where a promise is broken.
TOLD_LINES: Final = 60
Act = Callable[[], str]


class Looks(Protocol):
    """Finds promises that are broken."""

    def look(self) -> None:
        """Look while things happen."""

    async def settle(self) -> None:
        """Look when they have come to rest."""

    async def quiet(self) -> None:
        """Look at what is done at rest."""


@attrs.frozen
class Scene:
    """Who lives, who looks on, what may happen, and what is done before all comes to rest."""

    observer: Looks
    acts: list[Act]
    calm: Act


Setting = Callable[[World, ScopedCache, list[str]], AbstractAsyncContextManager[Scene]]


@asynccontextmanager
async def opening(world: World, cache: ScopedCache, story: list[str]) -> AsyncIterator[Scene]:
    """Let an operator live that opens what its owners need."""
    operator = Operator(world, cache, story=story)

    def create() -> str:
        return world.create([one.owner for one in operator.owners.values()])

    often = [create, create, world.change, world.change, world.toggle, world.allow_all, operator.take]
    rarely = [world.vanish, world.revive, world.toggle_wide, operator.give_up, world.define]
    acts = [*often, *often, *[operator.write] * 3, *rarely, *troubles(world)]
    with operator.listening():
        yield Scene(Observer(world, operator), acts, world.calm)


@asynccontextmanager
async def declaring(
    world: World, cache: ScopedCache, story: list[str], places: tuple[str, ...] = (EVERYWHERE,)
) -> AsyncIterator[Scene]:
    """Let an operator live that declares its kinds."""
    operator = DeclaringOperator(world, cache, places)

    def create() -> str:
        return world.create(operator.owners)

    def calm() -> str:
        operator.own.restore()
        return world.calm()

    often = [create, create, world.change, world.change, world.toggle, world.allow_all, operator.take]
    rights = [world.toggle_wide, world.toggle_wide, world.toggle_wide, operator.blind]
    rarely = [world.vanish, world.revive, operator.give_up]
    acts = [*often, *often, *rights, *rarely, *troubles(world)]
    async with operator.running():
        yield Scene(DeclaringObserver(world, operator), acts, calm)


SETTINGS: Final[dict[str, Setting]] = {
    "opening": opening,
    "declaring": declaring,
    "in namespaces": partial(declaring, places=NAMESPACES),
}


def live(seed: int, setting: str = "opening") -> None:
    """Live through one. Raise Broken, with the story that led there."""
    random.seed(seed)
    world = World.start(seed)
    story: list[str] = []
    try:
        with world.cluster:
            virtual_time.run(_live(world, story, SETTINGS[setting]))
    except Exception as error:
        told = "\n".join(story[-TOLD_LINES:])
        raise Broken(f"{setting}, seed {seed}: {type(error).__name__}: {error}\n{told}") from error


async def _live(world: World, story: list[str], setting: Setting) -> None:
    before = asyncio.all_tasks()
    client = world.cluster.balanced_client(world.operator, world.servers)
    async with client, ScopedCache(client, chance=world.random.random) as cache:
        async with setting(world, cache, story) as scene:
            for epoch in range(EPOCHS):
                for _ in range(STEPS):
                    _note(world, story, world.random.choice(scene.acts))
                    await _pause(world, scene.observer, world.random.expovariate(0.5))
                _note(world, story, scene.calm)
                await _pause(world, scene.observer, SWEPT_SECONDS)
                _note(world, story, world.revive)
                await _pause(world, scene.observer, HEALED_SECONDS)
                await scene.observer.settle()
                await scene.observer.quiet()
                story.append(f"epoch {epoch} is in order")
        await asyncio.sleep(1.0)
        snapshot = cache.snapshot()
        left: Any = (snapshot.scopes, snapshot.informers, snapshot.routes, snapshot.open_watches)
        if left != ([], [], 0, 0):
            raise Broken(f"left behind by closed scopes: {left}")
    await virtual_time.idle()
    if tasks := asyncio.all_tasks() - before:
        raise Broken(f"tasks left behind: {tasks}")


def troubles(world: World) -> list[Act]:
    """Return what goes wrong around an operator."""
    return [world.lag, world.restart, world.compact, world.jump, world.reviews, world.fault, world.fault]


async def _pause(world: World, observer: Looks, seconds: float) -> None:
    end = world.now() + seconds
    while (left := end - world.now()) > 0:
        await virtual_time.after(min(left, 0.5))
        observer.look()


def _note(world: World, story: list[str], act: Act) -> None:
    when = world.now()
    story.append(f"{when:9.2f}  {act.__name__:11} {act()}")
