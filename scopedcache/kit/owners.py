"""Owner references, legal ones only.

An illegal reference is not refused by the API server: the garbage collector looks for the owner in the dependent's
namespace, does not find it, and deletes the dependent. So it is refused here.
"""

from __future__ import annotations

from typing import Any

from ..objects import Object


def set_owner_reference(owner: Object, obj: Object) -> None:
    """Make `obj` go when `owner` goes. Changes `obj` in place; a reference to this owner is brought up to date.

    Raises:
        ValueError: the pair is illegal (see `check_scope`), or the owner has no UID: it does not exist yet.
    """
    _set(owner, obj, {})


def set_controller_reference(owner: Object, obj: Object, *, block_owner_deletion: bool = True) -> None:
    """Make `owner` the controller of `obj`: the one that manages it. Changes `obj` in place.

    `block_owner_deletion` holds the owner back in foreground deletion; clusters that enforce permissions on it need
    `update` on the owner's finalizers.

    Raises:
        ValueError: as `set_owner_reference`, or another owner is the controller already.
    """
    other = next((ref for ref in _references(obj) if ref.get("controller") and ref.get("uid") != owner.uid), None)
    if other is not None:
        raise ValueError(
            f"{_name(obj)} is controlled by {other.get('kind')} {other.get('name')}; an object has one controller"
        )
    _set(owner, obj, {"controller": True, "blockOwnerDeletion": block_owner_deletion})


def check_scope(owner: Object, obj: Object) -> None:
    """Check that `owner` may own `obj`.

    Raises:
        ValueError: they live in different namespaces, or a namespaced object would own a cluster-scoped one.
    """
    place = str((obj.get("metadata") or {}).get("namespace") or "")
    if not owner.namespace or owner.namespace == place:
        return
    if not place:
        raise ValueError(
            f"{_name(owner)} is namespaced and cannot own {_name(obj)}, which has no namespace; "
            "set its namespace first if it is namespaced, else use a finalizer"
        )
    raise ValueError(
        f"{_name(owner)} cannot own {_name(obj)}: the garbage collector would delete it, as owners are looked for in "
        "the same namespace; use a finalizer, or a label"
    )


def _set(owner: Object, obj: Object, more: dict[str, Any]) -> None:
    if not owner.uid:
        raise ValueError(f"{_name(owner)} has no uid: it must exist on the server before it can own anything")
    check_scope(owner, obj)
    entry = {
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "name": owner.name,
        "uid": owner.uid,
        **more,
    }
    references = _references(obj)
    for index, reference in enumerate(references):
        if reference.get("uid") == owner.uid:
            references[index] = {**reference, **entry}
            return
    references.append(entry)


def _references(obj: Object) -> list[dict[str, Any]]:
    metadata = obj.to_dict().setdefault("metadata", {})
    if not metadata.get("ownerReferences"):
        metadata["ownerReferences"] = []
    references: list[dict[str, Any]] = metadata["ownerReferences"]
    return references


def _name(obj: Object) -> str:
    metadata = obj.at("metadata", default={})
    place = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{obj.kind} {place}{metadata.get('name', '')}"
