"""What refused writes cost a real API server, by its audit log: each is sent once, and asked about once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from scopedcache import Controller, Manager, Request, Result, ScopedCache
from scopedcache.testing import ControlPlane, eventually

pytestmark = pytest.mark.real

CONFIG_MAP = "configmaps"
REVIEWS = "selfsubjectaccessreviews.authorization.k8s.io"
RULES_REVIEWS = "selfsubjectrulesreviews.authorization.k8s.io"
OWNERS = 20


async def test_each_of_twenty_refused_writes_is_sent_once_and_asked_about_once(
    control_plane: ControlPlane, new_namespace: Callable[[], str]
) -> None:
    namespace = new_namespace()
    robot = control_plane.service_account(namespace, "robot")
    control_plane.grant(robot, ["get", "list", "watch"], [CONFIG_MAP], namespace=namespace)
    control_plane.wait_allowed(robot, "watch", CONFIG_MAP, namespace)
    for number in range(OWNERS):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"own-{number}"}}
        control_plane.create(body, namespace)
    mark, refused, stop = control_plane.audit.mark(), asyncio.Event(), asyncio.Event()
    met: set[str] = set()

    async with control_plane.client(robot) as client, ScopedCache(client, rbac_watch=False) as cache:

        async def reconcile(request: Request) -> Result:
            owner = cache.cluster.get(CONFIG_MAP, request.key)
            if owner is not None and owner.name.startswith("own-"):
                met.add(owner.name)
                if len(met) == OWNERS:
                    refused.set()
                owner["data"] = {"touched": "yes"}
                await client.update(owner)
            return Result()

        controller = Controller(for_=CONFIG_MAP, reconcile=reconcile, namespaces=[namespace], workers=4)
        running = asyncio.create_task(Manager(cache, controllers=[controller]).run(stop))
        async with asyncio.timeout(30.0):
            await refused.wait()
        since = control_plane.audit.mark()

        def rounds() -> bool:
            asked = control_plane.audit.requests(since=since, resource=RULES_REVIEWS, user=robot.username)
            return sum(one.verb == "create" for one in asked) >= 3

        await eventually(
            rounds, within=60.0, what="three reviews of its rights that come round, after the last refusal"
        )
        stop.set()
        await running

    audit, user = control_plane.audit, robot.username
    updates = audit.requests(since=mark, verb="update", resource=CONFIG_MAP, user=user)
    reviews = audit.requests(since=mark, verb="create", resource=REVIEWS, user=user)
    assert sorted(one.name or "" for one in updates) == sorted(met)
    assert {one.code for one in updates} == {403}
    assert len(reviews) <= 2 * OWNERS + 10  # one for each refusal, one that confirms it; the rest come round
