"""The load server: HTTPS on loopback, fast enough not to be what is measured.

    python -m tests.benchmarks.server --directory DIR [--pods 10000] [--namespaces 1] [--owners 100] [--plain]

It prints one JSON line, {"url": …, "ca": …}, and serves until its standard input closes. What a client finds: discovery
of v1, Pods (get, list in pages, watch, streaming list), reviews that allow everything, `/bench/events?count=&rate=` to
modify Pods, and `/bench/state` to compare a cache with.
"""

import argparse
import asyncio
import json
import logging
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs, urlsplit

import uvloop

from tests.benchmarks.certificate import write_certificates
from tests.benchmarks.cluster import Cluster

_HIGH_WATER = 256 * 1024
_BOOKMARK_PERIOD = 30.0
_BURST = 1_000
_ALLOW_ALL = {
    "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    "incomplete": False,
}
_PODS_RESOURCE = {
    "name": "pods",
    "singularName": "pod",
    "namespaced": True,
    "kind": "Pod",
    "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
    "shortNames": ["po"],
}
# It is not asked for; kopf does not begin without it.
_NAMESPACES_RESOURCE = {**_PODS_RESOURCE, "name": "namespaces", "singularName": "namespace", "kind": "Namespace"}
_DOCUMENTS: dict[str, object] = {
    "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.0", "platform": "linux/amd64"},
    "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [_PODS_RESOURCE, _NAMESPACES_RESOURCE | {"namespaced": False}],
    },
}
Query = dict[str, str]


