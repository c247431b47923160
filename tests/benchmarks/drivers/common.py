"""What every driver shares: the seam to a client, and the measurement that drives any client behind it."""

import argparse
import asyncio
import gc
import http.client
import json
import os
import resource
import ssl
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

import attrs
import psutil

NAMESPACE = "default"
Mode = Literal["count", "full", "latency"]
"""What the handler does with an event: notice it, decode its whole object, or read the stamp of the server."""


class CacheDiffersError(Exception):
    """The cache does not hold what the server holds."""


class Client(Protocol):
    """A client under measurement: it keeps the Pods of NAMESPACE and runs one handler for each event."""

    mode: Mode
    latencies: list[int]
    """In the mode "latency": ns between the server's stamp and the handler, one for each event."""

    async def sync(self) -> None:
        """Connect, and return when every Pod has been kept and shown to the handler."""

    def expect(self, version: str) -> asyncio.Event:
        """Return what is set once the handler has seen this version."""

    def held(self) -> dict[str, str]:
        """Return {uid: resourceVersion} of what is kept."""

    def content(self, name: str) -> dict[str, Any] | None:
        """Return one kept Pod in full, without managedFields; None where the client offers no such copy."""

    async def close(self) -> None:
        """Stop, as far as the client can."""


@attrs.frozen
class Options:
    """How much is measured; 0 leaves a phase out."""

    url: str
    ca: str
    events: int
    full_events: int
    paced_events: int
    latency_events: int
    uvloop: bool
    compress: bool


@attrs.define
class Control:
    """The benchmark's own door to the load server: plain blocking requests on one connection."""

    url: str
    ca: str
    _connection: http.client.HTTPConnection = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=self.ca)
            self._connection = http.client.HTTPSConnection(host, port, context=context, timeout=30)
        else:
            self._connection = http.client.HTTPConnection(host, port, timeout=30)

    def start_events(self, count: int, rate: int = 0) -> None:
        """Ask for events; they begin to come at once."""
        self._request("POST", f"/bench/events?count={count}&rate={rate}")

    def version(self) -> int:
        """Return the server's newest version."""
        return int(self._request("GET", "/bench/state")["version"])

    def versions(self) -> dict[str, str]:
        """Return {uid: resourceVersion} of what the server has."""
        objects: dict[str, str] = self._request("GET", "/bench/state")["objects"]
        return objects

    def pods(self, limit: int) -> list[dict[str, Any]]:
        """Return the first Pods, without managedFields."""
        pods: list[dict[str, Any]] = self._request("GET", f"/api/v1/namespaces/{NAMESPACE}/pods?limit={limit}")["items"]
        for pod in pods:
            del pod["metadata"]["managedFields"]
        return pods

    def _request(self, method: str, path: str) -> Any:
        self._connection.request(method, path)
        return json.loads(self._connection.getresponse().read())


@attrs.define
class Heartbeat:
    """The longest time between two ticks of a timer of 1 ms: what any other user of the loop had to wait."""

    longest: float = 0.0
    longest_cpu: float = 0.0
    """The same in CPU seconds of the thread: what of it was our own work, not the machine's other processes."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Tick until the block ends."""
        loop = asyncio.get_running_loop()
        last, last_cpu, running = time.perf_counter(), time.thread_time(), True

        def tick() -> None:
            nonlocal last, last_cpu
            if not running:
                return
            now, cpu = time.perf_counter(), time.thread_time()
            self.longest = max(self.longest, now - last)
            self.longest_cpu = max(self.longest_cpu, cpu - last_cpu)
            last, last_cpu = now, cpu
            loop.call_later(0.001, tick)

        loop.call_later(0.001, tick)
        try:
            yield
        finally:
            tick()
            running = False

    def figures(self, name: str) -> dict[str, float]:
        """Return what was measured, in ms."""
        return {f"{name}_stall_ms": self.longest * 1e3, f"{name}_stall_cpu_ms": self.longest_cpu * 1e3}


