"""Reconciles a Memcached: all there is to write. Watches, caches and lost rights are the library's business."""

from __future__ import annotations

import logging
from typing import Final

from scopedcache import Client, Need, Request, Result, ScopedCache
from scopedcache.kit import add_finalizer, create_or_update, patch_status, remove_finalizer

from .operand import DEPLOYMENT, MEMCACHED, POD, is_foreign, namesake, new_deployment, selector_of, shape
from .status import name_taken_status, success_status

FINALIZER: Final = "cache.example.com/finalizer"
logger = logging.getLogger("memcached-operator")


class MemcachedReconciler:
    """Makes a Deployment of each Memcached, and writes the names of its Pods into its status."""

    def __init__(self, cache: ScopedCache, client: Client) -> None:
        self.cache = cache
        self.client = client

    async def reconcile(self, request: Request) -> Result:
        fields = {"namespace": request.namespace, "object_name": request.name}
        memcached = self.cache.cluster.get(MEMCACHED, request.key)
        if memcached is None:
            logger.info("cr.gone", extra=fields)
            return Result()
        if memcached.deletion_timestamp:
            logger.info("cr.deleting", extra=fields)
            self.cache.close(memcached)
            await remove_finalizer(self.client, memcached, FINALIZER)
            return Result()
        memcached = await add_finalizer(self.client, memcached, FINALIZER)

        scope = await self.cache.open(
            memcached,
            Need(DEPLOYMENT, verbs=("create", "update"), route=namesake),
            Need(POD, selector=selector_of(memcached)),
        )
        scope.check()
        logger.info("child.get", extra=fields)
        existing = scope.get(DEPLOYMENT, request.key)
        if existing is not None and is_foreign(memcached, existing):
            await patch_status(self.client, memcached, name_taken_status(memcached))
            return Result()
        deployment, change = await create_or_update(
            self.client, new_deployment(memcached), lambda draft: shape(memcached, draft), read=scope.get
        )
        if change != "unchanged":
            logger.info("child.create" if change == "created" else "child.update", extra=fields)
        nodes = sorted(pod.name for pod in scope.list(POD) if not pod.deletion_timestamp)
        await patch_status(self.client, memcached, success_status(memcached, deployment, nodes))
        return Result()
