"""What opening caches asks of a server, exactly: by kinds and namespaces in use, never by custom resources.

The formulas that this is held against (N namespaces, P of them permitted, R kinds): caches of one design ask
NR + PR lists and 2NR + 2PR watches; those of another, for each custom resource, 2 lists and 2 watches and 2 reviews for
each kind and known namespace, and 2 more at each read.
"""

from __future__ import annotations

from collections import Counter

import pytest

from scopedcache import ForbiddenError
from tests.unit.cache.world import World, world
from tests.unit.cluster import CONFIG_MAP, DEPLOYMENT, POD

KINDS = (POD, DEPLOYMENT, CONFIG_MAP)


def places(count: int) -> list[str]:
    return [f"tenant-{number}" for number in range(count)]


async def opened(w: World, namespaces: int, permitted: int, owners: int) -> Counter[str]:
    """Open a cache for so many owners in each namespace; return what was asked for it, by verb."""
    for number, place in enumerate(places(namespaces)):
        if number < permitted:
            w.server.grant(place, *KINDS)
    made = [(place, w.owner(f"m-{number}", place)) for number in range(owners) for place in places(namespaces)]
    for place, owner in made:
        if place in places(permitted):
            await w.cache.open(owner, *KINDS)
        else:
            with pytest.raises(ForbiddenError):
                await w.cache.open(owner, *KINDS)
    return Counter(w.server.sent())


@pytest.mark.parametrize("owners", [1, 5])
@pytest.mark.parametrize(("namespaces", "permitted"), [(1, 1), (10, 3), (100, 100), (100, 10)])
async def test_caches_ask_for_kinds_times_permitted_namespaces_however_many_owners(
    namespaces: int, permitted: int, owners: int
) -> None:
    async with world() as w:
        asked = await opened(w, namespaces, permitted, owners)

        assert asked == {"review": namespaces, "watch": permitted * len(KINDS)}


@pytest.mark.parametrize("owners", [1, 5])
async def test_as_many_watches_are_open_as_were_asked_for(owners: int) -> None:
    async with world() as w:
        await opened(w, 10, 3, owners)

        assert w.server.open(*KINDS) == 3 * len(KINDS)


async def test_reading_asks_for_nothing() -> None:
    async with world() as w:
        w.server.grant("a", *KINDS)
        w.server.put(POD, "one", "a")
        scope = await w.cache.open(w.owner(), *KINDS)
        asked = w.server.sent()

        for kind in KINDS:
            assert len(scope.list(kind)) == (kind is POD)
            assert (scope.get(kind, "one") is not None) == (kind is POD)

        assert w.server.sent() == asked
