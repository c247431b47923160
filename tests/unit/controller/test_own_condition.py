"""A reconciler that writes its own condition `Permitted` is not corrected, in whatever company."""

from __future__ import annotations

import asyncio

import pytest

from scopedcache import Need
from scopedcache.kit import find_condition, in_each, patch_status
from scopedcache.testing import eventually, never
from tests.unit.cluster import ALL_VERBS, CONFIG_MAP, DEPLOYMENT, MEMCACHED, OPERATOR, POD
from tests.unit.controller.reconciling import running

PLACES = ("x", "y")


class Telling:
    """Opens a kind in many namespaces, and one beside itself, and says itself where what is missing."""

    def __init__(self, w, *, beside):
        self.w, self.beside, self.runs = w, beside, 0

    async def reconcile(self, request):
        self.runs += 1
        owner = self.w.cache.cluster.get(MEMCACHED, request.key)
        if owner is None:
            return

        async def count(scope):
            return len(scope.list(DEPLOYMENT))

        places = await in_each(self.w.cache, owner, [Need(DEPLOYMENT, verbs=("create",))], PLACES, count)
        await patch_status(self.w.client, owner, {"conditions": places.condition(owner)})
        if self.beside:
            await self.w.cache.open(owner, POD)  # raises where that is denied


def writes(w):
    return [one for one in w.server.embedded.audit.requests(user=OPERATOR) if one.subresource == "status"]


def said(w):
    found = find_condition(w.conditions(), "Permitted")
    return None if found is None else (found["status"], found["message"])


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "and open"])
@pytest.mark.parametrize("owned", [(), (CONFIG_MAP,)], ids=["", "owns"])
@pytest.mark.parametrize("everywhere", [True, False], ids=["cluster-wide", "per namespace"])
async def test_it_says_what_is_missing_once_and_nobody_contradicts(w, beside, owned, everywhere):
    for kind in (MEMCACHED, CONFIG_MAP, POD):
        if not everywhere:
            w.rights[kind].revoke()
            w.server.grant("a", kind, verbs=ALL_VERBS)
    if not everywhere:
        w.server.embedded.grant(w.server.operator, ["patch"], [f"{MEMCACHED}/status"], namespace="a")
    w.server.grant("x", DEPLOYMENT, verbs=ALL_VERBS)
    w.server.embedded.create_namespace("y")
    w.memcached()
    reconciler = Telling(w, beside=beside)
    options = {} if everywhere else {"namespaces": ["a"]}
    async with running(w, reconciler, owns=owned, **options):
        await eventually(lambda: said(w), within=20)
        await asyncio.sleep(30)
        runs, written, first = reconciler.runs, len(writes(w)), said(w)
        await never(lambda: len(writes(w)) > written or reconciler.runs > runs, within=120)
        granted = w.server.grant("y", DEPLOYMENT, verbs=ALL_VERBS)
        await eventually(lambda: said(w) == ("True", ""), within=20)
        granted.revoke()
        await eventually(lambda: said(w) == first, within=20)
        w.server.starts(3.0, readyz=1.0)
        await asyncio.sleep(60)
        again = said(w)
        runs, written = reconciler.runs, len(writes(w))
        await never(lambda: len(writes(w)) > written or reconciler.runs > runs, within=120)

    assert (first, again) == ((("False", first[1])), first)
    assert first[1].startswith("y: may not list deployments.apps")
    assert 3 <= written < 12


async def test_a_denial_of_its_own_is_told_in_an_Event_beside_its_own_words(w):
    w.server.grant("x", DEPLOYMENT, verbs=ALL_VERBS)
    w.server.embedded.create_namespace("y")
    w.rights[POD].revoke()
    w.memcached()
    reconciler = Telling(w, beside=True)
    async with running(w, reconciler):
        await asyncio.sleep(60)
        runs, written = reconciler.runs, len(writes(w))
        await never(lambda: len(writes(w)) > written or reconciler.runs > runs, within=120)

    events = w.server.embedded.list("events.events.k8s.io", "a")
    assert said(w)[1].startswith("y: may not list deployments.apps")
    assert ["may not list pods" in event["note"] for event in events] == [True]
