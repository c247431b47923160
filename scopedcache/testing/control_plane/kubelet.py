"""A kubelet that runs nothing: it binds pods to its node, says that they are ready, and lets deleted ones go.

Runs as a process of its own (`python -m scopedcache.testing.control_plane.kubelet --kubeconfig …`), so that a
thousand pods never take time from the loop of a test. It is the scheduler too: every pod without a node
becomes its own, unless another node has an image by the names of all its containers, whatever their tags.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import logging
import random
import signal
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import aiohttp
import attrs
import msgspec
import yaml

from ..fake_node import Pod, node_manifest, node_status, running_status

logger = logging.getLogger("scopedcache.testing.control_plane.kubelet")

REQUESTS_AT_ONCE: Final = 32
PAGE_ITEMS: Final = 500
WATCH_SECONDS: Final = 300
Action = Literal["bind", "run", "delete"]


class ListMetadata(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class PodList(msgspec.Struct):
    metadata: ListMetadata
    items: list[Pod]


class Bookmark(msgspec.Struct):
    """An object of which nothing is told but a version; the rest of it is null."""

    metadata: ListMetadata


class Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


_list = msgspec.json.Decoder(PodList)
_event = msgspec.json.Decoder(Event)
_bookmark = msgspec.json.Decoder(Bookmark)
_pod = msgspec.json.Decoder(Pod)


class Relist(Exception):
    """The watch cannot be resumed: list again."""


def read_event(line: bytes) -> tuple[str, Pod | None, str]:
    """Return the type of an event, its pod, which a bookmark has not, and its version.

    Raises:
        Relist: the event is an error.
        msgspec.DecodeError: it is no event.
    """
    event = _event.decode(line)
    if event.type == "ERROR":
        raise Relist
    if event.type == "BOOKMARK":
        return event.type, None, _bookmark.decode(event.object).metadata.resource_version
    pod = _pod.decode(event.object)
    return event.type, pod, pod.metadata.resource_version


def next_action(pod: Pod, node: str) -> Action | None:
    """Return what to do next for a pod, None when there is nothing."""
    if pod.spec.node_name not in ("", node):
        return None
    if pod.metadata.deletion_timestamp is not None:
        # Grace 0 was sent already where the pod stays for a finalizer.
        return None if pod.metadata.deletion_grace_period_seconds == 0 else "delete"
    if not pod.spec.node_name:
        return "bind"
    return "run" if pod.status.phase in ("", "Pending") else None


@attrs.define(eq=False)
class Kubelet:
    """Follows all pods of the cluster and drives each one, several at a time, one step after the other per pod."""

    session: aiohttp.ClientSession
    server: str
    node: str
    other_node: str | None = None
    pods: dict[str, Pod] = attrs.field(factory=dict)
    driving: dict[str, asyncio.Task[None]] = attrs.field(factory=dict)
    at_once: asyncio.Semaphore = attrs.field(factory=lambda: asyncio.Semaphore(REQUESTS_AT_ONCE))
    addresses: itertools.count[int] = attrs.field(factory=lambda: itertools.count(1))

    async def run(self) -> None:
        """Register the node, then follow the pods until cancelled; a lost server is waited for."""
        version, pause = "", 0.1
        registered = False
        while True:
            try:
                if not registered:
                    await self.register()
                    registered = True
                version = version or await self.list()
                async for seen in self.watch(version):
                    version, pause = seen, 0.1
            except Relist:
                version = ""
            except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
                logger.info("no answer from the API server: %s", type(error).__name__)
                version = ""
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))
                pause = min(pause * 2, 1.0)

    async def register(self) -> None:
        """Create the Node where it is missing, and report it ready."""
        await self.send("POST", "/api/v1/nodes", node_manifest(self.node), accept=(409,))
        await self.send("PATCH", f"/api/v1/nodes/{self.node}/status", {"status": node_status(timestamp())})

    async def list(self) -> str:
        """Take over all pods as they are and return the version to watch from."""
        found: dict[str, Pod] = {}
        token = ""
        while True:
            query = {"limit": str(PAGE_ITEMS), **({"continue": token} if token else {})}
            async with self.session.get(self.server + "/api/v1/pods", params=query) as answer:
                if answer.status == 410:
                    raise Relist
                answer.raise_for_status()
                page = _list.decode(await answer.read())
            found |= {pod.metadata.uid: pod for pod in page.items}
            token = page.metadata.continue_
            if not token:
                break
        self.pods = found
        for uid in found:
            self.drive(uid)
        return page.metadata.resource_version

    async def watch(self, version: str) -> AsyncIterator[str]:
        """Follow the pods from a version; yield the version after each event. Ends when the stream ends."""
        query = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true"}
        query["timeoutSeconds"] = str(WATCH_SECONDS)
        timeout = aiohttp.ClientTimeout(total=None, sock_read=WATCH_SECONDS + 30)
        async with self.session.get(self.server + "/api/v1/pods", params=query, timeout=timeout) as answer:
            if answer.status == 410:
                raise Relist
            answer.raise_for_status()
            async for line in lines(answer.content):
                kind, pod, seen = read_event(line)
                if kind == "DELETED" and pod:
                    self.pods.pop(pod.metadata.uid, None)
                elif pod:
                    self.pods[pod.metadata.uid] = pod
                    self.drive(pod.metadata.uid)
                yield seen

    def drive(self, uid: str) -> None:
        """Begin to work on a pod unless somebody does, or there is nothing to do."""
        pod = self.pods[uid]
        if uid not in self.driving and next_action(pod, self.node):
            self.driving[uid] = asyncio.create_task(self.drive_on(uid), name=pod.metadata.name)

    async def drive_on(self, uid: str) -> None:
        """Do one step after the other until nothing is left to do; retry with growing pauses."""
        pause = 0.1
        try:
            while (pod := self.pods.get(uid)) and (action := next_action(pod, self.node)):
                try:
                    async with self.at_once:
                        await self.act(action, pod)
                    pause = 0.1
                except (aiohttp.ClientError, TimeoutError) as error:
                    reason = getattr(error, "status", type(error).__name__)
                    logger.info("%s %s/%s: %s", action, pod.metadata.namespace, pod.metadata.name, reason)
                    await asyncio.sleep(pause * random.uniform(0.8, 1.2))
                    pause = min(pause * 2, 2.0)
        finally:
            # In the same step as the last look: an event that comes later finds nobody at work and begins anew.
            del self.driving[uid]

    async def act(self, action: Action, pod: Pod) -> None:
        """Do one step, and note its effect in `pod` without waiting for the event that tells of it."""
        name, namespace = pod.metadata.name, pod.metadata.namespace
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        if action == "delete":
            body = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod.metadata.uid}}
            await self.send("DELETE", path, body, accept=(404, 409))
            pod.metadata.deletion_grace_period_seconds = 0
        elif action == "bind":
            node = await self.node_for(pod)
            target = {"apiVersion": "v1", "kind": "Node", "name": node}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name, "uid": pod.metadata.uid}}
            status = await self.send("POST", path + "/binding", {**binding, "target": target}, accept=(404, 409))
            pod.spec.node_name = node if status < 400 else "another"
        else:
            number = next(self.addresses)
            ip = f"10.{64 + number // 65_536 % 64}.{number // 256 % 256}.{number % 256}"
            status_of = running_status(pod, ip, timestamp())
            body = {"metadata": {"uid": pod.metadata.uid}, "status": status_of}
            await self.send("PATCH", path + "/status", body, accept=(404, 409))
            pod.status.phase = "Running"

    async def node_for(self, pod: Pod) -> str:
        """Return the node that a pod goes to: the other one where that has its images, else ours."""
        if self.other_node is None:
            return self.node
        async with self.session.get(f"{self.server}/api/v1/nodes/{self.other_node}") as answer:
            answer.raise_for_status()
            status = (await answer.json()).get("status", {})
        there = {repository(name) for image in status.get("images") or () for name in image.get("names") or ()}
        wanted = {repository(container.image) for container in pod.spec.containers}
        return self.other_node if wanted <= there else self.node

    async def send(self, method: str, path: str, body: dict[str, Any], *, accept: tuple[int, ...] = ()) -> int:
        """Send a request and return the status; raise ClientResponseError for a failure that is not accepted."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        data = msgspec.json.encode(body)
        url = self.server + path
        async with self.session.request(method, url, data=data, headers={"Content-Type": kind}) as answer:
            await answer.read()
            if answer.status not in accept:
                answer.raise_for_status()
            return answer.status


