"""`kubernetes.informer.SharedInformer`, the official cache: one thread, typed models, ADDED and MODIFIED handlers."""

import asyncio
import time
from typing import Any

from kubernetes import client as kubernetes
from kubernetes.informer import SharedInformer

from tests.benchmarks.drivers.common import NAMESPACE, Mode, Options, run
from tests.benchmarks.pods import SENT


class SharedInformerClient:
    """A SharedInformer behind the seam; its events come on its own thread."""

    def __init__(self, options: Options) -> None:
        configuration = kubernetes.Configuration()
        configuration.host = options.url
        configuration.ssl_ca_cert = options.ca
        api = kubernetes.CoreV1Api(kubernetes.ApiClient(configuration))
        self.mode: Mode = "count"
        self.latencies: list[int] = []
        self._loop = asyncio.get_running_loop()
        self._expected = ""
        self._done = asyncio.Event()
        self._informer: Any = SharedInformer(api.list_namespaced_pod, namespace=NAMESPACE)
        self._informer.add_event_handler("ADDED", self._on_added)
        self._informer.add_event_handler("MODIFIED", self._on_modified)
        self._shown = 0

    async def sync(self) -> None:
        self._informer.start()
        # It has no "synced": it is when its watch begins, because handlers run before that on the same thread.
        while self._informer._watch is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    def expect(self, version: str) -> asyncio.Event:
        self._done.clear()
        self._expected = version
        return self._done

    def held(self) -> dict[str, str]:
        return {pod.metadata.uid: pod.metadata.resource_version for pod in self._informer.cache.list()}

    def content(self, name: str) -> None:
        return None

    async def close(self) -> None:
        """Leave it running: its `stop` may never return."""

    def _on_added(self, pod: Any) -> None:
        self._shown += 1

    def _on_modified(self, pod: Any) -> None:
        if self.mode == "latency":
            self.latencies.append(time.time_ns() - int(pod.metadata.annotations[SENT]))
        if pod.metadata.resource_version == self._expected:
            self._loop.call_soon_threadsafe(self._done.set)


if __name__ == "__main__":
    run(SharedInformerClient)
