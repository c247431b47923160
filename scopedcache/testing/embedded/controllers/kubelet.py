"""A kubelet that runs nothing: Pods get a node, become Ready after a while or fail, and go when they are deleted."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final

import msgspec

from ...fake_node import Pod, node_manifest, node_status, running_status
from ..kinds.kind_registry import Registry
from ..storage.storage import Event, Storage, Stored, timestamp
from ..wire.status_errors import Body
from .objects import Place, place_of

NODE: Final = "fake-node"


class Kubelet:
    """Drives every Pod of the cluster; the scheduler is in it too.

    Attributes:
        ready_after: seconds from the creation of a Pod until it is Ready; for some Pods only where it is a function.
        failing: returns why a Pod cannot run (`ImagePullBackOff`), None for one that can.
        stops_after: seconds that a deleted Pod takes to end.
    """

    name = "kubelet"

    def __init__(self, storage: Storage, registry: Registry) -> None:
        self.ready_after: float | Callable[[Body], float] = 0.0
        self.stops_after = 0.0
        self.failing: Callable[[Body], str | None] = lambda _: None
        self._storage = storage
        self._pods = registry["pods"]
        self._nodes = registry["nodes"]
        self._addresses = itertools.count(1)
        self._look_at: dict[Place, float | None] = {}  # when a Pod is due, None: not thought about yet

    def observe(self, event: Event) -> None:
        """Note which Pods to look at."""
        if event.kind.key == self._pods.key:
            place = place_of(event.stored)
            if event.type == "DELETED":
                self._look_at.pop(place, None)
            elif self._look_at.get(place) is None or event.stored.deleting:
                self._look_at[place] = None

    def step(self, now: float) -> float | None:
        """Do the next step of every Pod that is due."""
        if self._storage.get(self._nodes, "", NODE) is None:
            self._storage.create(self._nodes, {**node_manifest(NODE), "status": node_status(timestamp(now))}, now)
        for place, due in list(self._look_at.items()):
            if due is not None and due > now:
                continue
            pod = self._storage.get(*place)
            later = None if pod is None else self._drive(pod, due, now)
            if later is None and self._look_at.get(place) == due:
                self._look_at.pop(place, None)
            elif later is not None:
                self._look_at[place] = later
        return min((due for due in self._look_at.values() if due is not None), default=None)

    def _drive(self, pod: Stored, due: float | None, now: float) -> float | None:
        """Do what is next; return when to come back."""
        if pod.deleting:
            if pod.metadata.get("deletionGracePeriodSeconds") == 0:
                return None
            if due is None and self.stops_after:
                return now + self.stops_after
            self._storage.delete(self._pods, pod.namespace, pod.name, now, uid=pod.uid, grace=0)
            return None
        if pod.body["spec"].get("nodeName", NODE) != NODE:
            return None
        if "nodeName" not in pod.body["spec"]:
            spec = {**pod.body["spec"], "nodeName": NODE}
            pod = self._storage.update(self._pods, {**pod.body, "spec": spec}, now)
        status = pod.body.get("status") or {}
        if status.get("phase", "Pending") != "Pending":
            return None
        if (reason := self.failing(pod.body)) is not None:
            self._write(pod, {**status, "phase": "Pending", "containerStatuses": _waiting(pod, reason)}, now)
            return None
        delay = self.ready_after if isinstance(self.ready_after, int | float) else self.ready_after(pod.body)
        if due is None and delay:
            return now + delay
        number = next(self._addresses)
        address = f"10.{64 + number // 65_536 % 64}.{number // 256 % 256}.{number % 256}"
        running = running_status(msgspec.convert(pod.body, Pod), address, timestamp(now))
        self._write(pod, {**status, **running}, now)
        return None

    def _write(self, pod: Stored, status: Body, now: float) -> None:
        self._storage.update(self._pods, {**pod.body, "status": status}, now, part="status")


def _waiting(pod: Stored, reason: str) -> list[Body]:
    """Return the container statuses of a Pod that cannot run."""
    return [
        {
            "name": container["name"],
            "image": container.get("image", ""),
            "imageID": "",
            "ready": False,
            "started": False,
            "restartCount": 0,
            "state": {"waiting": {"reason": reason}},
        }
        for container in pod.body["spec"]["containers"]
    ]
