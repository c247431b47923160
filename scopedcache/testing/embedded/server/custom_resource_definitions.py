"""CustomResourceDefinitions: from the stored object to a kind that is served, and back to nothing.

A change of the spec ends the watches of the kind a second later, and new ones meet a 429 until then; a deletion
removes the objects first (semantics 1.1 and 7).
"""

from __future__ import annotations

import re
from typing import Any, Final

import attrs

from ..controllers.objects import conditions, new_condition, with_metadata, with_status
from ..kinds.kind import Kind, Version
from ..kinds.kind_registry import Registry
from ..kinds.structural_schema import StructuralSchema
from ..storage.storage import Event, Storage, Stored
from ..wire.status_errors import Body, StatusError
from .watches import Watches

GROUP: Final = "apiextensions.k8s.io"
FINALIZER: Final = "customresourcecleanup.apiextensions.k8s.io"
# Seconds from a change of a CRD to the end of the watches of its kind.
REBUILD_SECONDS: Final = 1.0
REMOVAL_SECONDS: Final = 1.3

_SERVED: Final = [
    new_condition("NamesAccepted", True, "NoConflicts", "no conflicts found"),
    new_condition("Established", True, "InitialNamesAccepted", "the initial names have been accepted"),
]
_TERMINATING: Final = new_condition(
    "Terminating", True, "InstanceDeletionInProgress", "CustomResource deletion is in progress"
)


class Definitions:
    """Keeps the registry in step with the CRDs that are stored. A controller, of the server's own."""

    name = "customresourcedefinitions"

    def __init__(self, storage: Storage, registry: Registry, watches: Watches) -> None:
        self._storage = storage
        self._registry = registry
        self.watches = [watches]  # of every server that serves what is defined here
        self._kind = registry[f"customresourcedefinitions.{GROUP}"]
        self._changed: dict[str, None] = {}
        self._specs: dict[str, Body] = {}
        self._rebuilt: dict[tuple[str, str], float] = {}
        self._going: set[tuple[str, str]] = set()

    def busy(self, kind: Kind, now: float) -> bool:
        """Tell whether the storage of a kind is being rebuilt."""
        return self._rebuilt.get(kind.key, 0.0) > now

    def is_going(self, kind: Kind) -> bool:
        """Tell whether the CRD of a kind is being deleted: nothing new is stored then."""
        return kind.key in self._going

    def observe(self, event: Event) -> None:
        """Take note of CRDs, and of objects that are gone while their CRD goes."""
        if event.kind.key == self._kind.key:
            self._changed[event.stored.name] = None
        elif event.kind.custom and event.type == "DELETED":
            self._changed[f"{event.kind.resource}.{event.kind.group}"] = None

    def step(self, now: float) -> float | None:
        """Serve what is new, serve anew what has changed, remove what goes."""
        changed, self._changed = self._changed, {}
        for name in changed:
            stored = self._storage.get(self._kind, "", name)
            if stored is None:
                self._withdraw(name, now)
            elif stored.deleting:
                self._clear(stored, now)
            else:
                self._serve(stored, now)
        return None

    def _serve(self, stored: Stored, now: float) -> None:
        spec = stored.body["spec"]
        before = self._specs.get(stored.name)
        if before == spec:
            return
        self._specs[stored.name] = spec
        kind = kind_of(spec)
        self._registry.add(kind)
        if before is not None:
            self._rebuilt[kind.key] = now + REBUILD_SECONDS
            self._end_watches(kind, now + REBUILD_SECONDS)
        status = {
            "conditions": conditions(stored, now, _SERVED),
            "acceptedNames": spec["names"],
            "storedVersions": [kind.version],
        }
        stored = self._storage.update(self._kind, with_status(stored, status), now, part="status")
        if FINALIZER not in (stored.metadata.get("finalizers") or ()):
            finalizers = [*(stored.metadata.get("finalizers") or ()), FINALIZER]
            self._storage.update(self._kind, with_metadata(stored, finalizers=finalizers), now)

    def _clear(self, stored: Stored, now: float) -> None:
        kind = self._registry.find(stored.body["spec"]["group"], stored.body["spec"]["names"]["plural"])
        left = self._storage.list(kind) if kind is not None else []
        if kind is not None:
            self._going.add(kind.key)
        for instance in left:
            if not instance.deleting:
                self._storage.delete(instance.kind, instance.namespace, instance.name, now)
        status = stored.body["status"] | {"conditions": conditions(stored, now, [*_SERVED, _TERMINATING])}
        stored = self._storage.update(self._kind, with_status(stored, status), now, part="status")
        if kind is not None and self._storage.list(kind):
            return
        finalizers = [f for f in stored.metadata.get("finalizers") or () if f != FINALIZER]
        self._storage.update(self._kind, with_metadata(stored, finalizers=finalizers), now)

    def _withdraw(self, name: str, now: float) -> None:
        spec = self._specs.pop(name, None)
        kind = self._registry.find(spec["group"], spec["names"]["plural"]) if spec else None
        if kind is not None:
            self._registry.remove(kind)
            self._going.discard(kind.key)
            self._end_watches(kind, now + REMOVAL_SECONDS)

    def _end_watches(self, kind: Kind, when: float) -> None:
        for watches in self.watches:
            for watch in watches.of(kind):
                watch.end_at(when)


def rebuilding() -> StatusError:
    """Return what a watch meets that comes while the storage is rebuilt."""
    words = "storage is (re)initializing"
    return StatusError(429, "TooManyRequests", words, {"retryAfterSeconds": 1}, headers={"Retry-After": "1"})


def kind_of(spec: Body) -> Kind:
    """Return the kind that the spec of a CRD describes."""
    names = spec["names"]
    served = sorted((v for v in spec["versions"] if v.get("served")), key=lambda v: _priority(v["name"]))
    versions = {v["name"]: _version(v) for v in served}
    fields = {f["jsonPath"].lstrip(".") for v in served for f in v.get("selectableFields") or ()}
    return Kind(
        spec["group"],
        next(v["name"] for v in spec["versions"] if v.get("storage")),
        names["plural"],
        names["kind"],
        namespaced=spec.get("scope") == "Namespaced",
        versions=versions,
        list_name=names["listKind"],
        singular=names["singular"],
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=frozenset[str]().union(*(version.subresources for version in versions.values())),
        generation=True,
        custom=True,
        selectable=tuple(sorted(fields)),
    )


def _version(version: Body) -> Version:
    schema = StructuralSchema(version["schema"]["openAPIV3Schema"])
    subresources = version.get("subresources") or {}
    served = Version(schema, frozenset(subresources), version.get("additionalPrinterColumns") or ())
    return attrs.evolve(served, scale=subresources["scale"]) if "scale" in subresources else served


def _priority(version: str) -> tuple[Any, ...]:
    """Order versions as the server prefers them: v2, v1, v1beta1, v1alpha1, and then whatever else there is."""
    found = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if found is None:
        return 1, version
    major, stage, minor = found.groups()
    return 0, {None: 0, "beta": 1, "alpha": 2}[stage], -int(major), -int(minor or 0)
