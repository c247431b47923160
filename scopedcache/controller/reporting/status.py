"""Writing `status`, but only what changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...objects import Object

if TYPE_CHECKING:
    from ...api import Client


def merge_patch(target: Any, patch: Any) -> Any:
    """Return what a JSON merge patch (RFC 7396) makes of `target`; neither is changed."""
    if not isinstance(patch, Mapping):
        return patch
    base = target if isinstance(target, Mapping) else {}
    result = {name: value for name, value in base.items() if name not in patch}
    for name, value in patch.items():
        if value is not None:
            result[name] = merge_patch(base.get(name), value)
    return result


async def patch_status(client: Client, obj: Object, status: Mapping[str, Any]) -> Object:
    """Merge `status` into the object's status subresource; return the object as it is then.

    Sends nothing where it would change nothing, by the object given. Otherwise the patch carries the object's
    resourceVersion: lists such as `conditions` are replaced whole, and must not undo what somebody else has written.

    Raises:
        ConflictError: the object changed since it was read.
    """
    before = obj.at("status", default={})
    if merge_patch(before, status) == before:
        return obj
    body: dict[str, Any] = {"status": dict(status)}
    if obj.resource_version:
        body["metadata"] = {"resourceVersion": obj.resource_version}
    return await client.patch(obj.gvk, obj.key, body, subresource="status")
