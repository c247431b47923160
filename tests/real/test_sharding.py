"""Replicas that share their work on a real API server, while somebody edits their Leases."""

from __future__ import annotations

import pytest

from scopedcache.testing import ControlPlane
from tests.unit.cluster import DEFINITIONS
from tests.unit.controller.sharding.edits_story import live
from tests.unit.controller.sharding.rings import ring_on

pytestmark = pytest.mark.real


async def test_whatever_somebody_edits_each_object_is_one_replicas_and_is_worked_on() -> None:
    with ControlPlane.start(controllers=(), kubelet=False) as plane:
        plane.apply(DEFINITIONS)
        async with ring_on(plane, lambda name: plane.client()) as ring:
            await live(ring)
