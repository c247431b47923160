"""kr8s: `Pod.list` and `watch` of its asynchronous API, into a dict."""

import time
from typing import Any

import kr8s.asyncio
from kr8s.asyncio.objects import Pod

from tests.benchmarks.drivers.common import NAMESPACE, Options, run
from tests.benchmarks.drivers.dict_client import DictClient
from tests.benchmarks.pods import SENT


class Kr8sClient(DictClient):
    """The loop that its users write, behind the seam. Its watch begins with the list."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self._kubeconfig = {
            "clusters": [
                {"name": "bench", "cluster": {"server": options.url, "certificate-authority": options.ca}},
            ],
            "users": [{"name": "bench", "user": {"token": "bench"}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
            "current-context": "bench",
        }

    async def sync(self) -> None:
        api = await kr8s.asyncio.api(kubeconfig=self._kubeconfig)
        version = ""
        async for pod in Pod.list(namespace=NAMESPACE, api=api):
            self._keep(pod)
            version = max(version, pod.metadata.resourceVersion)
        self.follow(self._watch(api, version))

    def held(self) -> dict[str, str]:
        return {pod.metadata.uid: pod.metadata.resourceVersion for pod in self._pods.values()}

    def _keep(self, pod: Any) -> None:
        self._pods[pod.metadata.namespace, pod.metadata.name] = pod

    async def _watch(self, api: Any, version: str) -> None:
        async for _, pod in api.async_watch("pods", namespace=NAMESPACE, since=version):
            self._keep(pod)
            if self.mode == "latency":
                self.latencies.append(time.time_ns() - int(pod.metadata.annotations[SENT]))
            if pod.metadata.resourceVersion == self._expected:
                self._done.set()


if __name__ == "__main__":
    run(Kr8sClient)
