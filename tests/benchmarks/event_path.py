"""What an event costs between the kernel and the handler, without a kernel: TLS, HTTP, lines, records, store, handler.

    python -m tests.benchmarks.event_path [--rounds 15]

The bytes are made before they are timed, and given to a connection as a loop would give them. So what is measured is
ours alone, and in D, the time of one `msgspec.json.decode` of the same Pods in the same round, it depends little on
what else the machine does. Prints one line of JSON.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import ssl
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from scopedcache.api.request_info import RequestInfo
from scopedcache.api.stream_connection import BUFFER_BYTES, SharedBuffers, StreamConnection
from scopedcache.api.watch.event_decoder import EventDecoder
from scopedcache.api.watch.watch_stream import EventBatches
from scopedcache.informer.event_handlers import EventHandler, change_handler
from scopedcache.informer.indexed_store import IndexedStore
from scopedcache.kinds import GVK, GVR, Resource
from scopedcache.objects import Object
from tests.benchmarks.certificate import write_certificates
from tests.benchmarks.cluster import Cluster
from tests.benchmarks.drivers.common import NAMESPACE

PODS = 10_000
_EVENTS = 5_000
_PER_READ = 50
_BODIES = 2_000
_PODS = Resource(GVR("", "v1", "pods"), GVK("", "v1", "Pod"), namespaced=True)
_HEAD = b"HTTP/1.1 200 -\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


class Wire:
    """The far end: a server's TLS over memory, and the transport that a connection writes to."""

    def __init__(self, certificate: Path, key: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def write(self, data: bytes) -> None:
        """Take what the connection sends."""
        self._incoming.write(data)

    def abort(self) -> None:
        """Be closed."""

    def pause_reading(self) -> None:
        """There is nothing to pause."""

    def resume_reading(self) -> None:
        """Nor to resume."""

    def shake(self) -> bytes:
        """Go on with the handshake; return what is to be sent."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        return self._outgoing.read()

    def encrypted(self, pieces: list[bytes]) -> bytes:
        """Return pieces as a server sends them that flushes every event: a record each."""
        for piece in pieces:
            self._tls.write(piece)
        return self._outgoing.read()


class Watch:
    """One watch, from the bytes of a socket to a handler."""

    def __init__(self, connection: StreamConnection, on_update: Callable[[Object, Object], None]) -> None:
        self._connection = connection
        self._batches = EventBatches(RequestInfo("watch", _PODS, NAMESPACE), EventDecoder())
        self.store = IndexedStore(_PODS, namespace=NAMESPACE)
        handler = EventHandler(on_add=lambda pod, initial: None, on_update=on_update)
        self.store.add_handler(change_handler(handler, _PODS.gvk, partial=False))

    async def take(self, data: bytes) -> int:
        """Take in what one read of a socket brings; return the number of events in it."""
        receive(self._connection, data)
        number = 0
        while self._connection.ready and (chunk := await self._connection.read()) is not None:
            self._batches.feed(chunk)
            while events := self._batches.take():
                for _, entry in events:
                    self.store.put(entry)
                number += len(events)
        return number


def receive(connection: StreamConnection, data: bytes) -> None:
    """Give bytes to a connection as a loop does."""
    for start in range(0, len(data), BUFFER_BYTES):
        part = data[start : start + BUFFER_BYTES]
        connection.get_buffer(-1)[: len(part)] = part
        connection.buffer_updated(len(part))


async def connected(wire: Wire, ca: Path) -> StreamConnection:
    """Return a connection whose answer has begun."""
    connection = StreamConnection(SharedBuffers(), lambda closed: None)
    connection.connection_made(wire)
    shaking = asyncio.ensure_future(connection.start_tls(ssl.create_default_context(cafile=ca), "localhost"))
    while not shaking.done():
        await asyncio.sleep(0)
        receive(connection, wire.shake())
    await shaking
    asking = asyncio.ensure_future(connection.ask(b"GET / HTTP/1.1\r\n\r\n", idle_timeout=75))
    await asyncio.sleep(0)
    receive(connection, wire.encrypted([_HEAD]))
    await asking
    return connection


async def measure(rounds: int, on_update: Callable[[Object, Object], None]) -> list[tuple[float, float]]:
    """Return, of each round, the CPU seconds of an event and of a D."""
    cluster = Cluster(PODS, 1, 100)
    members = cluster.members(NAMESPACE)
    with tempfile.TemporaryDirectory(prefix="scopedcache-bench-") as folder:
        ca, certificate, key = write_certificates(Path(folder))
        wire = Wire(certificate, key)
        connection = await connected(wire, ca)
    path = Watch(connection, on_update)
    for batch in cluster.render_added(members):
        await path.take(wire.encrypted(batch))
    bodies = [pod.to_json() for pod in _pods(path.store)]
    found = []
    for _ in range(rounds):
        pieces = _events(cluster, members)
        reads = [wire.encrypted(pieces[at : at + _PER_READ]) for at in range(0, _EVENTS, _PER_READ)]
        gc.collect()
        began, number = time.process_time(), 0
        for data in reads:
            number += await path.take(data)
        took = (time.process_time() - began) / number
        assert number == _EVENTS
        found.append((took, _decoding(bodies)))
    connection.close()
    return found


def _pods(store: IndexedStore) -> list[Object]:
    store.allow_reads()
    return store.list()[:_BODIES]


def _events(cluster: Cluster, members: range) -> list[bytes]:
    before = cluster.version
    cluster.change(_EVENTS, time.time_ns())
    pieces: list[bytes] = []
    for batch in cluster.render_events(members, before):
        if not batch:
            break
        pieces += batch
    return pieces


def _decoding(bodies: list[bytes]) -> float:
    """Return the CPU seconds of one D."""
    began = time.process_time()
    for body in bodies:
        msgspec.json.decode(body)
    return (time.process_time() - began) / len(bodies)


def figures(name: str, rounds: list[tuple[float, float]]) -> dict[str, float]:
    """Return the figures of some rounds: the least of each, because other processes only ever add."""
    event, decoding = (min(column) for column in zip(*rounds, strict=True))
    spread: Any = statistics.median(round_[0] / round_[1] for round_ in rounds)
    return {f"{name}_us": event * 1e6, f"{name}_d": event / decoding, f"{name}_d_median": spread}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.event_path")
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    noticed = asyncio.run(measure(rounds, lambda old, new: None))
    decoded = asyncio.run(measure(rounds, lambda old, new: (new.to_dict(), None)[1]))
    print(json.dumps(figures("path", noticed) | figures("path_full", decoded)), flush=True)


if __name__ == "__main__":
    main()
