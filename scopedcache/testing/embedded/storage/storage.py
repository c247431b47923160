"""Who may change the objects of a cluster: one sequence of resource versions for everything that is written.

Synchronous and deterministic: the time is an argument, chance comes from one seeded source. Nobody may change a body
that was handed out (`Stored.copy` is for that), nor one that was handed in.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal

from ..kinds.kind import Kind
from ..wire.status_errors import Body, Cause, StatusError, already_exists, conflict, invalid
from .history import HISTORY_EVENTS, History
from .stored_object import Event, EventType, Stored, timestamp

__all__ = ["Event", "Storage", "Stored", "timestamp"]

Part = Literal["all", "main", "status"]
Propagation = Literal["Background", "Foreground", "Orphan"]

# The alphabet of generated names: nothing that could spell a word.
_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_TRIES: Final = 8


class Storage(History):
    """A history that is written to: create, update and delete."""

    def __init__(self, *, seed: int = 0, history: int = HISTORY_EVENTS) -> None:
        super().__init__(length=history)
        self._chance = random.Random(seed)
        self._rehearsing = False

    @contextmanager
    def rehearsal(self, wanted: bool = True) -> Iterator[None]:
        """Let writes return what they would, and change nothing: a dry run."""
        before, self._rehearsing = self._rehearsing, self._rehearsing or wanted
        try:
            yield
        finally:
            self._rehearsing = before

    def compact(self) -> None:
        """Forget all history: every version before the present one is 410 from now on."""
        self.version += 1
        self.forget()

    def restore(self, state: History) -> None:
        """Become what was kept: what was written since has never been, and its versions are given out again.

        Whoever listens hears of every difference as of a change. Nobody may watch meanwhile.
        """
        events = self.differences(state)
        self._take_over(state)
        self.forget()
        for event in events:
            for listener in self._listeners:
                listener(event)

    # -- writes --------------------------------------------------------------------------------------------------

    def create(self, kind: Kind, body: Body, now: float) -> Stored:
        """Store a new object, named by `name` or `generateName`.

        Raises:
            StatusError: 409 AlreadyExists.
        """
        metadata: Body = dict(body.get("metadata") or {})
        place = self._place(kind, metadata)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = self._new_name(str(metadata["generateName"]), place)
        if metadata["name"] in place:
            raise already_exists(kind.group, kind.resource, metadata["name"])
        for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink"):
            metadata.pop(field, None)
        metadata["uid"] = self._new_uid()
        metadata["creationTimestamp"] = timestamp(now)
        if kind.generation or kind.custom:
            metadata["generation"] = 1
        return self._put("ADDED", kind, body, metadata, None)

    def update(self, kind: Kind, body: Body, now: float, *, part: Part = "all") -> Stored:
        """Replace an object, or only its status, or all but its status (where the kind keeps it apart).

        Nothing is written, and the version stays, where nothing changes. Removing the last finalizer of an object
        that is being deleted removes it.

        Raises:
            StatusError: 404; 409 where `resourceVersion` or `uid` are not those stored; 422 for a finalizer that
                is added too late.
        """
        asked = body.get("metadata") or {}
        old = self.existing(kind, str(asked.get("namespace") or ""), str(asked["name"]))
        self._check(kind, old, asked.get("uid"), asked.get("resourceVersion"))
        if part == "status":
            fresh = {**old.body, "status": body.get("status")}
            if body.get("status") is None:
                del fresh["status"]
            metadata = {**old.metadata}
            if "managedFields" in asked:
                metadata["managedFields"] = asked["managedFields"]
        else:
            fresh = dict(body)
            metadata = self._carried(old, asked)
            if part == "main" and "status" in kind.subresources:
                fresh.pop("status", None)
                if "status" in old.body:
                    fresh["status"] = old.body["status"]
        self._check_finalizers(kind, old, metadata)
        if "generation" in old.metadata and part != "status" and _content(kind, fresh) != _content(kind, old.body):
            metadata["generation"] = old.metadata["generation"] + 1
        fresh["metadata"] = metadata | {"resourceVersion": old.metadata["resourceVersion"]}
        fresh["kind"], fresh["apiVersion"] = old.body["kind"], old.body["apiVersion"]
        if fresh == old.body:
            return old
        if old.deleting and not self._held(kind, fresh):
            return self._remove(kind, old, fresh)
        return self._put("MODIFIED", kind, fresh, metadata, old)

    def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        now: float,
        *,
        uid: str | None = None,
        version: str | None = None,
        propagation: Propagation | None = None,
        grace: int | None = None,
    ) -> tuple[Stored, bool]:
        """Delete an object, or mark it deleted where finalizers or a grace period hold it.

        Return it as it is now, and whether it is gone.

        Raises:
            StatusError: 404; 409 where a precondition fails.
        """
        old = self.existing(kind, namespace, name)
        self._check(kind, old, uid, version, precondition=True)
        body, metadata = dict(old.body), dict(old.metadata)
        body["metadata"] = metadata
        wait = old.grace(grace)
        if old.deleting:
            wait = min(wait, metadata.get("deletionGracePeriodSeconds") or 0)
        else:
            finalizers = [f for f in metadata.get("finalizers") or () if f not in _PROPAGATION.values()]
            if propagation in _PROPAGATION:
                finalizers.append(_PROPAGATION[propagation])
            if finalizers or "finalizers" in metadata:
                metadata["finalizers"] = finalizers
            if "generation" in metadata:
                metadata["generation"] += 1
        metadata["deletionTimestamp"] = metadata.get("deletionTimestamp") or timestamp(now, wait)
        metadata["deletionGracePeriodSeconds"] = wait
        if kind.key == ("", "namespaces"):
            body["status"] = {**(body.get("status") or {}), "phase": "Terminating"}
        if not wait and not self._held(kind, body):
            return self._remove(kind, old, old.body), True
        if body == old.body:
            return old, False
        return self._put("MODIFIED", kind, body, metadata, old), False

    # -- inside --------------------------------------------------------------------------------------------------

    def _place(self, kind: Kind, metadata: Body) -> dict[str, Stored]:
        namespace = str(metadata.get("namespace") or "") if kind.namespaced else ""
        return self._shelf(kind).places.setdefault(namespace, {})

    def _check(self, kind: Kind, old: Stored, uid: Any, version: Any, *, precondition: bool = False) -> None:
        if uid and uid != old.uid:
            if precondition:
                raise _unmet(kind, old, "UID", uid, old.uid, "deleted and then recreated")
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old.uid}"
            raise conflict(kind.group, kind.resource, old.name, why)
        if version and version != old.metadata["resourceVersion"]:
            if precondition:
                raise _unmet(kind, old, "ResourceVersion", version, old.metadata["resourceVersion"], "modified")
            raise conflict(kind.group, kind.resource, old.name)

    def _carried(self, old: Stored, asked: Body) -> Body:
        """Return the new metadata: what the server alone decides comes from the old one."""
        metadata = dict(asked)
        for field in ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"):
            if field in old.metadata:
                metadata[field] = old.metadata[field]
            else:
                metadata.pop(field, None)
        metadata.pop("selfLink", None)
        if "managedFields" not in asked and "managedFields" in old.metadata:
            metadata["managedFields"] = old.metadata["managedFields"]
        return metadata

    def _check_finalizers(self, kind: Kind, old: Stored, metadata: Body) -> None:
        if not old.deleting:
            return
        added = [f for f in metadata.get("finalizers") or () if f not in (old.metadata.get("finalizers") or ())]
        if added:
            words = "no new finalizers can be added if the object is being deleted"
            words += f", found new finalizers {added}"
            raise invalid(kind.group, kind.name, old.name, [Cause.forbidden("metadata.finalizers", words)])

    def _held(self, kind: Kind, body: Body) -> bool:
        if body["metadata"].get("finalizers"):
            return True
        if kind.key == ("", "namespaces"):
            return bool((body.get("spec") or {}).get("finalizers"))
        return bool(body["metadata"].get("deletionGracePeriodSeconds"))

    def _put(self, type_: EventType, kind: Kind, body: Body, metadata: Body, old: Stored | None) -> Stored:
        if not self._rehearsing:
            self.version += 1
            metadata["resourceVersion"] = str(self.version)
        fresh = {"kind": kind.name, "apiVersion": body.get("apiVersion") or kind.api_version, "metadata": metadata}
        fresh |= {field: value for field, value in body.items() if field not in fresh}
        stored = Stored(kind, fresh, self.version)
        if self._rehearsing:
            return stored
        self._place(kind, metadata)[metadata["name"]] = stored
        self._publish(Event(type_, stored, old))
        return stored

    def _remove(self, kind: Kind, old: Stored, last: Body) -> Stored:
        if self._rehearsing:
            return Stored(kind, last, self.version)
        self.version += 1
        metadata = {**last["metadata"], "resourceVersion": str(self.version)}
        stored = Stored(kind, {**last, "metadata": metadata}, self.version)
        place = self._place(kind, old.metadata)
        del place[old.name]
        self._publish(Event("DELETED", stored, old))
        return stored

    def _new_name(self, prefix: str, taken: dict[str, Stored]) -> str:
        for _ in range(_TRIES):
            name = prefix + "".join(self._chance.choices(_LETTERS, k=5))
            if name not in taken:
                break
        return name

    def _new_uid(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))


_PROPAGATION: Final[dict[Propagation | None, str]] = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


def _content(kind: Kind, body: Body) -> Body:
    """Return what a generation counts: everything but metadata and status; the node of a Pod is no change of it."""
    content = {k: v for k, v in body.items() if k not in ("metadata", "status", "kind", "apiVersion")}
    if kind.key == ("", "pods") and "spec" in content:
        content["spec"] = {k: v for k, v in content["spec"].items() if k != "nodeName"}
    return content


def _unmet(kind: Kind, old: Stored, field: str, wanted: str, actual: str, happened: str) -> StatusError:
    why = f"the {field} in the precondition ({wanted}) does not match the {field} in record ({actual}). "
    return conflict(kind.group, kind.name, old.name, f"{why}The object might have been {happened}")
