"""lightkube's AsyncClient: list, then watch, into a dict. A client without a cache, and the fastest one in Python."""

import time
from typing import Any

from lightkube import AsyncClient, KubeConfig
from lightkube.config.models import Cluster, User
from lightkube.resources.core_v1 import Pod

from tests.benchmarks.drivers.common import NAMESPACE, Options, run
from tests.benchmarks.drivers.dict_client import DictClient
from tests.benchmarks.pods import SENT


class LightkubeClient(DictClient):
    """The loop that lightkube's users write, behind the seam."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        cluster = Cluster(server=options.url, certificate_auth=options.ca)
        self._client: Any = AsyncClient(KubeConfig.from_one(cluster=cluster, user=User(token="bench")), trust_env=False)

    async def sync(self) -> None:
        pods = self._client.list(Pod, namespace=NAMESPACE)
        async for pod in pods:
            self._pods[pod.metadata.namespace, pod.metadata.name] = pod
        self.follow(self._watch(pods.resourceVersion))

    def held(self) -> dict[str, str]:
        return {pod.metadata.uid: pod.metadata.resourceVersion for pod in self._pods.values()}

    async def _watch(self, version: str) -> None:
        async for _, pod in self._client.watch(Pod, namespace=NAMESPACE, resource_version=version):
            metadata = pod.metadata
            self._pods[metadata.namespace, metadata.name] = pod
            if self.mode == "full":
                _ = pod.spec.containers[0].image, pod.status.phase  # its fields are decoded when they are read
            elif self.mode == "latency":
                self.latencies.append(time.time_ns() - int(metadata.annotations[SENT]))
            if metadata.resourceVersion == self._expected:
                self._done.set()


if __name__ == "__main__":
    run(LightkubeClient)
