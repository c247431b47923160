"""An operator that declares its kind, in the whole cluster or in single namespaces, and who looks at what it saw.

A controller of ServiceAccounts owns ConfigMaps, or custom resources, and reads them everywhere, or namespace by
namespace. It notes what its last reconcile of a key saw: when all has come to rest, that is the truth.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import attrs

from scopedcache import Controller, ForbiddenError, Object, ObjectKey, Request, ScopedCache
from scopedcache.access.detection_bound import PERIOD_SECONDS
from scopedcache.errors import CacheError
from scopedcache.testing import Grant, virtual_time

from .cluster import NAMESPACES, World
from .observer import DRIPPED_SECONDS, QUIET_SECONDS, SLACK_SECONDS
from .operator import Broken
from .user_code import UserCode

OWNER: Final = "serviceaccounts"
EVERYWHERE: Final = ""
# Reconciles of one key at rest in a minute: the net under a lost notification runs a refused key every ten minutes.
AT_REST: Final = 1
# What a reconcile saw: the names of what is owned; None: it was refused.
Sight = frozenset[str] | None


@attrs.define(eq=False)
class DeclaringOperator:
    """A controller.

    Attributes:
        places: where it works and reads: namespaces, or `EVERYWHERE` alone.
        owned: the kind that it owns.
        own: gives the right to see the owners.
        sights: by key, what the last reconcile saw.
        runs: by key, how many there were.
        readable: by place, since when reads succeed without a break.
    """

    world: World
    cache: ScopedCache
    places: tuple[str, ...]
    user_code: UserCode
    owned: str
    own: Grant = attrs.field(init=False)
    controller: Controller = attrs.field(init=False)
    sights: dict[ObjectKey, Sight] = attrs.field(factory=dict)
    runs: Counter[ObjectKey] = attrs.field(factory=Counter)
    readable: dict[str, float] = attrs.field(factory=dict)
    owners: list[Object] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.own = self.world.cluster.grant(self.world.operator, ["get", "list", "watch"], [OWNER])
        self.controller = Controller(
            for_=OWNER,
            reconcile=self.reconcile,
            namespaces=None if self.places == (EVERYWHERE,) else self.places,
            owns=[self.owned],
            on_forbidden=lambda owner, error: None,
            predicates=[self.user_code.predicate],
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the controller."""
        task = asyncio.create_task(self.controller.run(self.cache))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def reconcile(self, request: Request) -> None:
        self.runs[request.key] += 1
        owner = self.cache.cluster.get(OWNER, request.key)
        if owner is None:
            self.sights.pop(request.key, None)
            return
        self.user_code.perhaps_fail()
        try:
            found = self.read(self.place_of(request.key))
        except ForbiddenError:
            self.sights[request.key] = None
            raise
        self.sights[request.key] = frozenset(one.name for one in found if is_owned(one, owner))

    def read(self, place: str) -> Sequence[Object]:
        """Read what is owned in one of its places."""
        cluster = self.cache.cluster
        return (cluster.in_namespace(place) if place else cluster).list(self.owned)

    def place_of(self, key: ObjectKey) -> str:
        """Return the place in which it reads for a key."""
        return EVERYWHERE if self.places == (EVERYWHERE,) else key.namespace

    # -- what happens to it --------------------------------------------------------------------------------------

    def take(self) -> str:
        """Begin with a new owner."""
        random = self.world.random
        owner = self.world.owner(random.choice([name for name in NAMESPACES if name not in self.world.leaving]))
        self.owners.append(owner)
        return str(owner.key)

    def give_up(self) -> str:
        """Delete an owner; what it owns is collected."""
        there = [one for one in self.owners if self.world.cluster.get(OWNER, one.name, one.namespace) is not None]
        if not there:
            return "nobody"
        owner = self.world.random.choice(there)
        self.owners.remove(owner)
        self.world.cluster.delete(OWNER, owner.name, owner.namespace)
        return str(owner.key)

    def blind(self) -> str:
        """Take the right to the owners themselves, or give it."""
        on = self.world.random.random() < 0.6
        self.own.restore() if on else self.own.revoke()
        return "sees" if on else "sees no owner"


