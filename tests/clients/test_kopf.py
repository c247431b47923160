"""An operator written with kopf runs against the embedded cluster."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scopedcache.testing import EmbeddedCluster
from tests.contract.objects import WIDGETS, widget

kopf = pytest.importorskip("kopf", reason="kopf is not installed")
DEADLINE = 20.0


def test_a_kopf_operator_handles_a_custom_resource_from_creation_to_deletion(
    cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.admin.kubeconfig))
    cluster.apply(WIDGETS)
    registry = kopf.OperatorRegistry()
    seen: list[str] = []

    @kopf.on.login(registry=registry)
    def login(**known: Any) -> Any:
        return kopf.login_with_kubeconfig(**known)

    @kopf.on.create("example.com", "v1", "widgets", registry=registry)
    def created(name: str, **_: Any) -> None:
        seen.append(f"created {name}")

    @kopf.on.update("example.com", "v1", "widgets", registry=registry)
    def updated(spec: Any, **_: Any) -> None:
        seen.append(f"size {spec['size']}")

    @kopf.on.delete("example.com", "v1", "widgets", registry=registry)
    def deleted(name: str, **_: Any) -> None:
        seen.append(f"deleted {name}")

    async def told(count: int) -> None:
        while len(seen) < count:
            await asyncio.sleep(0.02)

    async def main() -> None:
        stop = asyncio.Event()
        operator = asyncio.create_task(
            kopf.operator(registry=registry, namespaces=["default"], stop_flag=stop, standalone=True)
        )
        async with asyncio.timeout(DEADLINE):
            cluster.create(widget("one"), "default")
            await told(1)
            cluster.patch("widgets.example.com", "one", {"spec": {"size": 2}}, "default")
            await told(2)
            cluster.delete("widgets.example.com", "one", "default")
            await told(3)
            stop.set()
            await operator

    asyncio.run(main())

    assert seen == ["created one", "size 2", "deleted one"]
    assert cluster.get("widgets.example.com", "one", "default") is None
