"""One life of a cache: half an hour of trouble in an order that a number decides, with a look after every step."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final

from scopedcache import ScopedCache
from scopedcache.testing import virtual_time

from .cluster import World
from .observer import HEALED_SECONDS, Observer
from .operator import Broken, Operator

EPOCHS: Final = 4
STEPS: Final = 60
# A deleted namespace is swept after five seconds.
SWEPT_SECONDS: Final = 10.0
# So much of the story is told where a promise is broken.
TOLD_LINES: Final = 60
Act = Callable[[], str]


def live(seed: int) -> None:
    """Live through one. Raise Broken, with the story that led there."""
    random.seed(seed)
    world = World.start(seed)
    story: list[str] = []
    try:
        with world.cluster:
            virtual_time.run(_live(world, story))
    except Exception as error:
        told = "\n".join(story[-TOLD_LINES:])
        raise Broken(f"seed {seed}: {type(error).__name__}: {error}\n{told}") from error


async def _live(world: World, story: list[str]) -> None:
    before = asyncio.all_tasks()
    client = world.cluster.balanced_client(world.operator, world.servers)
    async with client, ScopedCache(client, chance=world.random.random) as cache:
        operator = Operator(world, cache, story=story)
        observer = Observer(world, operator)
        acts = choices(world, operator)
        with operator.listening():
            for epoch in range(EPOCHS):
                for _ in range(STEPS):
                    _note(world, story, world.random.choice(acts))
                    await _pause(world, observer, world.random.expovariate(0.5))
                _note(world, story, world.calm)
                await _pause(world, observer, SWEPT_SECONDS)
                _note(world, story, world.revive)
                await _pause(world, observer, HEALED_SECONDS)
                await observer.settle()
                await observer.quiet()
                story.append(f"epoch {epoch} is in order")
        await asyncio.sleep(1.0)
        snapshot = cache.snapshot()
        left = (snapshot.scopes, snapshot.informers, snapshot.routes, snapshot.open_watches)
        if left != ([], [], 0, 0):
            raise Broken(f"left behind by closed scopes: {left}")
    await virtual_time.idle()
    if tasks := asyncio.all_tasks() - before:
        raise Broken(f"tasks left behind: {tasks}")


def choices(world: World, operator: Operator) -> list[Act]:
    """Return what may happen next, each as often as it is to happen."""

    def create() -> str:
        return world.create([one.owner for one in operator.owners.values()])

    often = [create, create, world.change, world.change, world.toggle, world.allow_all, operator.take]
    rarely = [world.vanish, world.revive, world.toggle_wide, operator.give_up]
    trouble = [world.lag, world.restart, world.compact, world.jump, world.reviews, world.fault, world.fault]
    return [*often, *often, *[operator.write] * 3, *rarely, *trouble]


async def _pause(world: World, observer: Observer, seconds: float) -> None:
    end = world.now() + seconds
    while (left := end - world.now()) > 0:
        await virtual_time.after(min(left, 0.5))
        observer.look()


def _note(world: World, story: list[str], act: Act) -> None:
    when = world.now()
    story.append(f"{when:9.2f}  {act.__name__:11} {act()}")