@attrs.frozen
class DeclaringObserver:
    """Compares what the controller reads, and saw last, with what is true in the world."""

    world: World
    operator: DeclaringOperator

    def look(self) -> None:
        """Read everything once. Raise Broken where a promise is."""
        self.world.refresh()
        readable = self.operator.readable
        for place in self.operator.places:
            try:
                self.operator.read(place)
            except ForbiddenError as error:
                self._refused(place, error)
                readable.pop(place, None)
            except CacheError:
                readable.pop(place, None)
            else:
                readable.setdefault(place, self.world.now())
                self._served(place)

    def _served(self, place: str) -> None:
        """Nothing is served that may not be seen any more, after the bound (G1, G2)."""
        since = max(self.world.trouble, self._changed(place))
        late = self.world.now() - since
        if not self._sees(place) and late > self.operator.cache.bound + SLACK_SECONDS:
            raise Broken(f"{self.operator.owned} {where(place)} are served {late:.1f} s after they were lost")

    def _refused(self, place: str, error: ForbiddenError) -> None:
        """Nothing is torn down while every right is there (G3)."""
        readable, since = self.operator.readable.get(place), self._changed(place)
        if readable is None or readable <= since or not self._sees(place):
            return
        if self.world.now() > since + self.operator.cache.bound + SLACK_SECONDS:
            raise Broken(f"reads of {self.operator.owned} {where(place)} are refused without a reason: {error}")

    # -- at rest -------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Compare what every key saw last with the truth, and what is said of informers. Raise Broken."""
        there = {key_of(one): one["metadata"]["uid"] for one in self.world.cluster.list(OWNER)}
        mine = {key for key in there if self.operator.place_of(key) in self.operator.places}
        noted = set(self.operator.sights)
        if noted != mine:
            raise Broken(f"{sorted(noted - mine)} are gone and seen, {sorted(mine - noted)} were never reconciled")
        for key in mine:
            truth = self._truth(key, there[key])
            if self.operator.sights[key] != truth:
                seen = words(self.operator.sights[key])
                raise Broken(f"the last reconcile of {key} saw {seen}, there is {words(truth)}")
        self._check_state()

    def _truth(self, key: ObjectKey, uid: str) -> Sight:
        if not self._sees(self.operator.place_of(key)):
            return None
        return frozenset(self.world.owned(self.operator.owned, key.namespace, uid))

    def _check_state(self) -> None:
        controller = self.operator.controller
        for one in controller.state()["informers"]:
            sees = one["kind"] == OWNER or self._sees(one["namespace"] or EVERYWHERE)
            if (one["synced"], one["denied"] is None) != (sees, sees):
                raise Broken(f"it says of an informer {one}, and sees it: {sees}")
        blind = [place for place in self.operator.places if not self._sees(place)]
        if not controller.ready or len(controller.reasons) != len(blind):
            raise Broken(f"ready: {controller.ready}, because of {controller.reasons}; it is blind in {blind}")

    async def quiet(self) -> None:
        """Let every owner own something new; then count what is done in a minute. Raise Broken."""
        world = self.world
        for one in world.cluster.list(OWNER):
            key = key_of(one)
            if key.namespace in NAMESPACES:
                owner = Object.from_dict({**one, "apiVersion": "v1", "kind": "ServiceAccount"})
                world.child(self.operator.owned, key.namespace, owner)
        await virtual_time.after(DRIPPED_SECONDS)
        await self.settle()
        if self.operator.cache.snapshot().attempting:
            return  # it learns by asking
        before, mark = self.operator.runs.copy(), world.cluster.audit.mark()
        await virtual_time.after(QUIET_SECONDS)
        if hot := {str(key): runs for key, runs in (self.operator.runs - before).items() if runs > AT_REST}:
            raise Broken(f"at rest it reconciles {hot}")
        asked = [r for r in world.cluster.audit.requests(mark, user=world.operator.username) if r.verb != "watch"]
        reviews = [r for r in asked if r.resource.startswith("selfsubject")]
        if others := [f"{r.verb} {r.uri}" for r in asked if r not in reviews]:
            raise Broken(f"at rest it asks: {others[:5]}")
        places = len(self.operator.places) + 1
        if len(reviews) > places * (QUIET_SECONDS / PERIOD_SECONDS + 2):
            raise Broken(f"at rest there are {len(reviews)} reviews in a minute, for {places} places")

    def _sees(self, place: str) -> bool:
        return self.world.sees(self.operator.owned, place)

    def _changed(self, place: str) -> float:
        return self.world.changed.get((place, self.operator.owned), 0.0)


def key_of(body: dict[str, dict[str, str]]) -> ObjectKey:
    return ObjectKey(body["metadata"]["namespace"], body["metadata"]["name"])


def is_owned(one: Object, owner: Object) -> bool:
    return one.namespace == owner.namespace and any(ref.uid == owner.uid for ref in one.owner_references)


def where(place: str) -> str:
    return f"in {place}" if place else "in the whole cluster"


def words(sight: Sight) -> str:
    return "a refusal" if sight is None else f"{sorted(sight)}"
