"""CustomResourceDefinitions: from the stored object to a kind that is served, and back to nothing.

A change of the spec ends the watches of the kind a second later, and new ones meet a 429 until then; a deletion
removes the objects first (semantics 1.1 and 7).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .kinds import VERBS, Kind, Validator
from .refusals import Body, Cause, Refusal
from .registry import Compile, Registry
from .storage import Event, Storage, Stored, timestamp
from .watches import Watches

GROUP: Final = "apiextensions.k8s.io"
FINALIZER: Final = "customresourcecleanup.apiextensions.k8s.io"
# Seconds from a change of a CRD to the end of the watches of its kind.
REBUILD: Final = 1.0
REMOVAL: Final = 1.3


class DefinitionCheck:
    """A Validator of CRDs: one that cannot be served is refused."""

    def __init__(self, compile_: Compile) -> None:
        self._compile = compile_

    def complete(self, body: Body) -> list[str]:
        """Leave it as it is."""
        return []

    def causes(self, body: Body, old: Body | None) -> list[Cause]:
        """Return what stands in the way of serving it."""
        spec, name = body.get("spec") or {}, body["metadata"].get("name") or ""
        versions, names = spec.get("versions") or (), spec.get("names") or {}
        found = [
            Cause(f"spec.{path}", "FieldValueRequired", "Required value")
            for path, value in (
                ("group", spec.get("group")),
                *((f"names.{f}", names.get(f)) for f in ("plural", "kind")),
            )
            if not value
        ]
        if name != f"{names.get('plural')}.{spec.get('group')}":
            words = f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'
            found.append(Cause("metadata.name", "FieldValueInvalid", words))
        if sum(bool(version.get("storage")) for version in versions) != 1:
            words = "Invalid value: must have exactly one version marked as storage version"
            found.append(Cause("spec.versions", "FieldValueInvalid", words))
        for number, version in enumerate(versions):
            place = f"spec.versions[{number}]"
            found += self._schema_causes(version, f"{place}.schema.openAPIV3Schema")
            for field in ("additionalPrinterColumns", "selectableFields"):
                for at, column in enumerate(version.get(field) or ()):
                    if not column.get("jsonPath"):
                        path = f"{place}.{field}[{at}].jsonPath"
                        found.append(Cause(path, "FieldValueRequired", "Required value"))
        return found

    def list_keys(self, path: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return how lists merge: those of a CRD are replaced."""
        return None

    def _schema_causes(self, version: Body, place: str) -> list[Cause]:
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            return [Cause(place, "FieldValueRequired", "Required value: schemas are required")]
        try:
            self._compile(schema)
        except ValueError as error:
            field, _, words = str(error).partition(": ")
            reason = "FieldValueRequired" if words.startswith("Required") else "FieldValueInvalid"
            return [Cause(field, reason, words)]
        return []


class Definitions:
    """Keeps the registry in step with the CRDs that are stored. A controller, of the server's own."""

    name = "customresourcedefinitions"

    def __init__(self, storage: Storage, registry: Registry, watches: Watches, compile_: Compile) -> None:
        self._storage = storage
        self._registry = registry
        self.watches = [watches]  # of every server that serves what is defined here
        self._compile = compile_
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
        kind = kind_of(spec, {v["name"]: self._compile(v["schema"]["openAPIV3Schema"]) for v in spec["versions"]})
        self._registry.add(kind)
        if before is not None:
            self._rebuilt[kind.key] = now + REBUILD
            self._end_watches(kind, now + REBUILD)
        self._storage.update(self._kind, {**stored.copy(), "status": _status(stored, now)}, now, part="status")
        if FINALIZER not in (stored.metadata.get("finalizers") or ()):
            body = self._storage.get(self._kind, "", stored.name).copy()  # type: ignore[union-attr]
            body["metadata"]["finalizers"] = [*(body["metadata"].get("finalizers") or ()), FINALIZER]
            self._storage.update(self._kind, body, now)

    def _clear(self, stored: Stored, now: float) -> None:
        kind = self._registry.find(stored.body["spec"]["group"], stored.body["spec"]["names"]["plural"])
        left = self._storage.list(kind) if kind is not None else []
        if kind is not None:
            self._going.add(kind.key)
        for instance in left:
            if not instance.deleting:
                self._storage.delete(instance.kind, instance.namespace, instance.name, now)
        body = stored.copy()
        body["status"] = {**body["status"], "conditions": _terminating(body["status"]["conditions"], now)}
        body = self._storage.update(self._kind, body, now, part="status").copy()
        if kind is not None and self._storage.list(kind):
            return
        body["metadata"]["finalizers"] = [f for f in body["metadata"].get("finalizers") or () if f != FINALIZER]
        self._storage.update(self._kind, body, now)

    def _withdraw(self, name: str, now: float) -> None:
        spec = self._specs.pop(name, None)
        kind = self._registry.find(spec["group"], spec["names"]["plural"]) if spec else None
        if kind is not None:
            self._registry.remove(kind)
            self._going.discard(kind.key)
            self._end_watches(kind, now + REMOVAL)

    def _end_watches(self, kind: Kind, when: float) -> None:
        for watches in self.watches:
            for watch in watches.of(kind):
                watch.end_at(when)


