"""An operator written with kopf runs against the embedded cluster."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scopedcache.testing import EmbeddedCluster
from tests.contract.objects import WIDGETS, widget

kopf = pytest.importorskip("kopf", reason="kopf is not installed")
DEADLINE = 20.0
WHERE = ("example.com", "v1", "widgets")


def test_a_kopf_operator_handles_a_custom_resource_from_creation_to_deletion(
    cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.admin.kubeconfig))
    cluster.apply(WIDGETS)

    async def main() -> list[tuple[str, str, int]]:
        seen: asyncio.Queue[tuple[str, str, int]] = asyncio.Queue()
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(lambda **known: kopf.login_with_kubeconfig(**known))
        for event in ("create", "update", "delete"):

            async def handle(name: str, spec: Any, event: str = event, **_: Any) -> None:
                seen.put_nowait((event, name, spec["size"]))

            getattr(kopf.on, event)(*WHERE, registry=registry, id=event)(handle)
        stop = asyncio.Event()
        running = kopf.operator(registry=registry, namespaces=["default"], stop_flag=stop, standalone=True)
        operator = asyncio.create_task(running)
        told = []
        async with asyncio.timeout(DEADLINE):
            cluster.create(widget("one"), "default")
            told.append(await seen.get())
            cluster.patch("widgets.example.com", "one", {"spec": {"size": 2}}, "default")
            told.append(await seen.get())
            cluster.delete("widgets.example.com", "one", "default")
            told.append(await seen.get())
            stop.set()
            await operator
        return told

    assert asyncio.run(main()) == [("create", "one", 1), ("update", "one", 2), ("delete", "one", 2)]
    assert cluster.get("widgets.example.com", "one", "default") is None