async def lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield the complete lines of a stream, however long they are."""
    rest = bytearray()
    async for chunk in stream.iter_any():
        rest += chunk
        if b"\n" in chunk:
            *complete, last = bytes(rest).split(b"\n")
            rest = bytearray(last)
            for line in complete:
                if line:
                    yield line


def repository(image: str) -> str:
    """Return the name of an image without its tag or digest, and without what container runtimes add to short names."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return (head + slash + last.partition(":")[0]).removeprefix("docker.io/").removeprefix("library/")


def timestamp() -> str:
    """Return the time as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def serve(config: dict[str, Any], node: str, other_node: str | None = None) -> None:
    """Run a kubelet with the rights of a kubeconfig (a CA file and a token) until SIGTERM or cancellation."""
    cluster = config["clusters"][0]["cluster"]
    token = config["users"][0]["user"]["token"]
    context = ssl.create_default_context(cafile=cluster["certificate-authority"])
    connector = aiohttp.TCPConnector(ssl=context, limit=REQUESTS_AT_ONCE + 4)
    timeout = aiohttp.ClientTimeout(total=15)
    headers = {"Authorization": f"Bearer {token}", "User-Agent": "scopedcache-fake-kubelet"}
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout) as session:
        running = asyncio.ensure_future(Kubelet(session, cluster["server"], node, other_node).run())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await running


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m scopedcache.testing.control_plane.kubelet", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--node", default="fake-node")
    parser.add_argument("--other-node", help="a node that runs containers, for pods of images it has")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(yaml.safe_load(options.kubeconfig.read_text()), options.node, options.other_node))


if __name__ == "__main__":
    main()
