"""Finalizers: keeping an object until its clean-up is done.

Patches, not updates: they carry the finalizers alone, with the version they were read at, so that nobody else's
finalizer and nothing of the spec can be lost.
"""

from __future__ import annotations

from ..api import Client
from ..errors import NotFoundError
from ..objects import Object
from .retry import retry_on_conflict


def has_finalizer(obj: Object, name: str) -> bool:
    """Tell whether the object, as the server sent it, carries the finalizer."""
    return name in obj.finalizers


async def add_finalizer(client: Client, obj: Object, name: str) -> Object:
    """Add the finalizer and return the object as it is then; sends nothing where it is there already.

    Raises:
        ValueError: the object is being deleted, which is too late for a new finalizer.
    """
    if has_finalizer(obj, name):
        return obj
    if obj.deletion_timestamp:
        raise ValueError(f"{obj.kind} {obj.key} is being deleted: it takes no new finalizer")
    return await _change(client, obj, name, present=True)


async def remove_finalizer(client: Client, obj: Object, name: str) -> Object:
    """Remove the finalizer and return the object as it is then; sends nothing where it is not there.

    An object that is gone by then is returned as it was given: nothing is left to remove.
    """
    if not has_finalizer(obj, name):
        return obj
    try:
        return await _change(client, obj, name, present=False)
    except NotFoundError:
        return obj


async def _change(client: Client, obj: Object, name: str, *, present: bool) -> Object:
    already_read: list[Object] = [obj]

    async def fetch() -> Object:
        # The first try takes what the caller has read, which spares a request where nothing interferes.
        return already_read.pop() if already_read else await client.get(obj.gvk, obj.key)

    async def write(current: Object) -> Object:
        if current.uid != obj.uid:
            raise NotFoundError("another object has this name by now", status=404, reason="NotFound")
        if has_finalizer(current, name) == present:
            return current
        finalizers = [*current.finalizers, name] if present else [f for f in current.finalizers if f != name]
        patch = {"metadata": {"resourceVersion": current.resource_version, "finalizers": finalizers}}
        return await client.patch(current.gvk, current.key, patch)

    return await retry_on_conflict(fetch, write)


async def delete_finalized(client: Client, obj: Object, name: str) -> bool:
    """Delete an object, and take our finalizer from it; tell whether it is gone.

    For an object that only we let go. What others hold is not gone yet: its next event tells. Sends what is left to do
    and nothing else, so it may be called again and again. An object of another UID under this name is left alone.
    """
    held: Object | None = obj
    if not obj.deletion_timestamp:
        try:
            held = await client.delete(obj, uid=obj.uid or None)
        except NotFoundError:
            return True
    if held is None:
        return True
    others = [finalizer for finalizer in held.finalizers if finalizer != name]
    await remove_finalizer(client, held, name)
    return not others
