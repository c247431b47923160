"""Looks on, and finds every promise that is broken: while things happen, and when they have come to rest."""

from __future__ import annotations

from typing import Final

import attrs

from scopedcache import ForbiddenError, Need
from scopedcache.access.detection_bound import PERIOD_SECONDS
from scopedcache.errors import CacheError
from scopedcache.testing import virtual_time

from .cluster import World
from .operator import Broken, Operator, SimulatedOwner

# Seconds beside the bound: opening a scope takes requests, and those take time.
SLACK_SECONDS: Final = 3.0
QUIET_SECONDS: Final = 60.0
# A watch that has just ended in good order is opened again within a second, and its request takes time.
RENEWED_SECONDS: Final = 3.0
# One that a fault lets drip does so for as long as it lasts, a second for each line.
DRIPPED_SECONDS: Final = 20.0
# What heals does so within the longest pause of any back-off, and a silent watch within its time-out.
HEALED_SECONDS: Final = 240.0


@attrs.frozen
class Observer:
    """Compares what an operator reads with what is true in its world."""

    world: World
    operator: Operator

    # -- while things happen -------------------------------------------------------------------------------------

    def look(self) -> None:
        """Read everything once. Raise Broken where a promise is."""
        self.world.refresh()
        if self.operator.broken:
            raise Broken(self.operator.broken[0])
        for one in self.operator.owners.values():
            for need in one.needs:
                kind = str(need.kind)
                try:
                    self._read(one, need, kind)
                except ForbiddenError as error:
                    self._refused(one, need, kind, error)
                    one.readable.pop(kind, None)
                except CacheError:
                    one.readable.pop(kind, None)
                else:
                    one.readable.setdefault(kind, self.world.now())
                    self._served(one, need, kind)

    def _read(self, one: SimulatedOwner, need: Need, kind: str) -> None:
        if one.scope is None:
            raise CacheError("not open")
        for found in one.scope.list(kind):
            if found.namespace != one.namespace or not need.selector.matches(found.labels):
                raise Broken(f"{kind} {found.key} is shown to {one}")
            before = one.seen.get((kind, found.name))
            now = found.uid, int(found.resource_version)
            may_go_back = self.world.now() < self.world.restored
            if before is not None and before[0] == now[0] and now[1] < before[1] and not may_go_back:
                raise Broken(f"{kind} {found.key} went back from version {before[1]} to {now[1]}")
            one.seen[kind, found.name] = now

    def _served(self, one: SimulatedOwner, need: Need, kind: str) -> None:
        """Nothing is served that may not be seen any more, after the bound (G1, G2)."""
        lost = [other for other in self._needed(one, need) if not self.world.sees(other, one.namespace)]
        since = max([self.world.trouble, *(self._changed(one, other) for other in lost)])
        if lost and self.world.now() - since > self.operator.cache.bound + SLACK_SECONDS:
            raise Broken(
                f"{kind} are served to {one} {self.world.now() - since:.1f} s after {lost[0]} was lost; "
                f"the bound is {self.operator.cache.bound:.1f} s"
            )

    def _refused(self, one: SimulatedOwner, need: Need, kind: str, error: ForbiddenError) -> None:
        """Nothing is torn down while every right is there (G3)."""
        needed = self._needed(one, need)
        if kind not in one.readable or not all(self.world.sees(other, one.namespace) for other in needed):
            return
        since = max(self._changed(one, other) for other in needed)
        if one.readable[kind] > since and self.world.now() > since + self.operator.cache.bound + SLACK_SECONDS:
            raise Broken(f"reads of {kind} by {one} are refused without a reason: {error}")

    def _needed(self, one: SimulatedOwner, need: Need) -> set[str]:
        """Return the kinds that must be seen for this one to be shown."""
        return {str(need.kind), *(str(other.kind) for other in one.needs if not other.optional)}

    def _changed(self, one: SimulatedOwner, kind: str) -> float:
        return self.world.changed.get((one.namespace, kind), 0.0)

    # -- at rest -------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Compare everything with the server, some time after all trouble has ended. Raise Broken."""
        watched = set()
        waiting = {state.uid for state in self.operator.cache.snapshot().waiting}
        for one in self.operator.owners.values():
            for need in one.needs:
                kind = str(need.kind)
                if self._able(one, need):
                    watched.add(("" if kind in self.world.cluster_wide else one.namespace, kind))
                    self._equal(one, need, kind)
                else:
                    self._denied(one, kind)
            if not self._opens(one) and one.owner.uid not in waiting:
                raise Broken(f"{one} is refused and does not wait")
        looks = [self._watched()]
        for _ in range(int(RENEWED_SECONDS / 0.5)):
            await virtual_time.after(0.5)
            looks.append(self._watched())
        if sorted(watched) not in looks:
            raise Broken(f"the open watches are {looks[-1]}, needed are {sorted(watched)}")

    def _able(self, one: SimulatedOwner, need: Need) -> bool:
        return all(self.world.sees(kind, one.namespace) for kind in self._needed(one, need))

    def _opens(self, one: SimulatedOwner) -> bool:
        return all(self.world.sees(str(need.kind), one.namespace) for need in one.needs if not need.optional)

    def _watched(self) -> list[tuple[str, str]]:
        found = self.world.cluster.audit.open_watches(user=self.world.operator.username)
        wide = self.world.cluster_wide
        return sorted((one.namespace or "", one.resource) for one in found if one.namespace or one.resource in wide)

    def _equal(self, one: SimulatedOwner, need: Need, kind: str) -> None:
        there = self.world.held(kind, one.namespace, str(need.selector))
        try:
            if one.scope is None:
                raise CacheError("it never opened")
            held = {found.name: found.resource_version for found in one.scope.list(kind)}
            owned = {found.name for found in one.scope.owned(kind)}
        except (ForbiddenError, CacheError) as error:
            raise Broken(f"{one} may see {kind} and does not: {error!r}") from error
        if held != there:
            raise Broken(f"{kind} of {one}: the cache holds {held}, the server {there}")
        if not need.selector and owned != self.world.owned(kind, one.namespace, one.owner.uid):
            raise Broken(f"{kind} owned by {one}: {owned}")

    def _denied(self, one: SimulatedOwner, kind: str) -> None:
        try:
            if one.scope is not None:
                one.scope.list(kind)
                raise Broken(f"{one} is served {kind}, which it may not see")
        except (ForbiddenError, CacheError):
            pass

    async def quiet(self) -> None:
        """Let everybody be told of what is owned, then count what is asked in a minute. Raise Broken."""
        world, held = self.world, self.operator.owners.values()
        able = [one for one in held if self._opens(one)]
        before = {one.owner.uid: one.told for one in able}
        for one in able:
            world.child(str(one.needs[0].kind), one.namespace, one.owner)
        await virtual_time.after(DRIPPED_SECONDS)
        for one in able:
            if one.told == before[one.owner.uid]:
                raise Broken(f"nobody told {one} of its new {one.needs[0].kind}")
        if self.operator.cache.snapshot().attempting:
            return  # it learns by asking
        mark = world.cluster.audit.mark()
        await virtual_time.after(QUIET_SECONDS)
        asked = [r for r in world.cluster.audit.requests(mark, user=world.operator.username) if r.verb != "watch"]
        reviews = [r for r in asked if r.resource.startswith("selfsubject")]
        if others := [f"{r.verb} {r.uri}" for r in asked if r not in reviews]:
            raise Broken(f"at rest it asks: {others[:5]}")
        places = len({one.namespace for one in held}) + 1
        if len(reviews) > places * (QUIET_SECONDS / PERIOD_SECONDS + 2):
            raise Broken(f"at rest there are {len(reviews)} reviews in a minute, for {places} places")
