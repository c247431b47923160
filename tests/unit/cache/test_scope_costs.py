"""What a scope costs, in counts: opening one on an informer that is synced, and losing a right for thousands."""

from scopedcache import ObjectKey, OwnerId
from tests.unit.cache.world import world
from tests.unit.calls import calls_of
from tests.unit.cluster import MEMCACHED, POD


def an_owner(number):
    return OwnerId(MEMCACHED.gvk, ObjectKey("a", f"m-{number}"), f"uid-{number}")


def opened_at_once(cache, number):
    """Return how many calls an opening takes that waits for nothing."""

    def open_it():
        opening = cache.open(an_owner(number), POD)
        try:
            opening.send(None)
        except StopIteration:
            return
        opening.close()
        raise AssertionError("it waits")

    return calls_of(open_it)[0]


async def test_opening_a_scope_on_a_synced_informer_takes_a_hundred_and_eighty_calls_however_many_there_are():
    async with world() as w:
        w.server.grant("a", POD)
        await w.cache.open(an_owner(0), POD)
        for number in range(1, 10):
            await w.cache.open(an_owner(number), POD)

        tenth = opened_at_once(w.cache, 10)
        for number in range(11, 500):
            await w.cache.open(an_owner(number), POD)
        later = opened_at_once(w.cache, 500)

        assert tenth.total() <= 180, tenth
        assert later.total() <= tenth.total()