def rebuilding() -> Refusal:
    """Return what a watch meets that comes while the storage is rebuilt."""
    words = "storage is (re)initializing"
    return Refusal(429, "TooManyRequests", words, {"retryAfterSeconds": 1}, headers={"Retry-After": "1"})


def kind_of(spec: Body, validators: Mapping[str, Validator]) -> Kind:
    """Return the kind that the spec of a CRD describes."""
    names = spec["names"]
    versions = sorted((v for v in spec["versions"] if v.get("served")), key=lambda v: _priority(v["name"]))
    subresources = {v["name"]: frozenset(v.get("subresources") or ()) for v in versions}
    fields = {f["jsonPath"].lstrip(".") for v in versions for f in v.get("selectableFields") or ()}
    return Kind(
        spec["group"],
        next(v["name"] for v in spec["versions"] if v.get("storage")),
        names["plural"],
        names["kind"],
        namespaced=spec.get("scope") == "Namespaced",
        versions=tuple(v["name"] for v in versions),
        list_name=names.get("listKind", ""),
        singular=names.get("singular", ""),
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        verbs=VERBS,
        subresources=frozenset[str]().union(*subresources.values()),
        by_version=subresources,
        generation=True,
        custom=True,
        selectable=tuple(sorted(fields)),
        validators=validators,
        columns={v["name"]: v["additionalPrinterColumns"] for v in versions if v.get("additionalPrinterColumns")},
        scale={v["name"]: v["subresources"]["scale"] for v in versions if "scale" in (v.get("subresources") or {})},
    )


def _terminating(conditions: list[Body], now: float) -> list[Body]:
    if any(condition["type"] == "Terminating" for condition in conditions):
        return conditions
    said = {"reason": "InstanceDeletionInProgress", "message": "CustomResource deletion is in progress"}
    found = {"type": "Terminating", "status": "True", "lastTransitionTime": timestamp(now)}
    return [*conditions, found | said]


def _priority(version: str) -> tuple[Any, ...]:
    """Order versions as the server prefers them: v2, v1, v1beta1, v1alpha1, and then whatever else there is."""
    import re

    found = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if found is None:
        return 1, version
    major, stage, minor = found.groups()
    return 0, {None: 0, "beta": 1, "alpha": 2}[stage], -int(major), -int(minor or 0)


def _status(stored: Stored, now: float) -> Body:
    spec = stored.body["spec"]
    at = timestamp(now)
    conditions = [
        {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found"},
        {"type": "Established", "status": "True", "reason": "InitialNamesAccepted"}
        | {"message": "the initial names have been accepted"},
    ]
    old = {c["type"]: c["lastTransitionTime"] for c in (stored.body.get("status") or {}).get("conditions") or ()}
    return {
        "conditions": [c | {"lastTransitionTime": old.get(c["type"], at)} for c in conditions],
        "acceptedNames": spec["names"],
        "storedVersions": [next(v["name"] for v in spec["versions"] if v.get("storage"))],
    }
