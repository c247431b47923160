"""The Memcached operator as most people write one.

It declares its kinds (`owns=`, `watches=`) and reads them from the cluster cache; it opens nothing for its custom
resources. With `--namespaces a,b` it works, and needs rights, in these alone.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Iterable
from typing import Final

from examples.memcached_operator.__main__ import PROGRAM
from examples.memcached_operator.operand import DEPLOYMENT, MEMCACHED, POD, new_deployment, selector_of, shape
from examples.memcached_operator.status import refusal_status, success_status
from scopedcache import Client, Object, ObjectKey, Request, Result, ScopedCache
from scopedcache.controller import Controller, Manager, Watch, stop_signals
from scopedcache.kit import configure_logging, create_or_update, patch_status
from scopedcache.metrics import Counters

logger = logging.getLogger(PROGRAM.name)
NAME_LABEL: Final = "memcached_cr"


class DeclaringReconciler:
    """Makes a Deployment of each Memcached, and writes the names of its Pods into its status."""

    def __init__(self, cache: ScopedCache, client: Client) -> None:
        self.cache = cache
        self.client = client

    async def reconcile(self, request: Request) -> Result:
        memcached = self.cache.cluster.get(MEMCACHED, request.key)
        if memcached is None or memcached.deletion_timestamp:
            return Result()
        deployment, _ = await create_or_update(
            self.client,
            new_deployment(memcached),
            lambda draft: shape(memcached, draft),
            read=self.cache.cluster.get,
        )
        pods = self.cache.cluster.in_namespace(request.namespace).list(POD, labels=selector_of(memcached))
        nodes = sorted(pod.name for pod in pods if not pod.deletion_timestamp)
        await patch_status(self.client, memcached, success_status(memcached, deployment, nodes))
        return Result()


def memcached_of(pod: Object) -> Iterable[ObjectKey]:
    """Name the Memcached that a Pod works for: a Pod's owner is a ReplicaSet."""
    name = pod.labels.get(NAME_LABEL)
    return [ObjectKey(pod.namespace, name)] if name else []


def assemble(client: Client, options: argparse.Namespace) -> tuple[ScopedCache, Manager]:
    """Put the operator together."""
    counters = Counters()
    cache = ScopedCache(client, instrumentation=counters)
    controller = Controller(
        for_=MEMCACHED,
        reconcile=DeclaringReconciler(cache, client),
        namespaces=options.namespaces.split(",") if options.namespaces else None,
        owns=[DEPLOYMENT],
        watches=[Watch(POD, memcached_of)],
        on_forbidden=refusal_status,
        workers=4,
    )
    manager = Manager(
        cache,
        controllers=[controller],
        health_address=options.health_address,
        metrics_address=options.metrics_address,
        stop_timeout=2.0,
        instrumentation=counters,
        name=PROGRAM.name,
    )
    return cache, manager


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    options = argparse.ArgumentParser(prog="python -m tests.acceptance.declaring_operator", description=__doc__)
    options.add_argument("--kubeconfig")
    options.add_argument("--namespaces", default="")
    options.add_argument("--health-probe-bind-address", dest="health_address", default="127.0.0.1:8081")
    options.add_argument("--metrics-bind-address", dest="metrics_address", default="127.0.0.1:8080")
    options.add_argument("--log-format", choices=("text", "json"), default="text")
    return options


async def run(options: argparse.Namespace) -> None:
    """Run until SIGTERM or SIGINT."""
    async with Client.connect(kubeconfig=options.kubeconfig) as client:
        cache, manager = assemble(client, options)
        with stop_signals() as stop:
            async with cache:
                await manager.run(stop)


def main() -> int:
    options = parser().parse_args()
    configure_logging(options.log_format, PROGRAM.name)
    asyncio.run(run(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
