"""Where many namespaces are open, those in which something happens are reviewed first, on the embedded cluster."""

from __future__ import annotations

import asyncio

import pytest

from scopedcache import Object, OwnerChanged, ScopedCache
from scopedcache.testing import EmbeddedCluster, virtual_time
from tests.unit.clock import now

NAMESPACES = 60
# A round of all takes thirty seconds, one of one place in use two.
RATE = 2.0


@pytest.mark.parametrize("namespace", ["n07", "n31", "n58"])
def test_a_right_lost_where_something_happens_is_noticed_as_in_one_of_a_few_namespaces(namespace: str) -> None:
    async def main() -> None:
        with EmbeddedCluster.start(kubelet=False) as cluster:
            user = cluster.user("operator")
            names = [f"n{number:02}" for number in range(NAMESPACES)]
            for name in names:
                cluster.create_namespace(name)
            grants = {name: cluster.grant(user, ["list", "watch"], ["configmaps"], namespace=name) for name in names}
            async with ScopedCache(cluster.client(user), review_rate=RATE) as cache:
                denied: dict[str, float] = {}

                def told(change: OwnerChanged) -> None:
                    if change.cause == "denied":
                        denied[change.key.namespace] = now()

                cache.subscribe(told)
                owners = {
                    name: Object.from_dict(
                        cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "owner"}}, name)
                    )
                    for name in names
                }
                for owner in owners.values():
                    await cache.open(owner, "configmaps")
                await asyncio.sleep(40)

                owner = owners[namespace]
                reference = {"apiVersion": "v1", "kind": "Secret", "name": owner.name, "uid": owner.uid}
                child = {"name": "child", "ownerReferences": [reference]}
                cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": child}, namespace)
                await asyncio.sleep(17)
                load = cache.monitor.load
                grants[namespace].revoke()
                lost = now()
                await asyncio.sleep(load.bound)

                assert (load.in_use, round(load.bound_in_use, 2), load.bound > 30) == (1, 7.5, True)
                assert denied[namespace] - lost <= load.bound_in_use

    virtual_time.run(main())
