"""A right that thousands of owners lose: nobody reads what was lost from that step on, and they are told in slices."""

import asyncio

import pytest

from scopedcache import EventHandler, ForbiddenError, Need, ObjectKey, OwnerId
from scopedcache.cache.late_verdicts import SCOPES_IN_A_TURN
from tests.unit.cache.world import world
from tests.unit.cluster import DEPLOYMENT, MEMCACHED, POD

MANY = 300


def an_owner(number):
    return OwnerId(MEMCACHED.gvk, ObjectKey("a", f"m-{number}"), f"uid-{number}")


async def opened(w, *needs):
    """Open scopes for many owners; return their handles, and the right to see what one of them reads."""
    right = w.server.grant("a", POD)
    w.server.grant("a", DEPLOYMENT)
    w.server.put(POD, "p", "a")
    return await asyncio.gather(*(w.cache.open(an_owner(number), *needs or (POD,)) for number in range(MANY))), right


class Witness:
    """Notes in which turn of the loop each owner is told of what, and looks at all handles when the first one is."""

    def __init__(self, w, handles):
        self.told = []
        self.begun = asyncio.Event()  # somebody was told
        self.served = None
        self._handles = handles
        w.cache.subscribe(self._hear)

    def _hear(self, change):
        if self.served is None:
            self.served = sum(is_served(handle) for handle in self._handles)
        self.told.append((change.uid, change.cause))
        self.begun.set()

    async def most_in_a_turn(self, enough):
        """Return how many were told in one turn, at most, until so many were."""
        before = most = len(self.told)
        while len(self.told) < enough:
            await asyncio.sleep(0)
            most, before = max(most, len(self.told) - before), len(self.told)
        return most


def is_served(handle, kind=POD):
    try:
        return bool(handle.list(kind))
    except ForbiddenError:
        return False


async def test_so_many_are_told_in_a_turn_of_the_loop_and_nobody_reads_what_was_lost_when_the_first_one_is():
    async with world() as w:
        handles, right = await opened(w)
        witness = Witness(w, handles)

        w.server.revoke(right)
        await witness.begun.wait()
        most = await witness.most_in_a_turn(MANY)

        assert most == SCOPES_IN_A_TURN
        assert witness.served == 0
        assert sorted(witness.told) == sorted((f"uid-{number}", "denied") for number in range(MANY))


async def test_from_that_step_on_every_handle_and_every_opening_is_refused():
    async with world() as w:
        handles, right = await opened(w)
        witness = Witness(w, handles)
        w.server.revoke(right)
        await witness.begun.wait()

        last = an_owner(MANY - 1)
        assert (last.uid, "denied") not in witness.told
        for handle in handles:
            with pytest.raises(ForbiddenError):
                handle.get(POD, "p")
        with pytest.raises(ForbiddenError):
            await w.cache.open(last, POD)
        assert witness.told.count((last.uid, "denied")) == 1
        await w.until(lambda: len(witness.told) == MANY)


async def test_a_handler_hears_nothing_from_that_step_on():
    async with world() as w:
        heard = []
        handles, right = await opened(w)
        witness = Witness(w, handles)
        async with w.cache.informer(POD, namespace="a") as informer:
            informer.add_handler(
                EventHandler(on_add=lambda obj, _: heard.append(obj.name), on_delete=lambda *_: heard.append("?"))
            )
            await w.until(lambda: heard == ["p"])
            w.server.revoke(right)
            await witness.begun.wait()
            w.server.put(POD, "q", "a")
            await w.until(lambda: len(witness.told) == MANY)

            assert heard == ["p"]


async def test_what_is_given_back_before_they_are_all_told_is_there_for_all_of_them():
    async with world() as w:
        handles, right = await opened(w)
        witness = Witness(w, handles)
        w.server.revoke(right)
        await witness.begun.wait()
        assert len(witness.told) < MANY

        w.server.grant("a", POD)
        w.cache.recheck("a")
        await w.until(lambda: sum(cause == "granted" for _, cause in witness.told) == MANY)

        assert [is_served(handle) for handle in w.cache.namespaces["a"].values()] == [True] * MANY
        for number in range(MANY):
            assert [cause for uid, cause in witness.told if uid == f"uid-{number}"] == ["denied", "granted"]


async def test_who_closes_before_it_is_told_leaves_nothing_and_hears_nothing():
    async with world() as w:
        handles, right = await opened(w)
        witness = Witness(w, handles)
        w.server.revoke(right)
        await witness.begun.wait()
        told = len(witness.told)

        for number in range(MANY):
            w.cache.close(an_owner(number))
        await w.cache.wait_closed()

        assert len(witness.told) == told
        w.nothing_is_left()


async def test_what_a_wider_informer_serves_as_well_is_closed_in_the_same_step():
    async with world() as w:
        handles, right = await opened(w)
        named = [await w.cache.open(an_owner(MANY + number), Need(POD, name="p")) for number in range(3)]
        assert all(is_served(handle) for handle in named)
        witness = Witness(w, [*handles, *named])

        w.server.revoke(right)
        await w.until(lambda: len(witness.told) == MANY + 3)

        assert witness.served == 0


async def test_a_kind_that_is_not_lost_is_read_until_its_owner_is_told():
    async with world() as w:
        handles, right = await opened(w, POD, DEPLOYMENT)
        w.server.put(DEPLOYMENT, "d", "a")
        await w.until(lambda: all(is_served(handle, DEPLOYMENT) for handle in handles))
        witness = Witness(w, handles)

        w.server.revoke(right)
        await w.until(lambda: len(witness.told) == MANY)

        assert witness.served == 0
        assert not any(is_served(handle, DEPLOYMENT) for handle in handles)


async def test_what_many_gain_opens_in_slices_too():
    async with world() as w:
        handles, right = await opened(w)
        witness = Witness(w, handles)
        w.server.revoke(right)
        await w.until(lambda: len(witness.told) == MANY)
        witness.told.clear()
        witness.begun.clear()

        w.server.grant("a", POD)
        await witness.begun.wait()
        most = await witness.most_in_a_turn(MANY)

        assert most <= SCOPES_IN_A_TURN
        assert len(w.cache.namespaces["a"]) == MANY