class ServerFeatures:
    """The state shared by all connections."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.watches: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()

    def start_events(self, count: int, rate: float) -> None:
        """Make `count` events from now on: `rate` per second, or as fast as possible when it is 0."""
        task = asyncio.ensure_future(self._make_events(count, rate or float("inf")))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _make_events(self, count: int, rate: float) -> None:
        began, made = time.perf_counter(), 0
        while made < count:
            await asyncio.sleep(0 if rate == float("inf") else 0.0005)
            due = min((time.perf_counter() - began) * rate + 1, count, made + _BURST)
            if int(due) > made:
                self.cluster.change(int(due) - made, time.time_ns())
                made = int(due)
                for connection in list(self.watches):
                    connection.pump()


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection; requests are answered one after the other."""

    def __init__(self, server: ServerFeatures) -> None:
        self._server = server
        self._buffer = b""
        self._transport: asyncio.Transport
        self._body: Iterator[list[bytes]] | None = None
        self._paused = False
        self._bookmarks: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_watch()
        self._body = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._read_requests()

    def _read_requests(self) -> None:
        while self._body is None and (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            lines = self._buffer[:end].decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            length = int(headers.get("content-length", "0"))
            if len(self._buffer) < end + 4 + length:
                return
            body, self._buffer = self._buffer[end + 4 : end + 4 + length], self._buffer[end + 4 + length :]
            method, target, _ = lines[0].split(" ", 2)
            self._answer(method, target, body)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self.pump()

    def pump(self) -> None:
        """Write pieces of the open body until it has no more or the transport has enough."""
        while self._body is not None and not self._paused:
            pieces = next(self._body, None)
            if pieces is None:
                self._body = None
                self._transport.write(b"0\r\n\r\n")
                asyncio.get_running_loop().call_soon(self._read_requests)
                return
            if not pieces:
                return  # a watch without news: `make_events` comes back
            for piece in pieces:  # a write each: the TLS records are those of a server that flushes every event
                self._transport.write(piece)

    def _answer(self, method: str, target: str, body: bytes) -> None:
        url = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        parts = url.path.strip("/").split("/")
        match method, parts:
            case "GET", ["api", "v1", "pods"]:
                self._collection(None, query)
            case "GET", ["api", "v1", "namespaces", namespace, "pods"]:
                self._collection(namespace, query)
            case "GET", ["api", "v1", "namespaces", namespace, "pods", name]:
                self._reply(200, self._server.cluster.find(namespace, name))
            case "POST", ["apis", "authorization.k8s.io", _, review]:
                self._review(review, body)
            case "POST", ["bench", "events"]:
                self._server.start_events(int(query["count"]), float(query.get("rate", "0")))
                self._reply(200, b"{}")
            case "GET", ["bench", "state"]:
                cluster = self._server.cluster
                self._reply(200, json.dumps({"version": cluster.version, "objects": cluster.versions()}).encode())
            case _:
                document = _DOCUMENTS.get("/" + "/".join(parts)) if method == "GET" else None
                self._reply(200, json.dumps(document).encode() if document else None)

    def _review(self, review: str, body: bytes) -> None:
        allowed = {"allowed": True} if review == "selfsubjectaccessreviews" else _ALLOW_ALL
        self._reply(201, json.dumps(json.loads(body) | {"status": allowed}).encode())

    def _reply(self, status: int, body: bytes | None) -> None:
        if body is None:
            status = 404
            failure = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            body = json.dumps(failure | {"message": "not served by the load server"}).encode()
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)

    def _collection(self, namespace: str | None, query: Query) -> None:
        cluster = self._server.cluster
        members = cluster.members(namespace)
        self._transport.write(b"HTTP/1.1 200 -\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        if query.get("watch") in ("true", "True", "1"):
            self._body = self._watch_body(members, query)
            self._server.watches.add(self)
            self._schedule_bookmark(query)
        else:
            limit = int(query["limit"]) if query.get("limit", "0") != "0" else None
            pieces = cluster.render_list(members, int(query.get("continue", "0")), limit)
            self._body = ([b"%x\r\n%b\r\n" % (len(piece), piece)] for piece in pieces)
        self.pump()

    def _watch_body(self, members: range, query: Query) -> Iterator[list[bytes]]:
        cluster = self._server.cluster
        asked, version = query.get("resourceVersion", ""), cluster.version
        streaming = query.get("sendInitialEvents") == "true"
        if streaming or asked in ("", "0"):
            yield from cluster.render_added(members)
            if streaming:
                yield [cluster.render_bookmark(initial_events_end=True)]
        else:
            version = int(asked)
        yield from cluster.render_events(members, after=version)

    def _schedule_bookmark(self, query: Query) -> None:
        if query.get("allowWatchBookmarks") != "true":
            return
        loop = asyncio.get_running_loop()

        def send() -> None:
            if not self._paused:
                self._transport.write(self._server.cluster.render_bookmark(initial_events_end=False))
            self._bookmarks = loop.call_later(_BOOKMARK_PERIOD, send)

        self._bookmarks = loop.call_later(_BOOKMARK_PERIOD, send)

    def _end_watch(self) -> None:
        self._server.watches.discard(self)
        if self._bookmarks is not None:
            self._bookmarks.cancel()


async def serve(cluster: Cluster, directory: Path, *, plain: bool) -> None:
    """Serve on a free port until standard input ends; say where on standard output."""
    authority, certificate, key = write_certificates(directory)
    context = None
    if not plain:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()
    state = ServerFeatures(cluster)
    server = await loop.create_server(lambda: Connection(state), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"url": f"{'http' if plain else 'https'}://127.0.0.1:{port}", "ca": str(authority)}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    """Parse the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.server")
    parser.add_argument("--directory", type=Path, required=True, help="where the certificate is written")
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--namespaces", type=int, default=1)
    parser.add_argument("--owners", type=int, default=100)
    parser.add_argument("--plain", action="store_true", help="HTTP instead of HTTPS")
    options = parser.parse_args()
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # a peer that leaves at once is warned of event by event
    cluster = Cluster(options.pods, options.namespaces, options.owners)
    uvloop.run(serve(cluster, options.directory, plain=options.plain))


if __name__ == "__main__":
    main()
