"""One way to write an object: as it should be, whether it is there or not, and only if that changes something."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Protocol

from ..api import Client
from ..errors import ConflictError, NotFoundError
from ..kinds import Kind, ObjectKey, strings
from ..objects import Object
from .json_copy import json_copy
from .semantic import equal

Change = Literal["created", "updated", "unchanged", "recreated"]


class Read(Protocol):
    """How to look at an object: `ResourceCache.get` is one."""

    def __call__(self, kind: Kind, key: ObjectKey, /) -> Object | None: ...


async def create_or_update(
    client: Client,
    obj: Object | Mapping[str, Any],
    mutate: Callable[[Object], None],
    *,
    read: Read | None = None,
    recreate_on_immutable: Iterable[str] = (),
) -> tuple[Object, Change]:
    """Bring an object to what `mutate` makes of it; return it as it is then, and what was done.

    `obj` needs its kind and name (and namespace) alone. `mutate` is given what exists, or `obj` where nothing does, and
    changes it in place; it is the one place that says how the object should look. `status` is not written.

    Args:
        read: looks the object up, e.g. `scope.get`: from memory, and no `get` permission is needed. The server is asked
            where it is left out.
        recreate_on_immutable: fields that the server lets nobody change, as paths (`roleRef`, `spec.scopes`): where
            `mutate` changes one, the object is deleted and made anew from `obj`. Whoever owns it by reference, or it
            them, is another object then.

    Raises:
        ValueError: `mutate` changed the name, the namespace or the kind.
        ConflictError: the object changed since it was read, or a finalizer or a grace period holds what is to be made
            anew; reconcile again.
        APIError, CacheError: the first look failed; nothing was written.
    """
    draft = obj if isinstance(obj, Object) else Object.from_dict(obj)
    current = await look(client, draft, read)
    if current is None:
        return await client.create(_fresh(draft, mutate)), "created"
    before = Object.from_dict(json_copy(current.to_dict()))
    _mutate(current, mutate)
    if equal(_without_status(before.to_dict()), _without_status(current.to_dict())):
        return current, "unchanged"
    paths = [path.split(".") for path in strings(recreate_on_immutable)]
    if all(equal(before.at(*path), current.at(*path)) for path in paths):
        return await client.update(current), "updated"
    await make_room(client, current)
    return await client.create(_fresh(draft, mutate)), "recreated"


async def look(client: Client, draft: Object, read: Read | None) -> Object | None:
    """Return what exists in the place of a draft: by `read`, or else from the server."""
    if read is not None:
        return read(draft.gvk, draft.key)
    try:
        return await client.get(draft.gvk, draft.key)
    except NotFoundError:
        return None


async def delete_this(client: Client, obj: Object) -> Object | None:
    """Delete this very object, not one that has its name by now; return what holds it, None where it is gone."""
    try:
        return await client.delete(obj, uid=obj.uid or None)
    except NotFoundError:
        return None


async def make_room(client: Client, obj: Object) -> None:
    """Delete an object so that another one can take its name.

    Raises:
        ConflictError: something holds it.
    """
    held = await delete_this(client, obj)
    if held is not None:
        by = ", ".join(held.finalizers) or "its grace period"
        words = f"it is deleted, to be made anew, and held by {by}"
        raise ConflictError(
            words,
            status=409,
            reason="Conflict",
            verb="delete",
            resource=obj.kind,
            namespace=obj.namespace,
            name=obj.name,
        )


def _fresh(draft: Object, mutate: Callable[[Object], None]) -> Object:
    fresh = Object.from_dict(json_copy(draft.to_dict()))
    _mutate(fresh, mutate)
    return Object.from_dict(fresh.to_dict())


def _mutate(obj: Object, mutate: Callable[[Object], None]) -> None:
    before = _identity(obj)
    mutate(obj)
    if _identity(obj) != before:
        raise ValueError(f"mutate turned {' '.join(before)} into {' '.join(_identity(obj))}: it may not move an object")


def _identity(obj: Object) -> tuple[str, ...]:
    metadata = obj.at("metadata", default={})
    fields = (obj.get("apiVersion"), obj.get("kind"), metadata.get("namespace"), metadata.get("name"))
    return tuple(str(field or "") for field in fields)


def _without_status(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "status"}
