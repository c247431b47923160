"""References that a status carries, where an owner reference may not lead: into another namespace."""

from __future__ import annotations

from typing import Any

import msgspec

from ..objects import Object


class ObjectReference(msgspec.Struct, kw_only=True):
    """A namespaced reference, shaped as an owner reference is: for the model of a status."""

    apiVersion: str
    kind: str
    name: str
    namespace: str = ""
    uid: str
    controller: bool = False
    blockOwnerDeletion: bool = True


def reference_to(obj: Object, *, controller: bool = False) -> dict[str, Any]:
    """Return a reference to an object, for a status: who owns it (`controller`), or what it owns.

    Raises:
        ValueError: the object was not read from a server.
    """
    if not obj.uid:
        raise ValueError(f"{obj.kind} {obj.key} has no uid: it must exist on the server before it can be referred to")
    reference = ObjectReference(
        apiVersion=obj.api_version,
        kind=obj.kind,
        name=obj.name,
        namespace=obj.namespace,
        uid=obj.uid,
        controller=controller,
    )
    return msgspec.to_builtins(reference)  # type: ignore[no-any-return]
