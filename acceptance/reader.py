"""A test operator that does nothing but read its cache, a thousand times a second, and hear of Pods, until it is ended.

Says in JSON lines when it reads, when the first read was refused, and at the end what it saw. Times are of the
machine's monotonic clock, which the harness shares.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time
from typing import Any

import attrs

from scopedcache import Client, EventHandler, ForbiddenError, Need, Object, ResourceCache, ScopedCache, ScopedCacheError

DEPLOYMENT = "deployments.apps"
POD = "pods"
PAUSE = 0.001


@attrs.define
class Seen:
    """What the reads returned."""

    reads: int = 0
    last_object_at: float = 0.0
    forbidden_at: float = 0.0
    other_errors: int = 0
    handled: int = 0
    handled_at: float = 0.0
    call_refused_at: float = 0.0
    call_error: str = ""
    began: float = attrs.field(factory=time.monotonic)

    def handle(self, *_: object) -> None:
        """Take a call of an event handler."""
        self.handled += 1
        self.handled_at = time.monotonic()

    def summary(self) -> dict[str, Any]:
        return {**attrs.asdict(self), "rate": self.reads / (time.monotonic() - self.began)}


async def read_on(scope: ResourceCache, seen: Seen, stop: asyncio.Event) -> None:
    """List both kinds, again and again, and note what came of it."""
    due = time.monotonic()
    while not stop.is_set():
        try:
            found = [*scope.list(POD), *scope.list(DEPLOYMENT)]
            if found:
                seen.last_object_at = time.monotonic()
            if not seen.reads:
                say("reading", objects=len(found))
        except ForbiddenError as error:
            if not seen.forbidden_at:
                seen.forbidden_at = time.monotonic()
                say("forbidden", verb=error.verb, resource=error.resource, namespace=error.namespace)
        except ScopedCacheError as error:
            seen.other_errors += 1
            if seen.other_errors == 1:
                say("unexpected", error=repr(error))
        seen.reads += 1
        due = max(due + PAUSE, time.monotonic() - 1.0)
        await asyncio.sleep(due - time.monotonic())


async def call_on(client: Client, namespace: str, every: float, seen: Seen, stop: asyncio.Event) -> None:
    """Ask the server itself, until it refuses once."""
    while not stop.is_set() and not seen.call_error:
        await asyncio.sleep(every)
        try:
            await client.list(POD, namespace=namespace)
        except ScopedCacheError as error:
            seen.call_refused_at, seen.call_error = time.monotonic(), type(error).__name__


async def run(options: argparse.Namespace) -> None:
    """Open the scope of the owner, and read until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    metadata = {"namespace": options.namespace, "name": options.name, "uid": options.uid}
    owner = Object.from_dict({"apiVersion": "cache.example.com/v1alpha1", "kind": "Memcached", "metadata": metadata})
    async with ScopedCache.connect(kubeconfig=options.kubeconfig) as cache:
        scope = await cache.open(owner, Need(DEPLOYMENT), Need(POD))
        seen = Seen()
        handler = EventHandler(on_add=seen.handle, on_update=seen.handle, on_delete=seen.handle)
        async with cache.informer(POD, namespace=options.namespace) as pods, asyncio.TaskGroup() as tasks:
            pods.add_handler(handler)
            tasks.create_task(read_on(scope, seen, stop))
            if options.call_every:
                tasks.create_task(call_on(cache.client, options.namespace, options.call_every, seen, stop))
    say("done", **seen.summary())


def say(event: str, **fields: Any) -> None:
    """Print a JSON line."""
    print(json.dumps({"event": event, "at": time.monotonic(), **fields}), flush=True)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m acceptance.reader", description=__doc__)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--uid", required=True)
    parser.add_argument("--call-every", type=float, default=0.0, metavar="SECONDS", help="also ask the server")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
