"""kopf: an index of Pods (`@kopf.index`) and a handler of raw events, in an operator without any other handler."""

import asyncio
import time
from typing import Any

import kopf

from tests.benchmarks.drivers.common import NAMESPACE, Mode, Options, run
from tests.benchmarks.pods import SENT


class KopfClient:
    """The operator behind the seam. It keeps bodies as dicts, and queues the events of each object by itself."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.mode: Mode = "count"
        self.latencies: list[int] = []
        self._versions: dict[str, str] = {}
        self._bodies: Any = None
        self._expected = ""
        self._done = asyncio.Event()
        self._stop = asyncio.Event()
        self._task: asyncio.Task[Any] | None = None
        self._registry = kopf.OperatorRegistry()
        self._register()

    def _register(self) -> None:
        registry, options = self._registry, self._options

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.ConnectionInfo:
            return kopf.ConnectionInfo(server=options.url, ca_path=options.ca, scheme="Bearer", token="bench")

        @kopf.on.startup(registry=registry)
        async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
            settings.scanning.disabled = True
            settings.posting.enabled = False
            settings.networking.connect_timeout = 10

        @kopf.index("pods", id="pods", registry=registry)
        async def pods(**given: Any) -> Any:
            return {(given["namespace"], given["name"]): dict(given["body"])}

        @kopf.on.event("pods", registry=registry)
        async def heard(**given: Any) -> None:
            self._bodies = given["pods"]
            metadata = given["body"]["metadata"]
            self._versions[metadata["uid"]] = metadata["resourceVersion"]
            if self.mode == "latency":
                self.latencies.append(time.time_ns() - int(metadata["annotations"][SENT]))
            if metadata["resourceVersion"] == self._expected:
                self._done.set()

    async def sync(self) -> None:
        operator = kopf.operator(
            registry=self._registry, namespaces=[NAMESPACE], standalone=True, stop_flag=self._stop, memo=kopf.Memo()
        )
        self._task = asyncio.create_task(operator)
        expected = await asyncio.to_thread(self._count)
        while len(self._versions) < expected:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(0.01)

    def _count(self) -> int:
        from tests.benchmarks.drivers.common import Control

        return len(Control(self._options.url, self._options.ca).versions())

    def expect(self, version: str) -> asyncio.Event:
        self._done.clear()
        self._expected = version
        return self._done

    def held(self) -> dict[str, str]:
        bodies = [body for key in self._bodies for body in self._bodies[key]]
        return {body["metadata"]["uid"]: body["metadata"]["resourceVersion"] for body in bodies}

    def content(self, name: str) -> None:
        return None

    async def close(self) -> None:
        self._stop.set()


if __name__ == "__main__":
    run(KopfClient)
