"""Any history of grants, revocations, opens, closes, deletions, events and outages keeps the contract's promises."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from scopedcache import ForbiddenError, Need, Object, ResourceCache, ScopedCacheError
from scopedcache.informer.reflector import RECONNECT_SPREAD_SECONDS
from scopedcache.kinds import Resource
from tests.unit.cache.api_server import DEPLOYMENT, MEMCACHED, POD, RBAC, ApiServer, Grant
from tests.unit.cache.world import World, world
from tests.unit.clock import VirtualTimeLoop, after, idle, now

NAMESPACES = ("a", "b")
KINDS = (POD, DEPLOYMENT)
OURS = (MEMCACHED, *RBAC)
NAMES = ("one", "two", "three")
# An outage lengthens the hold-off by two seconds, for half a minute, and takes its own time.
OUTAGE = 5.0

places = st.sampled_from(NAMESPACES)
kinds = st.sampled_from(KINDS)
names = st.sampled_from(NAMES)
operations = st.one_of(
    st.tuples(st.just("grant"), places, kinds),
    st.tuples(st.just("revoke"), places, kinds),
    st.tuples(st.just("open"), places, names, st.sampled_from(["both", "pods", "optional", "verbs"])),
    st.tuples(st.just("close"), places, names),
    st.tuples(st.just("delete"), places, names),
    st.tuples(st.just("put"), places, kinds, names),
    st.tuples(st.just("remove"), places, kinds, names),
    st.tuples(st.just("release"), places, names),
    st.tuples(st.just("cut")),
    st.tuples(st.just("outage")),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.05, 0.4, 1.1, 3.0, 9.0, 31.0])),
)
NEEDS: dict[str, tuple[Any, ...]] = {
    "both": KINDS,
    "pods": (POD,),
    "optional": (POD, Need(DEPLOYMENT, optional=True)),
    "verbs": (Need(POD, verbs=("delete",)), DEPLOYMENT),
}


@attrs.define
class History:
    """The world, what was done to it, and what must be true of it."""

    w: World
    held: dict[tuple[str, Resource], Grant] = attrs.field(factory=dict)
    lost: dict[tuple[str, Resource], float] = attrs.field(factory=dict)
    owners: dict[tuple[str, str], Object] = attrs.field(factory=dict)
    handles: list[ResourceCache] = attrs.field(factory=list)
    opening: list[asyncio.Task[None]] = attrs.field(factory=list)
    outage: float = float("-inf")

    def do(self, what: str, *how: Any) -> Callable[[], Any] | None:
        getattr(self, what)(*how)
        return None

    def grant(self, place: str, kind: Resource) -> None:
        if (place, kind) not in self.held:
            self.held[(place, kind)] = self.w.server.grant(place, kind)
            self.lost.pop((place, kind), None)

    def revoke(self, place: str, kind: Resource) -> None:
        if (place, kind) in self.held:
            self.w.server.revoke(self.held.pop((place, kind)))
            self.lost[(place, kind)] = now()

    def open(self, place: str, name: str, needs: str) -> None:
        owner = self.owners.get((place, name))
        if owner is None:
            owner = self.owners[(place, name)] = self.w.owner(name, place)
        self.opening.append(asyncio.get_running_loop().create_task(self._open(owner, NEEDS[needs])))

    async def _open(self, owner: Object, needs: tuple[Any, ...]) -> None:
        try:
            self.handles.append(await self.w.cache.open(owner, *needs))
        except ScopedCacheError as error:
            note(f"{now():.2f} {owner.key}: {error}")

    def close(self, place: str, name: str) -> None:
        if (place, name) in self.owners:
            self.w.cache.close(self.owners[(place, name)])

    def delete(self, place: str, name: str) -> None:
        if self.owners.pop((place, name), None) is not None:
            self.w.server.remove(MEMCACHED, name, place)

    def put(self, place: str, kind: Resource, name: str) -> None:
        self.w.server.put(kind, name, place, owner=self.owners.get((place, name)))

    def remove(self, place: str, kind: Resource, name: str) -> None:
        if (place, name) in self.w.server.objects.get(kind, {}):
            self.w.server.remove(kind, name, place)

    def release(self, place: str, name: str) -> None:
        owner = self.owners.get((place, name))
        scope = self.w.cache.namespaces.get(place, {}).get(owner.uid) if owner is not None else None
        if scope is not None:
            scope.release(DEPLOYMENT)

    def cut(self) -> None:
        self.w.server.cut()

    # -- what must be true ---------------------------------------------------------------------------------------

    def nothing_is_shown_that_was_lost_too_long_ago(self) -> None:
        limit = self.w.cache.bound + (OUTAGE if now() - self.outage < 45 else 0)
        for handle in self.handles:
            for kind in KINDS:
                since = self.lost.get((str(handle.namespace), kind))
                if since is not None and now() - since > limit:
                    assert not _readable(handle, kind), f"{handle} shows {kind} {now() - since:.1f} s after"

    def everybody_has_what_is_granted(self) -> None:
        """At rest, every scope is open or waits for a right that is really missing, and shows what is there."""
        shot = self.w.cache.snapshot()
        in_use = set()
        for binding in self.w.cache._table:
            scope = binding.scope
            if scope.owner is None:
                continue
            place = str(scope.namespace)
            required = [need.resource for need in scope.needs if not need.need.optional]
            missing = [kind for kind in required if (place, kind) not in self.held]
            assert scope.state == ("waiting" if missing else "open"), f"{scope} lacks {missing}"
            for kind in [need.resource for need in scope.needs]:
                if not missing and (place, kind) in self.held:
                    in_use.add((place, kind))
                    there = {key[1] for key in self.w.server.objects.get(kind, {}) if key[0] == place}
                    assert {found.name for found in binding.handle.list(kind)} == there
        assert self.w.server.open(*KINDS) == len(in_use) == shot.open_watches - self.w.server.open(*OURS)


def _readable(handle: ResourceCache, kind: Resource) -> bool:
    try:
        handle.list(kind)
    except ScopedCacheError:
        return False
    return True


async def live_through(mode: str, history: list[tuple[Any, ...]]) -> None:
    server = ApiServer()
    server.reviews = "refuse" if mode == "attempts" else "answer"
    server.incomplete = mode == "incomplete"
    server.streaming_lists = mode != "paged"
    async with world(server, rbac_watch=mode == "rbac") as w:
        w.server.grant(None, MEMCACHED, *(RBAC if mode == "rbac" else ()))
        async with w.cache.informer(MEMCACHED) as owners:
            await owners.wait_synced()
            past = History(w)
            for what, *how in history:
                if what == "wait":
                    await after(how[0])
                elif what == "outage":
                    past.outage = now()
                    w.server.down = True
                    w.server.cut()
                    await after(1)
                    w.server.down, w.server.restarting = False, True
                    await after(1)
                    w.server.restarting, past.outage = False, now()
                else:
                    past.do(what, *how)
                past.nothing_is_shown_that_was_lost_too_long_ago()
            await after(2 * w.cache.bound + OUTAGE + 45)
            if mode == "attempts" and not w.server.open(*KINDS):
                await after(RECONNECT_SPREAD_SECONDS)  # all have just ended, as they do there every few seconds
            past.nothing_is_shown_that_was_lost_too_long_ago()
            past.everybody_has_what_is_granted()
            assert all(task.done() for task in past.opening)
            for owner in list(past.owners.values()):
                w.cache.close(owner)
            await idle()
            assert not [scope for scope in w.cache.snapshot().scopes if scope.owner]
            assert not w.cache._pool._purged_keys
            assert not w.cache._pool.chain._owned
        await idle()
        if mode != "rbac":  # what the cache watches for itself stays as long as it
            w.nothing_is_left()
            assert len(w.cache._table._needs) == 0


@pytest.mark.parametrize("mode", ["reviews", "paged", "incomplete", "rbac", "attempts"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=st.lists(operations, max_size=40))
def test_any_history_keeps_the_promises(mode: str, history: list[tuple[Any, ...]]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(live_through(mode, history))


async def test_a_history_in_which_rights_change_in_the_turn_of_the_sync_heals() -> None:
    """Found by hand: a denial, and the grant that ends it, while the opening that it failed has not been told yet."""
    async with world() as w:
        owner = w.owner()
        held = w.server.grant("a", POD)
        w.server.silent.add("a")
        opening = asyncio.ensure_future(w.cache.open(owner, POD))
        await after(1)
        (watch, listing) = (w.cache.monitor.verdicts[permission] for permission in _permissions())
        for signal, at in (("no", now()), ("no", now() + 2)):
            w.cache.monitor.take(watch.permission, signal, at)  # type: ignore[arg-type]
        w.server.silent.clear()
        w.cache.monitor.take(watch.permission, "yes", now() + 2)
        with contextlib.suppress(ForbiddenError):
            await opening
        await after(1)

        assert listing.state == "allowed"
        assert w.state(owner) == "open"
        w.server.revoke(held)


def _permissions() -> tuple[Any, Any]:
    from scopedcache.cache.informer_plan import InformerKey

    listing, watching = InformerKey(POD, "a").permissions
    return watching, listing
