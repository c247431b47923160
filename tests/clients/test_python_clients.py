"""The Python clients of other people do their ordinary jobs against the embedded cluster."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from scopedcache.testing import EmbeddedCluster
from tests.contract.objects import WIDGETS, deployment, widget

kubernetes = pytest.importorskip("kubernetes")
DEADLINE = 10.0


@pytest.fixture
def official(cluster: EmbeddedCluster) -> Iterator[Any]:
    """Yield the official client, signed in as the admin."""
    client = kubernetes.config.new_client_from_config(str(cluster.admin.kubeconfig))
    yield client
    client.close()


def test_the_official_client_writes_reads_and_deletes(official: Any) -> None:
    core = kubernetes.client.CoreV1Api(official)
    made = core.create_namespaced_config_map("default", {"metadata": {"name": "one"}, "data": {"a": "b"}})
    assert core.read_namespaced_config_map("one", "default").metadata.uid == made.metadata.uid
    core.patch_namespaced_config_map("one", "default", {"data": {"a": "c"}})
    assert core.list_namespaced_config_map("default", field_selector="metadata.name=one").items[0].data == {"a": "c"}
    core.delete_namespaced_config_map("one", "default")
    with pytest.raises(kubernetes.client.ApiException) as refused:
        core.read_namespaced_config_map("one", "default")
    assert refused.value.status == 404


def test_the_official_client_watches_a_deployment_become_ready(official: Any) -> None:
    apps = kubernetes.client.AppsV1Api(official)
    apps.create_namespaced_deployment("default", deployment("web", 2))
    watch = kubernetes.watch.Watch()
    for event in watch.stream(apps.list_namespaced_deployment, "default", timeout_seconds=int(DEADLINE)):
        if event["object"].status.ready_replicas == 2:
            watch.stop()
    assert apps.read_namespaced_deployment("web", "default").status.available_replicas == 2


def test_the_official_client_writes_custom_resources(cluster: EmbeddedCluster, official: Any) -> None:
    cluster.apply(WIDGETS)
    api = kubernetes.client.CustomObjectsApi(official)
    where = ("example.com", "v1", "default", "widgets")
    api.create_namespaced_custom_object(*where, widget("one"))
    api.patch_namespaced_custom_object_status(*where, "one", {"status": {"size": 1}})
    assert api.list_namespaced_custom_object(*where)["items"][0]["status"] == {"size": 1}


def test_the_official_dynamic_client_finds_kinds_and_applies(official: Any) -> None:
    dynamic = kubernetes.dynamic.DynamicClient(official)
    api = dynamic.resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"a": "b"}}
    dynamic.server_side_apply(api, body=body, namespace="default", field_manager="test")
    assert api.get(name="one", namespace="default").data.a == "b"


def test_the_official_informer_follows(official: Any) -> None:
    informers = pytest.importorskip("kubernetes.informer", reason="this version of kubernetes has no informer")
    core = kubernetes.client.CoreV1Api(official)
    seen: queue.Queue[tuple[str, str]] = queue.Queue()
    informer = informers.SharedInformer(list_func=core.list_namespaced_config_map, namespace="default")
    for kind in ("ADDED", "MODIFIED", "DELETED"):
        informer.add_event_handler(kind, lambda obj, kind=kind: seen.put((kind, _name(obj))))
    informer.start()
    try:
        core.create_namespaced_config_map("default", {"metadata": {"name": "one"}})
        told = [seen.get(timeout=DEADLINE)]  # it cannot say when it has listed: what is deleted before, it never sees
        core.patch_namespaced_config_map("one", "default", {"data": {"a": "b"}})
        core.delete_namespaced_config_map("one", "default")
        while told[-1][0] != "DELETED":
            told.append(seen.get(timeout=DEADLINE))
    finally:
        informer.stop()
    assert told[0] == ("ADDED", "one")
    assert told[-1] == ("DELETED", "one")


def test_the_asyncio_client_lists_watches_and_patches(cluster: EmbeddedCluster) -> None:
    aio = pytest.importorskip("kubernetes_asyncio")

    async def main() -> list[tuple[str, str]]:
        configuration = aio.client.Configuration()
        await aio.config.load_kube_config(str(cluster.admin.kubeconfig), client_configuration=configuration)
        async with aio.client.ApiClient(configuration) as api:
            core = aio.client.CoreV1Api(api)
            listed = await core.list_namespaced_config_map("default")
            events = []
            async with aio.watch.Watch() as watch, asyncio.timeout(DEADLINE):
                await core.create_namespaced_config_map("default", {"metadata": {"name": "one"}})
                await core.patch_namespaced_config_map("one", "default", {"data": {"a": "b"}})
                version = listed.metadata.resource_version
                stream = watch.stream(core.list_namespaced_config_map, "default", resource_version=version)
                async for event in stream:
                    events.append((event["type"], event["object"].metadata.name))
                    if len(events) == 2:
                        break
            return events

    assert asyncio.run(main()) == [("ADDED", "one"), ("MODIFIED", "one")]


def test_lightkube_applies_lists_and_watches(cluster: EmbeddedCluster) -> None:
    lightkube = pytest.importorskip("lightkube")
    core = pytest.importorskip("lightkube.resources.core_v1")
    meta = pytest.importorskip("lightkube.models.meta_v1")
    config = lightkube.KubeConfig.from_file(str(cluster.admin.kubeconfig))
    client = lightkube.Client(config=config.get(), field_manager="test", namespace="default")
    one = core.ConfigMap(metadata=meta.ObjectMeta(name="one", namespace="default"), data={"a": "b"})

    client.apply(one)
    seen: list[tuple[str, str]] = []

    def follow() -> None:
        for kind, found in client.watch(core.ConfigMap, namespace="default", server_timeout=int(DEADLINE)):
            seen.append((kind, found.metadata.name))
            if kind == "DELETED":
                return

    follower = threading.Thread(target=follow)
    follower.start()
    client.patch(core.ConfigMap, "one", {"data": {"a": "c"}})
    assert [found.data for found in client.list(core.ConfigMap, namespace="default")] == [{"a": "c"}]
    client.delete(core.ConfigMap, "one")
    follower.join(DEADLINE)

    assert seen[-1] == ("DELETED", "one")
    with pytest.raises(lightkube.ApiError) as refused:
        client.get(core.ConfigMap, "one")
    assert refused.value.status.code == 404


def _name(obj: Any) -> str:
    return str(obj["metadata"]["name"] if isinstance(obj, dict) else obj.metadata.name)
