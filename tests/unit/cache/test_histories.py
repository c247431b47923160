"""Any history of grants, revocations, opens, closes, deletions, events and outages keeps the contract's promises."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, example, given, note, settings
from hypothesis import strategies as st

from scopedcache import ForbiddenError, Need, NotWatchedError, Object, ResourceCache, ScopedCacheError
from scopedcache.api.permission import Permission
from scopedcache.kinds import Resource
from scopedcache.testing import Grant, eventually
from tests.unit.cache.world import World, world
from tests.unit.clock import VirtualTimeLoop, after, idle, now
from tests.unit.cluster import DEPLOYMENT, MEMCACHED, POD, RBAC, REVIEWS

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
    st.tuples(st.just("outage"), st.sampled_from(["refused", "answered"])),
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
    # Who ever asked for Deployments as a required kind, and the uids of all Pods and Deployments there ever were.
    required: set[str] = attrs.field(factory=set)
    children: set[str] = attrs.field(factory=set)
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
        if needs in ("both", "verbs"):
            self.required.add(owner.uid)
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
        self.children.add(self.w.server.put(kind, name, place, owner=self.owners.get((place, name))).uid)

    def remove(self, place: str, kind: Resource, name: str) -> None:
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

    async def everybody_has_what_is_granted(self) -> None:
        """At rest, every scope is open or waits for a right that is really missing, and shows what is there."""
        in_use = set()
        scopes = [scope for scope in self.w.cache.snapshot().scopes if scope.uid is not None]
        for scope in scopes:
            place, uid = str(scope.namespace), str(scope.uid)
            missing = [kind for kind in KINDS if (place, kind) not in self.held and kind.gvk.kind in scope.kinds]
            if scope.state == "waiting":
                assert POD in missing or (DEPLOYMENT in missing and uid in self.required), f"{scope} lacks nothing"
                continue
            assert (scope.state, missing) == ("open", []), f"{scope}"
            handle = self.w.cache.namespaces[place][uid]
            for kind in KINDS:
                try:
                    shown = {found.name for found in handle.list(kind)}
                except NotWatchedError:
                    assert kind is DEPLOYMENT, f"{scope} shows no Pods"
                except ForbiddenError:
                    assert (kind is DEPLOYMENT, (place, kind) in self.held) == (True, False), f"{scope} lacks nothing"
                else:
                    assert shown == self.w.server.names(kind, place)
                    in_use.add((place, kind))

        def as_many_watches() -> bool:
            everything = self.w.cache.snapshot().open_watches
            return self.w.server.open(*KINDS) == len(in_use) == everything - self.w.server.open(*OURS)

        # Where only attempts tell, each watch ends now and then to be authorised anew.
        await eventually(as_many_watches, within=5.0)

    def nothing_is_remembered(self) -> None:
        """Check that nothing in the cache leads to an owner that is still there, or to a child."""
        uids = self.children | {owner.uid for owner in self.owners.values()}
        assert not uids & self.w.kept()


def _readable(handle: ResourceCache, kind: Resource) -> bool:
    try:
        handle.list(kind)
    except ScopedCacheError:
        return False
    return True


async def live_through(mode: str, history: list[tuple[Any, ...]]) -> None:
    async with world(rbac_watch=mode == "rbac") as w:
        if mode == "attempts":
            w.server.trouble(*REVIEWS, code=403)
        w.proxy.hides_rules = mode == "incomplete"
        w.proxy.streaming_lists = mode != "paged"
        w.server.grant(None, MEMCACHED, *(RBAC if mode == "rbac" else ()))
        async with w.cache.informer(MEMCACHED) as owners:
            await owners.wait_synced()
            past = History(w)
            for what, *how in history:
                if what == "wait":
                    await after(how[0])
                elif what == "outage":
                    # A restart forgets history: an owner that came and went while nobody watched is never heard of.
                    await eventually(lambda: owners.live, within=120)
                    past.outage = now()
                    w.server.embedded.restart(down=1, unready=1, reviews=how[0])
                    await after(2)
                    past.outage = now()
                    await eventually(lambda: owners.live, within=120)
                else:
                    past.do(what, *how)
                past.nothing_is_shown_that_was_lost_too_long_ago()
            await after(2 * w.cache.bound + OUTAGE + 45)
            past.nothing_is_shown_that_was_lost_too_long_ago()
            await past.everybody_has_what_is_granted()
            assert all(task.done() for task in past.opening)
            for owner in list(past.owners.values()):
                w.cache.close(owner)
            await idle()
            assert not [scope for scope in w.cache.snapshot().scopes if scope.owner]
        await idle()
        if mode != "rbac":  # what the cache watches for itself stays as long as it
            w.nothing_is_left()
            past.nothing_is_remembered()


@pytest.mark.parametrize("mode", ["reviews", "paged", "incomplete", "rbac", "attempts"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=st.lists(operations, max_size=40))
@example(history=[("cut",), ("open", "a", "one", "both"), ("delete", "a", "one")])
def test_any_history_keeps_the_promises(mode: str, history: list[tuple[Any, ...]]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(live_through(mode, history))


async def test_a_history_in_which_rights_change_in_the_turn_of_the_sync_heals() -> None:
    """Found by hand: a denial, and the grant that ends it, while the opening that it failed has not been told yet."""
    async with world() as w:
        owner = w.owner()
        w.server.grant("a", POD)
        silence = w.server.silence(namespace="a")
        opening = asyncio.ensure_future(w.cache.open(owner, POD))
        await after(1)
        watching, listing = (Permission(verb, "", "pods", "a") for verb in ("watch", "list"))
        w.cache.monitor.take(watching, "no", now())
        w.cache.monitor.take(watching, "no", now() + 2)
        silence.over()
        w.cache.monitor.take(watching, "yes", now() + 2)
        with contextlib.suppress(ForbiddenError):
            await opening
        await after(1)

        assert [w.cache.monitor.verdicts[one].state for one in (watching, listing)] == ["allowed", "allowed"]
        assert w.state(owner) == "open"
