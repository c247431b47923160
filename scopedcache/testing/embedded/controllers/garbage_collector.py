"""The garbage collector: what nobody owns any more goes, and an owner that waits for its dependents waits for them."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from ..kinds.kind_registry import Registry
from ..storage.storage import Event, Propagation, Storage, Stored, timestamp
from ..wire.status_errors import Body
from .objects import Place, owners, place_of, with_metadata

NAME: Final = "garbage-collector-controller"
FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"


class GarbageCollector:
    """Follows ownerReferences. An owner is looked for in the namespace of its dependent, or at the cluster scope:
    an owner in another namespace is none, and its dependent is collected, with an Event that says why.
    """

    name = NAME

    def __init__(self, storage: Storage, registry: Registry) -> None:
        self._storage = storage
        self._registry = registry
        self._places: dict[str, Place] = {}  # by uid
        self._dependents: defaultdict[str, set[str]] = defaultdict(set)  # uids by the uid of their owner
        self._look_at: dict[str, None] = {}  # uids, in order

    def observe(self, event: Event) -> None:
        """Note who depends on whom, and whom to look at."""
        stored = event.stored
        if stored.kind.resource == "events":
            return
        uid = stored.uid
        for owner in owners(event.previous) if event.previous else ():
            self._dependents[owner["uid"]].discard(uid)
        if event.type == "DELETED":
            self._places.pop(uid, None)
            self._look_at.update(dict.fromkeys(sorted(self._dependents[uid])))
            # An owner that waits for its dependents hears of each that goes.
            self._look_at.update(dict.fromkeys(str(owner["uid"]) for owner in owners(stored)))
            return
        self._places[uid] = place_of(stored)
        for owner in owners(stored):
            self._dependents[owner["uid"]].add(uid)
        if owners(stored) or stored.deleting:
            self._look_at[uid] = None
        if stored.deleting:
            self._look_at.update(dict.fromkeys(sorted(self._dependents[uid])))

    def step(self, now: float) -> float | None:
        """Look at everything that may have become garbage."""
        while self._look_at:
            uid = next(iter(self._look_at))
            del self._look_at[uid]
            if (stored := self._find(uid)) is not None:
                self._attend(stored, now)
        return None

    def _attend(self, stored: Stored, now: float) -> None:
        finalizers = stored.metadata.get("finalizers") or ()
        if stored.deleting:
            if ORPHAN in finalizers:
                self._orphan_dependents(stored, now)
            elif FOREGROUND in finalizers and not self._blockers(stored):
                self._remove_finalizer(stored, FOREGROUND, now)
            return
        references = owners(stored)
        solid = [owner for owner in references if (found := self._owner(owner, stored)) and not self._waits(found)]
        gone = [owner for owner in references if self._owner(owner, stored) is None]
        if not references or (len(solid) == len(references)):
            return
        if solid:
            body = with_metadata(stored, ownerReferences=solid)
            self._storage.update(stored.kind, body, now)
            return
        for owner in gone:
            self._tell_of_another_namespace(owner, stored, now)
        # Below an owner that waits for its dependents, those wait for theirs.
        nested = len(gone) < len(references) and self._dependents[stored.uid]
        policy: Propagation = "Foreground" if nested else "Background"
        self._storage.delete(stored.kind, stored.namespace, stored.name, now, uid=stored.uid, propagation=policy)

    def _owner(self, owner: Body, dependent: Stored) -> Stored | bool | None:
        """Return the owner, None when there is none; True for a kind that nobody serves: it cannot be known."""
        group = owner["apiVersion"].rpartition("/")[0]
        kind = self._registry.named(group, owner["kind"])
        if kind is None or (kind.namespaced and not dependent.namespace):
            return True
        found = self._storage.get(kind, dependent.namespace, owner["name"])
        return found if found is not None and found.uid == owner["uid"] else None

    def _waits(self, owner: Stored | bool) -> bool:
        """Tell whether an owner is being deleted and waits for its dependents."""
        return isinstance(owner, Stored) and owner.deleting and FOREGROUND in (owner.metadata.get("finalizers") or ())

    def _blockers(self, owner: Stored) -> bool:
        """Tell whether an owner has to wait: for dependents that say so."""
        found = [dependent for uid in self._dependents[owner.uid] if (dependent := self._find(uid))]
        references = [reference for dependent in found for reference in owners(dependent)]
        return any(r["uid"] == owner.uid and r.get("blockOwnerDeletion") for r in references)

    def _orphan_dependents(self, owner: Stored, now: float) -> None:
        for uid in sorted(self._dependents[owner.uid]):
            if (dependent := self._find(uid)) is not None:
                left = [reference for reference in owners(dependent) if reference["uid"] != owner.uid]
                body = with_metadata(dependent, ownerReferences=left or None)
                self._storage.update(dependent.kind, body, now)
        self._remove_finalizer(owner, ORPHAN, now)

    def _remove_finalizer(self, stored: Stored, finalizer: str, now: float) -> None:
        left = [found for found in stored.metadata["finalizers"] if found != finalizer]
        self._storage.update(stored.kind, with_metadata(stored, finalizers=left or None), now)

    def _tell_of_another_namespace(self, owner: Body, dependent: Stored, now: float) -> None:
        place = self._places.get(owner["uid"])
        if place is None or not place.kind.namespaced or place.namespace == dependent.namespace:
            return
        involved = {"kind": dependent.kind.name, "apiVersion": dependent.body["apiVersion"], "uid": dependent.uid}
        named = f"{owner['apiVersion']}/{owner['kind']}, namespace: {dependent.namespace}, name: {owner['name']}"
        words = f'ownerRef [{named}, uid: {owner["uid"]}] does not exist in namespace "{dependent.namespace}"'
        event: Body = {
            "apiVersion": "v1",
            "metadata": {"generateName": f"{dependent.name}.", "namespace": dependent.namespace or "default"},
            "involvedObject": involved | {"namespace": dependent.namespace, "name": dependent.name},
            "reason": "OwnerRefInvalidNamespace",
            "message": words,
            "source": {"component": NAME},
            "firstTimestamp": timestamp(now),
            "lastTimestamp": timestamp(now),
            "count": 1,
            "type": "Warning",
            "reportingComponent": NAME,
        }
        self._storage.create(self._registry["events"], event, now)

    def _find(self, uid: str) -> Stored | None:
        place = self._places.get(uid)
        return None if place is None else self._storage.get(*place)
