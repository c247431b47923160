"""Shards of a ring of kubernetes-controller-sharding on a real API server, with a stand-in for the sharder."""

from __future__ import annotations

import pytest

from scopedcache.testing import ControlPlane
from tests.unit.cluster import DEFINITIONS
from tests.unit.controller.sharding.ring_story import live
from tests.unit.controller.sharding.rings import ring_on

pytestmark = pytest.mark.real


async def test_each_object_is_reconciled_by_its_shard_alone_whatever_becomes_of_the_others() -> None:
    with ControlPlane.start(controllers=(), kubelet=False) as plane:
        plane.apply(DEFINITIONS)
        async with ring_on(plane, lambda name: plane.client()) as ring:
            await live(ring)
