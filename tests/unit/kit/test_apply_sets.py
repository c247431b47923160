"""An owner's objects of several kinds at once."""

from __future__ import annotations

from typing import Any

import pytest

from scopedcache import InvalidError, Need, Object, ResourceCache
from scopedcache.kinds import GVK
from scopedcache.kit import apply_sets, new_object
from tests.unit.cluster import ALL_VERBS, CONFIG_MAP, Cluster, served
from tests.unit.kit.scopes import Scopes, scopes

QUOTA = served("", "resourcequotas", "ResourceQuota")
LIMITS = served("", "limitranges", "LimitRange")
KINDS = (CONFIG_MAP, QUOTA, LIMITS)


def one(w: Scopes, kind: GVK, **content: Any) -> Object:
    return new_object(kind, "one", "home", owner=w.owner, **content)


def quota(w: Scopes) -> Object:
    return one(w, QUOTA.gvk, spec={"hard": {"pods": "1"}})


def bad_limits(w: Scopes) -> Object:
    return one(w, LIMITS.gvk, spec={"limits": [{"type": "Pod", "default": {"cpu": "1"}}]})


async def opened(w: Scopes) -> ResourceCache:
    for kind in KINDS:
        w.server.grant("home", kind, verbs=ALL_VERBS)
    return await w.cache.open(w.owner, *(Need(kind.gvk) for kind in KINDS))


async def test_what_is_wrong_with_one_kind_harms_no_other(server: Cluster) -> None:
    async with scopes(server) as w:
        scope = await opened(w)
        wanted = {LIMITS.gvk: [bad_limits(w)], QUOTA.gvk: [quota(w)], CONFIG_MAP.gvk: [one(w, CONFIG_MAP.gvk)]}
        with pytest.raises(InvalidError, match="may not be specified"):
            await apply_sets(w.client, scope, wanted)
        made = [len(scope.list(kind.gvk)) for kind in KINDS]
    assert made == [1, 1, 0]


async def test_what_is_right_already_is_sent_no_request(server: Cluster) -> None:
    async with scopes(server) as w:
        scope = await opened(w)
        wanted = {QUOTA.gvk: [quota(w)], CONFIG_MAP.gvk: [one(w, CONFIG_MAP.gvk)]}
        first = await apply_sets(w.client, scope, wanted)
        version = server.embedded.storage.version
        again = await apply_sets(w.client, scope, wanted)
        unchanged = server.embedded.storage.version == version
    assert (first, again, unchanged) == (True, False, True)


async def test_a_kind_of_which_nothing_is_wanted_is_pruned(server: Cluster) -> None:
    async with scopes(server) as w:
        scope = await opened(w)
        await apply_sets(w.client, scope, {QUOTA.gvk: [quota(w)], CONFIG_MAP.gvk: []})
        changed = await apply_sets(w.client, scope, {QUOTA.gvk: [], CONFIG_MAP.gvk: []})
        left = len(scope.list(QUOTA.gvk))
    assert (changed, left) == (True, 0)