async def measure(client: Client, options: Options) -> dict[str, float]:
    """Run all phases against a started server; raise CacheDiffersError when the cache is wrong afterwards."""
    control = Control(options.url, options.ca)
    figures = await _measure_sync(client, control)
    figures |= await _measure_burst(client, control, options.events, "")
    client.mode = "full"
    figures |= await _measure_burst(client, control, options.full_events, "full_")
    client.mode = "count"
    if options.paced_events:
        heartbeat = Heartbeat()
        with heartbeat.running():
            await _burst(client, control, options.paced_events, rate=20_000)
        figures |= heartbeat.figures("paced")
    if options.latency_events:
        client.mode = "latency"
        cpu = time.process_time()
        await _burst(client, control, options.latency_events, rate=1_000)
        figures["lone_cpu_us_per_event"] = (time.process_time() - cpu) / options.latency_events * 1e6
        quantiles = statistics.quantiles(client.latencies, n=100)
        figures |= {"latency_p50_us": quantiles[49] / 1e3, "latency_p99_us": quantiles[98] / 1e3}
    _compare(client, control)
    await client.close()
    return figures


async def _measure_sync(client: Client, control: Control) -> dict[str, float]:
    expected = len(control.versions())
    heartbeat = Heartbeat()
    await asyncio.sleep(0.2)
    gc.collect()
    before = _resident()
    _reset_peak()
    began = time.perf_counter()
    with heartbeat.running():
        await asyncio.wait_for(client.sync(), timeout=120)
    seconds = time.perf_counter() - began
    peak = _peak()
    gc.collect()
    await asyncio.sleep(0.2)
    kept = _resident()
    if len(client.held()) != expected:
        raise CacheDiffersError(f"{len(client.held())} objects after the first sync, {expected} on the server")
    return {
        "sync_s": seconds,
        "sync_objects_per_s": expected / seconds,
        **heartbeat.figures("sync"),
        "import_rss_mb": before / 1e6,
        "peak_growth_mb": (peak - before) / 1e6,
        "peak_mb": peak / 1e6,
        "kept_kb_per_object": (kept - before) / 1e3 / expected,
    }


async def _measure_burst(client: Client, control: Control, count: int, prefix: str) -> dict[str, float]:
    if not count:
        return {}
    await asyncio.sleep(0.1)
    cpu = time.process_time()
    seconds = await _burst(client, control, count, rate=0)
    cpu = time.process_time() - cpu
    return {f"{prefix}events_per_s": count / seconds, f"{prefix}cpu_us_per_event": cpu / count * 1e6}


async def _burst(client: Client, control: Control, count: int, rate: int) -> float:
    done = client.expect(str(control.version() + count))
    began = time.perf_counter()
    control.start_events(count, rate)
    await asyncio.wait_for(done.wait(), timeout=120)
    return time.perf_counter() - began


def _compare(client: Client, control: Control) -> None:
    held, server = client.held(), control.versions()
    if held != server:
        differing = sum(held.get(uid) != version for uid, version in server.items())
        raise CacheDiffersError(f"{differing} of {len(server)} objects differ; {len(held)} are held")
    for pod in control.pods(limit=100):
        content = client.content(pod["metadata"]["name"])
        if content is not None and content != {"apiVersion": "v1", "kind": "Pod", **pod}:
            raise CacheDiffersError(f"the content of {pod['metadata']['name']} differs")


def _resident() -> int:
    return int(psutil.Process().memory_info().rss)


def _reset_peak() -> None:
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Return the kernel's high-water mark of the resident set; a sampling thread would slow the client down."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def run(make_client: Callable[[Options], Client]) -> None:
    """Be the main function of a driver."""
    options = _parse()

    async def main() -> None:
        print(json.dumps(await measure(make_client(options), options)), flush=True)
        os._exit(0)  # a client may own threads and tasks that never end: SharedInformer does, and kopf

    if options.uvloop:
        import uvloop

        uvloop.run(main())
    else:
        asyncio.run(main())


def _parse() -> Options:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--events", type=int, default=10_000, help="events of the burst")
    parser.add_argument("--full-events", type=int, default=0, help="events of a burst decoded in full by the handler")
    parser.add_argument("--paced-events", type=int, default=0, help="events at 20,000/s, watching for stalls")
    parser.add_argument("--latency-events", type=int, default=0, help="events at 1,000/s, measuring their delay")
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--compress", action="store_true", help="of ours: keep the objects compressed")
    return Options(**vars(parser.parse_args()))
