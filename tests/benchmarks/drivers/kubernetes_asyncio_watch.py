"""`kubernetes_asyncio`: list, then its Watch, into a dict, as its examples show."""

import time
from typing import Any

from kubernetes_asyncio import client as kubernetes
from kubernetes_asyncio.watch import Watch

from tests.benchmarks.drivers.common import NAMESPACE, Options, run
from tests.benchmarks.drivers.dict_client import DictClient
from tests.benchmarks.pods import SENT


class KubernetesAsyncioClient(DictClient):
    """The loop that its users write, behind the seam. Its objects are typed models."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        configuration = kubernetes.Configuration(host=options.url)
        configuration.ssl_ca_cert = options.ca
        self._api = kubernetes.ApiClient(configuration)
        self._pods_api: Any = kubernetes.CoreV1Api(self._api)

    async def sync(self) -> None:
        pods = await self._pods_api.list_namespaced_pod(NAMESPACE)
        for pod in pods.items:
            self._pods[pod.metadata.namespace, pod.metadata.name] = pod
        self.follow(self._watch(pods.metadata.resource_version))

    def held(self) -> dict[str, str]:
        return {pod.metadata.uid: pod.metadata.resource_version for pod in self._pods.values()}

    async def close(self) -> None:
        await super().close()
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
