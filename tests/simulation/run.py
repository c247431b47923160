"""One life of a cache: half an hour of trouble in an order that a number decides, with a look after every step.

There are four kinds of lives: of an operator that opens what its owners need, of one that declares its kinds, of one
that declares them in single namespaces, and of two replicas that elect a leader. In some lives of each RBAC objects may
be watched, in some user code fails, and in some of the first one kind is watched in the whole cluster.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Final, Protocol

import attrs

from scopedcache import Object, ScopedCache
from scopedcache.testing import virtual_time

from .cluster import CONFIG_MAP, NAMESPACES, RBAC_KINDS, WIDGET, World
from .declaring import EVERYWHERE, DeclaringObserver, DeclaringOperator
from .observer import HEALED_SECONDS, Observer
from .operator import Broken, Operator
from .replicas import Pair, PairObserver
from .user_code import UserCode

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
    epochs: int = EPOCHS


Setting = Callable[[World, ScopedCache, list[str]], AbstractAsyncContextManager[Scene]]


@asynccontextmanager
async def opening(world: World, cache: ScopedCache, story: list[str]) -> AsyncIterator[Scene]:
    """Let an operator live that opens what its owners need."""
    operator = Operator(world, cache, story=story)

    def create() -> str:
        return world.create([one.owner for one in operator.owners.values()])

    def restore() -> str:
        return world.restore([one.owner for one in operator.owners.values()])

    often = [create, create, world.change, world.change, world.toggle, world.allow_all, operator.take]
    rarely = [world.vanish, world.revive, world.toggle_wide, operator.give_up, world.define, world.amend, restore]
    user_code = failing(world)
    end = cache.subscribe(user_code.listen)
    acts = [*often, *often, *[operator.write] * 3, *rarely, *troubles(world), *oddities(world, user_code)]
    with operator.listening():
        yield Scene(Observer(world, operator), acts, calmer(world, user_code.mend))
    end()


@asynccontextmanager
async def declaring(
    world: World, cache: ScopedCache, story: list[str], places: tuple[str, ...] = (EVERYWHERE,)
) -> AsyncIterator[Scene]:
    """Let an operator live that declares its kinds."""
    user_code = failing(world)
    owned = WIDGET if world.sort.random() < 0.3 else CONFIG_MAP
    operator = DeclaringOperator(world, cache, places, user_code, owned)

    def create() -> str:
        return world.create(operator.owners)

    def restore() -> str:
        return world.restore(operator.owners)

    often = [create, create, world.change, world.change, world.toggle, world.allow_all, operator.take]
    rights = [world.toggle_wide, world.toggle_wide, world.toggle_wide, operator.blind]
    rarely = [world.vanish, world.revive, operator.give_up, restore]
    if owned == WIDGET:
        rarely += [world.define, world.amend]
    acts = [*often, *often, *rights, *rarely, *troubles(world), *oddities(world, user_code)]
    async with operator.running():
        yield Scene(DeclaringObserver(world, operator), acts, calmer(world, user_code.mend, operator.own.restore))


@asynccontextmanager
async def electing(world: World, cache: ScopedCache, story: list[str]) -> AsyncIterator[Scene]:
    """Let two replicas live, of which one leads."""
    user_code = failing(world)
    pair, owners = Pair(world, user_code), list[Object]()

    def create() -> str:
        return world.create(owners)

    def take() -> str:
        owners.append(world.owner(world.random.choice([name for name in NAMESPACES if name not in world.leaving])))
        return str(owners[-1].key)

    often = [create, create, world.change, world.toggle_wide, take, pair.cut, pair.start]
    rarely = [world.vanish, world.revive, pair.kill, pair.stop, pair.delete_the_lease]
    acts = [*often, *often, *rarely, *troubles(world), *oddities(world, user_code)]
    async with pair.running():
        yield Scene(PairObserver(world, pair), acts, calmer(world, user_code.mend, pair.mend), epochs=2)


SETTINGS: Final[dict[str, Setting]] = {
    "opening": opening,
    "declaring": declaring,
    "in namespaces": partial(declaring, places=NAMESPACES),
    "replicas": electing,
}


def live(seed: int, setting: str = "opening") -> None:
    """Live through one. Raise Broken, with the story that led there."""
    random.seed(seed)
    world = World.start(seed, wide=setting == "opening")
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
    options: Any = {"compress": world.compress, "cluster_wide": world.cluster_wide}
    async with client, ScopedCache(client, chance=world.random.random, **options) as cache:
        async with setting(world, cache, story) as scene:
            for epoch in range(scene.epochs):
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
        informers = [one for one in snapshot.informers if one.kind not in RBAC_KINDS]  # those last as long as the cache
        watches = snapshot.open_watches if len(informers) == len(snapshot.informers) else 0
        left: Any = (snapshot.scopes, informers, snapshot.routes, watches)
        if left != ([], [], 0, 0):
            raise Broken(f"left behind by closed scopes: {left}")
    await virtual_time.idle()
    if tasks := asyncio.all_tasks() - before:
        raise Broken(f"tasks left behind: {tasks}")


def failing(world: World) -> UserCode:
    """Return the user code of a life: in some of them it fails now and then."""
    return UserCode(world.random, world.sort.random() < 0.4)


def calmer(world: World, *more: Callable[[], object]) -> Act:
    """Return what ends all trouble."""

    def calm() -> str:
        for one in more:
            one()
        return world.calm()

    return calm


def oddities(world: World, user_code: UserCode) -> list[Act]:
    """Return what happens in some lives only."""
    acts: list[Act] = [] if world.hints is None else [world.toggle_hints]
    return [*acts, user_code.worsen, user_code.worsen] if user_code.fails else acts


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
    world.acts += 1
    story.append(f"{when:9.2f}  {act.__name__:11} {act()}")
