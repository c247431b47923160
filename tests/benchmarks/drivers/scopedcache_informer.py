"""Ours: an `Informer` with its indexes, one route for each ReplicaSet and one ADD and UPDATE handler."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

from scopedcache.api.client import Client
from scopedcache.informer.event_handlers import EventHandler
from scopedcache.informer.informer import Informer
from scopedcache.objects import Object
from scopedcache.supervisor import Supervisor
from tests.benchmarks.drivers.common import NAMESPACE, Mode, Options, run
from tests.benchmarks.pods import SENT


def connect(url: str, ca: str) -> Client:
    """Return a client of the load server."""
    return Client.connect(client=SimpleNamespace(host=url, ssl_ca_cert=ca, auth_settings=dict))


class InformerClient:
    """An Informer behind the seam."""

    def __init__(self, options: Options) -> None:
        self.mode: Mode = "count"
        self.latencies: list[int] = []
        self.shown = 0
        self._client = connect(options.url, options.ca)
        self._compress = options.compress
        self._supervisor = Supervisor("bench")
        self._informer: Informer | None = None
        self._expected = ""
        self._done = asyncio.Event()

    @property
    def informer(self) -> Informer:
        assert self._informer is not None
        return self._informer

    async def sync(self) -> None:
        resource = await self._client.discovery.resolve("pods")
        self._informer = Informer(self._client, resource, namespace=NAMESPACE, compress=self._compress)
        self._informer.add_handler(EventHandler(on_add=self._on_add, on_update=self._on_update))
        self._informer.start(self._supervisor)
        await self._informer.wait_synced()
        assert self.shown == len(self._informer)

    def expect(self, version: str) -> asyncio.Event:
        self._done.clear()
        self._expected = version
        return self._done

    def held(self) -> dict[str, str]:
        return {pod.uid: pod.resource_version for pod in self.informer.list()}

    def content(self, name: str) -> dict[str, Any] | None:
        pod = self.informer.get((NAMESPACE, name))
        return pod.to_dict() if pod is not None else {}

    async def close(self) -> None:
        self.informer.close()
        await self._supervisor.close()
        await self._client.close()

    def _on_add(self, pod: Object, initial: bool) -> None:
        self.shown += 1

    def _on_update(self, old: Object, pod: Object) -> None:
        if self.mode == "full":
            pod.to_dict()
        elif self.mode == "latency":
            self.latencies.append(time.time_ns() - int(pod.annotations[SENT]))
        if pod.resource_version == self._expected:
            self._done.set()


if __name__ == "__main__":
    run(InformerClient)
