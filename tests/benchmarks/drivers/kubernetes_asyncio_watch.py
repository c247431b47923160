"""`kubernetes_asyncio`: list, then its Watch, into a dict, as its examples show."""

import asyncio
import time
from typing import Any

from kubernetes_asyncio import client as kubernetes
from kubernetes_asyncio.watch import Watch

from tests.benchmarks.drivers.common import NAMESPACE, Mode, Options, run
from tests.benchmarks.pods import SENT


class KubernetesAsyncioClient:
    """The loop that its users write, behind the seam. Its objects are typed models."""

    def __init__(self, options: Options) -> None:
        configuration = kubernetes.Configuration(host=options.url)
        configuration.ssl_ca_cert = options.ca
        self._api = kubernetes.ApiClient(configuration)
        self._pods_api: Any = kubernetes.CoreV1Api(self._api)
        self.mode: Mode = "count"
        self.latencies: list[int] = []
        self._pods: dict[tuple[str, str], Any] = {}
        self._expected = ""
        self._done = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def sync(self) -> None:
        pods = await self._pods_api.list_namespaced_pod(NAMESPACE)
        for pod in pods.items:
            self._pods[pod.metadata.namespace, pod.metadata.name] = pod
        self._task = asyncio.create_task(self._watch(pods.metadata.resource_version))

    def expect(self, version: str) -> asyncio.Event:
        self._done.clear()
        self._expected = version
        return self._done

    def held(self) -> dict[str, str]:
        return {pod.metadata.uid: pod.metadata.resource_version for pod in self._pods.values()}

    def content(self, name: str) -> None:
        return None

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        await self._api.close()

    async def _watch(self, version: str) -> None:
        listing = self._pods_api.list_namespaced_pod
        async with Watch().stream(listing, NAMESPACE, resource_version=version) as events:
            async for event in events:
                pod = event["object"]
                metadata = pod.metadata
                self._pods[metadata.namespace, metadata.name] = pod
                if self.mode == "latency":
                    self.latencies.append(time.time_ns() - int(metadata.annotations[SENT]))
                if metadata.resource_version == self._expected:
                    self._done.set()


if __name__ == "__main__":
    run(KubernetesAsyncioClient)
