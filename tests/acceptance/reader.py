"""A test operator that does nothing but read its cache, a thousand times a second, and hear of Pods, until it is ended.

Says in JSON lines when it reads, when the first read was refused, and at the end what it saw. Times are the loop's: as
a process that is the machine's monotonic clock, which the harness shares.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from collections.abc import Callable
from typing import Any

import attrs

from scopedcache import (
    Client,
    EventHandler,
    ForbiddenError,
    Need,
    Object,
    ResourceCache,
    ScopedCache,
    ScopedCacheError,
)

DEPLOYMENT = "deployments.apps"
POD = "pods"
PAUSE = 0.001
Write = Callable[[str], None]


@attrs.define
class Seen:
    """What the reads returned."""

    write: Write
    reads: int = 0
    last_object_at: float = 0.0
    forbidden_at: float = 0.0
    other_errors: int = 0
    handled: int = 0
    handled_at: float = 0.0
    call_refused_at: float = 0.0
    call_error: str = ""
    began: float = attrs.field(factory=lambda: _now())

    def handle(self, *_: object) -> None:
        """Take a call of an event handler."""
        self.handled += 1
        self.handled_at = _now()

    def summary(self) -> dict[str, Any]:
        found = {field.name: getattr(self, field.name) for field in attrs.fields(Seen)[1:]}
        return {**found, "rate": self.reads / (_now() - self.began)}

    def say(self, event: str, **fields: Any) -> None:
        """Write a JSON line."""
        self.write(json.dumps({"event": event, "at": _now(), **fields}))


async def read_on(scope: ResourceCache, seen: Seen, stop: asyncio.Event) -> None:
    """List both kinds, again and again, and note what came of it."""
    due = _now()
    while not stop.is_set():
        try:
            found = [*scope.list(POD), *scope.list(DEPLOYMENT)]
            if found:
                seen.last_object_at = _now()
            if not seen.reads:
                seen.say("reading", objects=len(found))
        except ForbiddenError as error:
            if not seen.forbidden_at:
                seen.forbidden_at = _now()
                seen.say("forbidden", verb=error.verb, resource=error.resource, namespace=error.namespace)
        except ScopedCacheError as error:
            seen.other_errors += 1
            if seen.other_errors == 1:
                seen.say("unexpected", error=repr(error))
        seen.reads += 1
        due = max(due + PAUSE, _now() - 1.0)
        await asyncio.sleep(due - _now())


async def call_on(client: Client, namespace: str, every: float, seen: Seen, stop: asyncio.Event) -> None:
    """Ask the server itself, until it refuses once."""
    while not stop.is_set() and not seen.call_error:
        await asyncio.sleep(every)
        try:
            await client.list(POD, namespace=namespace)
        except ScopedCacheError as error:
            seen.call_refused_at, seen.call_error = _now(), type(error).__name__


async def run(cache: ScopedCache, options: argparse.Namespace, stop: asyncio.Event, write: Write) -> None:
    """Open the scope of the owner, and read until told to stop."""
    metadata = {"namespace": options.namespace, "name": options.name, "uid": options.uid}
    owner = Object.from_dict({"apiVersion": "cache.example.com/v1alpha1", "kind": "Memcached", "metadata": metadata})
    scope = await cache.open(owner, Need(DEPLOYMENT), Need(POD))
    seen = Seen(write)
    handler = EventHandler(on_add=seen.handle, on_update=seen.handle, on_delete=seen.handle)
    async with cache.informer(POD, namespace=options.namespace) as pods, asyncio.TaskGroup() as tasks:
        pods.add_handler(handler)
        tasks.create_task(read_on(scope, seen, stop))
        if options.call_every:
            tasks.create_task(call_on(cache.client, options.namespace, options.call_every, seen, stop))
    seen.say("done", **seen.summary())


async def run_as_process(options: argparse.Namespace) -> None:
    """Run until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with ScopedCache.connect(kubeconfig=options.kubeconfig) as cache:
        await run(cache, options, stop, lambda line: print(line, flush=True))


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    wanted = argparse.ArgumentParser(prog="python -m tests.acceptance.reader", description=__doc__)
    wanted.add_argument("--kubeconfig")
    wanted.add_argument("--namespace", required=True)
    wanted.add_argument("--name", required=True)
    wanted.add_argument("--uid", required=True)
    wanted.add_argument("--call-every", type=float, default=0.0, metavar="SECONDS", help="also ask the server")
    return wanted


def _now() -> float:
    return asyncio.get_running_loop().time()


if __name__ == "__main__":
    asyncio.run(run_as_process(parser().parse_args()))
