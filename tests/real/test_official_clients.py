"""`kubernetes` and `kubernetes_asyncio` keep a real part: their clients come in, their typed APIs and models go out."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import kubernetes.aio.client
import kubernetes.client
import kubernetes.config
import kubernetes.watch
import kubernetes_asyncio.client
import kubernetes_asyncio.config
import kubernetes_asyncio.watch
import pytest

from scopedcache import Client
from scopedcache.testing import ControlPlane
from tests.contract.objects import deployment

pytestmark = pytest.mark.real


@pytest.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[Client]:
    async with Client.connect(kubeconfig=control_plane.admin.kubeconfig) as made:
        yield made


def config_map(name: str, namespace: str, **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


# -- in ----------------------------------------------------------------------------------------------------------


async def test_ready_clients_and_configurations_are_taken(control_plane: ControlPlane) -> None:
    path = str(control_plane.admin.kubeconfig)
    blocking = kubernetes.client.Configuration()
    await asyncio.to_thread(kubernetes.config.load_kube_config, path, client_configuration=blocking)
    asynchronous = kubernetes_asyncio.client.Configuration()
    await kubernetes_asyncio.config.load_kube_config(path, client_configuration=asynchronous)
    async with kubernetes_asyncio.client.ApiClient(asynchronous) as other:
        with kubernetes.client.ApiClient(blocking) as one:
            versions = []
            for given in (blocking, one, asynchronous, other):
                async with Client.connect(client=given) as made:
                    versions.append(await made.version())
    assert versions == [versions[0]] * 4
    assert versions[0].startswith("v1.")


async def test_a_blocking_refresh_hook_is_called_in_a_thread_and_its_token_taken(control_plane: ControlPlane) -> None:
    token, threads = control_plane.admin.token, []

    def hook(configuration: Any) -> None:
        threads.append(threading.current_thread())
        configuration.api_key["BearerToken"] = f"Bearer {token}"

    path = str(control_plane.admin.kubeconfig)
    given = kubernetes.client.Configuration()
    await asyncio.to_thread(kubernetes.config.load_kube_config, path, client_configuration=given)
    given.cert_file = given.key_file = None
    given.api_key["BearerToken"] = "Bearer old"
    given.refresh_api_key_hook = hook
    async with Client.connect(client=given) as made:
        assert await made.list("namespaces")
    assert threading.main_thread() not in threads


# -- out ---------------------------------------------------------------------------------------------------------


async def test_typed_calls_of_kubernetes_asyncio_go_over_our_credentials(client: Client, namespace: str) -> None:
    await client.create(deployment("web", 1), namespace=namespace)
    api = client.kubernetes_asyncio()
    apps = kubernetes_asyncio.client.AppsV1Api(api)
    await apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 3}})
    scale = await apps.read_namespaced_deployment_scale("web", namespace)
    await api.close()
    ours = await client.get("deployments.apps", "web", namespace=namespace)
    assert (scale.spec.replicas, ours.at("spec", "replicas")) == (3, 3)


async def test_typed_calls_of_kubernetes_go_over_our_credentials(client: Client, namespace: str) -> None:
    def work() -> Any:
        with made as api:
            core = kubernetes.client.CoreV1Api(api)
            core.create_namespaced_config_map(namespace, config_map("one", namespace, a="b"))
            core.patch_namespaced_config_map("one", namespace, {"data": {"a": "c"}})
            return core.read_namespaced_config_map("one", namespace)

    made = client.kubernetes()
    read = await asyncio.to_thread(work)
    ours = await client.get("configmaps", "one", namespace=namespace)
    assert (read.data, ours.at("data", "a")) == ({"a": "c"}, "c")


async def test_both_watch_over_our_credentials(client: Client, namespace: str) -> None:
    await client.create(config_map("one", namespace))
    api = client.kubernetes_asyncio()
    seen = []
    core = kubernetes_asyncio.client.CoreV1Api(api)
    async with kubernetes_asyncio.watch.Watch() as watch, asyncio.timeout(20):
        async for event in watch.stream(core.list_namespaced_config_map, namespace, field_selector="metadata.name=one"):
            seen.append(event["object"].metadata.name)
            break
    await api.close()

    def follow() -> str:
        with made as blocking:
            listed = kubernetes.client.CoreV1Api(blocking).list_namespaced_config_map
            for event in kubernetes.watch.Watch().stream(
                listed, namespace, field_selector="metadata.name=one", timeout_seconds=10
            ):
                return str(event["object"].metadata.name)
        return ""

    made = client.kubernetes()
    assert (seen, await asyncio.to_thread(follow)) == (["one"], "one")


async def test_models_of_both_are_filled(client: Client, namespace: str) -> None:
    await client.create(deployment("web", 1), namespace=namespace)
    libraries: list[Any] = [kubernetes.client, kubernetes.aio.client, kubernetes_asyncio.client]
    models = [library.V1Deployment for library in libraries]
    found = [await client.get("deployments.apps", "web", namespace=namespace, model=model) for model in models]
    assert [type(one) for one in found] == models
    assert [(one.metadata.name, one.spec.replicas) for one in found] == [("web", 1)] * 3
