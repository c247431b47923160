"""What a real API server says while it comes up, and that `/readyz` on the same connection gives it away."""

from __future__ import annotations

import asyncio

import pytest

from scopedcache import Client, ForbiddenError, ScopedCacheError
from scopedcache.api.permission import Permission
from scopedcache.testing import ControlPlane, Identity

pytestmark = pytest.mark.real

LIST = Permission("list", "", "configmaps", "default")
# Some restarts show no false answer at all; none may show one that `/readyz` does not give away.
RESTARTS = 3
COMES_UP_SECONDS = 60.0


async def ask(identity: Identity) -> tuple[str, str] | None:
    """Return what a review says, and then the server about itself, over a connection of their own."""
    async with Client.connect(kubeconfig=identity.kubeconfig) as client:
        try:
            answer = "yes" if await client.review_access(LIST, timeout=3.0) else "no"
        except ForbiddenError:
            answer = "refused"
        except ScopedCacheError:
            return None
        return answer, await client.ready(timeout=3.0)


async def comes_up(identity: Identity) -> None:
    while await ask(identity) != ("yes", "ready"):  # noqa: ASYNC110  # nothing here tells when it is
        await asyncio.sleep(0.05)


async def test_every_false_answer_of_a_server_that_comes_up_is_followed_by_a_readyz_that_is_not_200() -> None:
    with ControlPlane.start(kubelet=False, controllers=(), users=("operator",)) as plane:
        operator = plane.user("operator")
        plane.grant(operator, ["list"], ["configmaps"], namespace="default")
        heard: list[tuple[str, str]] = []

        async def listen() -> None:
            while True:
                if (said := await ask(operator)) is not None:
                    heard.append(said)
                await asyncio.sleep(0.002)

        for _ in range(RESTARTS):
            listening = [asyncio.create_task(listen()) for _ in range(3)]
            await asyncio.to_thread(plane.apiserver.restart)
            async with asyncio.timeout(COMES_UP_SECONDS):
                await comes_up(operator)
            for task in listening:
                task.cancel()
            await asyncio.wait(listening)

        assert heard
        assert [said for said in heard if said[0] != "yes" and said[1] == "ready"] == []
