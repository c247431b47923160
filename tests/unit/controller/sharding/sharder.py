"""A stand-in for the sharder of kubernetes-controller-sharding, which cannot be had here: no Go program runs in tests.

It plays that part by its documentation and sources (https://github.com/timebertt/kubernetes-controller-sharding,
docs/design.md, pkg/sharding/leases/state.go, pkg/controller/sharder/reconciler.go): shards that are there by their
Leases, consistent hashing of group, kind, namespace and name, a drain label for what is to leave a shard that is there,
and a reassignment by force for one that is not. It cannot show what the real one does beyond that. The webhook's part,
to assign an object in the request that leaves it without a shard, is `webhook`; without it objects are assigned at the
next `sync`, as where the real one's webhook does not answer (failure policy Ignore).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal

from scopedcache.clock import wall_time
from scopedcache.errors import ConflictError, NotFoundError
from scopedcache.kinds import Resource
from scopedcache.testing.resources import Resources

LEASES = "leases.coordination.k8s.io"
RING_LABEL = "alpha.sharding.timebertt.dev/controllerring"
STATE_LABEL = "alpha.sharding.timebertt.dev/state"
SHARDER = "shardlease-controller"
TOKENS_PER_SHARD = 100

State = Literal["ready", "expired", "uncertain", "dead"]


class Sharder:
    """Assigns the objects of one kind to the shards of one ring; `sync` is one pass over everything."""

    def __init__(self, cluster: Resources, ring: str, kind: Resource, namespace: str) -> None:
        self.ring = ring
        self.shard_label = f"shard.alpha.sharding.timebertt.dev/{ring}"
        self.drain_label = f"drain.alpha.sharding.timebertt.dev/{ring}"
        self._cluster = cluster
        self._kind = kind
        self._namespace = namespace
        self._available: set[str] = set()

    async def run(self, every: float = 0.5) -> None:
        while True:
            self.sync()
            await asyncio.sleep(every)

    def sync(self) -> None:
        states = self._look_at_leases()
        self._available = {name for name, state in states.items() if state != "dead"}
        for obj in self._cluster.list(str(self._kind)):
            with suppress(ConflictError, NotFoundError):  # again in the next pass
                self._sync_object(obj)

    # -- shards --------------------------------------------------------------------------------------------------

    def _look_at_leases(self) -> dict[str, State]:
        found: dict[str, State] = {}
        for lease in self._cluster.list(LEASES, self._namespace, selector=f"{RING_LABEL}={self.ring}"):
            name = lease["metadata"]["name"]
            try:
                found[name] = self._look_at(lease)
            except (ConflictError, NotFoundError):
                found[name] = "expired"
        return found

    def _look_at(self, lease: dict[str, Any]) -> State:
        state, name = state_of(lease, wall_time()), lease["metadata"]["name"]
        version = lease["metadata"]["resourceVersion"]
        if lease["metadata"]["labels"].get(STATE_LABEL) != state:
            labelled = {"metadata": {"resourceVersion": version, "labels": {STATE_LABEL: state}}}
            lease = self._cluster.patch(LEASES, name, labelled, self._namespace)
        if state != "uncertain":
            return state
        stamp = wall_time().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        taken = {
            "holderIdentity": SHARDER,
            "leaseDurationSeconds": 2 * lease["spec"]["leaseDurationSeconds"],
            "acquireTime": stamp,
            "renewTime": stamp,
        }
        version = lease["metadata"]["resourceVersion"]
        self._cluster.patch(LEASES, name, {"metadata": {"resourceVersion": version}, "spec": taken}, self._namespace)
        return "dead"

    # -- objects -------------------------------------------------------------------------------------------------

    def _sync_object(self, obj: dict[str, Any]) -> None:
        wanted = self.shard_of(obj["metadata"]["namespace"], obj["metadata"]["name"])
        labels = obj["metadata"].get("labels", {})
        held = labels.get(self.shard_label)
        if wanted is None or wanted == held:
            return
        if held in self._available:
            self._label(obj, {self.drain_label: "true"})
        else:
            self._label(obj, {self.shard_label: wanted, self.drain_label: None})

    def _label(self, obj: dict[str, Any], labels: Mapping[str, str | None]) -> None:
        metadata = obj["metadata"]
        patch = {"metadata": {"resourceVersion": metadata["resourceVersion"], "labels": labels}}
        self._cluster.patch(str(self._kind), metadata["name"], patch, metadata["namespace"])

    def shard_of(self, namespace: str, name: str) -> str | None:
        """Return whose an object is to be; None where no shard is there."""
        tokens = sorted((_hash(f"{shard}-{n}"), shard) for shard in self._available for n in range(TOKENS_PER_SHARD))
        place = _hash(f"{self._kind.gvr.group}/{self._kind.gvk.kind}/{namespace}/{name}")
        return next((shard for token, shard in tokens if token >= place), tokens[0][1]) if tokens else None

    def webhook(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer an AdmissionReview: what has no shard gets one."""
        metadata = request["object"]["metadata"]
        wanted = self.shard_of(metadata["namespace"], metadata["name"])
        if wanted is None or metadata.get("labels", {}).get(self.shard_label):
            return {"allowed": True}
        labels = {**metadata.get("labels", {}), self.shard_label: wanted}
        return {"allowed": True, "patch": [{"op": "add", "path": "/metadata/labels", "value": labels}]}


def state_of(lease: dict[str, Any], now: datetime) -> State:
    """Return what a shard is by its Lease."""
    spec = lease["spec"]
    if spec.get("holderIdentity") != lease["metadata"]["name"]:
        return "dead"
    late = (now - datetime.fromisoformat(spec["renewTime"])).total_seconds() - spec["leaseDurationSeconds"]
    return "ready" if late < 0 else "expired" if late < spec["leaseDurationSeconds"] else "uncertain"


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
