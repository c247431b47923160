"""What the how-to pages show of other people's clients, does what they say."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs
import pytest

import scopedcache as sc
from scopedcache.kit import crd
from scopedcache.testing import EmbeddedCluster, eventually
from tests.contract.objects import deployment
from tests.unit.docs.blocks import load

DEADLINE = 30.0


@attrs.frozen
class PageSpec:
    text: str = ""


@attrs.frozen
class PageStatus:
    texts: int


async def test_typed_apis_of_both_libraries_scale_and_list(cluster: EmbeddedCluster) -> None:
    page = load("how-to/other-clients.md")
    cluster.create(deployment("web"), "default")

    async with sc.Client.connect(kubeconfig=cluster.admin.kubeconfig) as client:
        await page.scale(client, "web", 3)
        names = await page.names(client)

    scaled = cluster.get("deployments.apps", "web", "default") or {}
    assert scaled["spec"]["replicas"] == 3
    assert "default" in names


async def test_models_of_the_official_client_are_made_of_what_is_in_memory(cluster: EmbeddedCluster) -> None:
    page = load("how-to/other-clients.md")
    made = cluster.create(deployment("web"), "default")
    async with sc.ScopedCache.connect(kubeconfig=cluster.admin.kubeconfig) as cache:
        owner = sc.Object.from_dict(made)
        await cache.open(owner, "deployments")

        images = page.images(cache, owner)

    assert images == [made["spec"]["template"]["spec"]["containers"][0]["image"]]


async def test_a_configuration_of_the_official_client_is_a_way_to_the_server(cluster: EmbeddedCluster) -> None:
    from kubernetes import client, config

    configuration = client.Configuration()
    config.load_kube_config(str(cluster.admin.kubeconfig), client_configuration=configuration)

    assert await load("how-to/other-clients.md").pods_of(configuration) == 0


def test_the_blocking_cache_counts(cluster: EmbeddedCluster) -> None:
    cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "counter"}}, "default")

    assert load("how-to/blocking-code.md").count_pods(str(cluster.admin.kubeconfig), "counter") == 0


def test_a_kopf_operator_reads_from_a_cache_that_follows_its_rights(
    cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kopf = pytest.importorskip("kopf", reason="kopf is not installed")
    page = load("how-to/beside-kopf.md")
    alice = cluster.user("alice")
    monkeypatch.setenv("KUBECONFIG", str(alice.kubeconfig))
    cluster.create(crd("example.com", "v1", "Page", PageSpec, status=PageStatus, required=False))
    cluster.grant(alice, ["list", "watch", "patch"], ["pages.example.com", "pages.example.com/status"])
    cluster.grant(alice, ["list", "watch"], ["namespaces", "customresourcedefinitions.apiextensions.k8s.io"])
    cluster.create({"apiVersion": "example.com/v1", "kind": "Page", "metadata": {"name": "one"}}, "default")

    def status() -> dict[str, Any]:
        found: dict[str, Any] = cluster.get("pages.example.com", "one", "default") or {}
        return found.get("status") or {}

    def refused() -> bool:
        return any("may not list configmaps" in line and "permanently" in line for line in caplog.text.splitlines())

    async def main() -> None:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(lambda **known: kopf.login_with_kubeconfig(**known))
        kube = page.KopfCache(registry, kubeconfig=alice.kubeconfig, detection_bound=3.0)
        page.operator(registry, kube)
        stop = asyncio.Event()
        running = kopf.operator(registry=registry, namespaces=["default"], stop_flag=stop, standalone=True)
        async with asyncio.timeout(DEADLINE):
            operator = asyncio.create_task(running)
            await eventually(refused, within=DEADLINE)
            cluster.grant(alice, ["list", "watch", "create"], ["configmaps"], namespace="default")
            await eventually(lambda: cluster.get("configmaps", "one", "default"), within=DEADLINE)
            await eventually(lambda: "texts" in status(), within=DEADLINE)
            stop.set()
            await operator

    asyncio.run(main())

    assert status()["texts"] in (0, 1)  # its own write may be there already
