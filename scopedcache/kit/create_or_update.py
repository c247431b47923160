"""One way to write an object: as it should be, whether it is there or not, and only if that changes something."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from ..api import Client
from ..errors import NotFoundError
from ..kinds import Kind, ObjectKey
from ..objects import Object
from .semantic import equal

Change = Literal["created", "updated", "unchanged"]


class Read(Protocol):
    """How to look at an object: `ResourceCache.get` is one."""

    def __call__(self, kind: Kind, key: ObjectKey, /) -> Object | None: ...


async def create_or_update(
    client: Client,
    obj: Object | Mapping[str, Any],
    mutate: Callable[[Object], None],
    *,
    read: Read | None = None,
) -> tuple[Object, Change]:
    """Bring an object to what `mutate` makes of it; return it as it is then, and what was done.

    `obj` needs its kind and name (and namespace) alone. `mutate` is given what exists, or `obj` where nothing does, and
    changes it in place; it is the one place that says how the object should look. `status` is not written.

    Args:
        read: looks the object up, e.g. `scope.get`: from memory, and no `get` permission is needed. The server is asked
            where it is left out.

    Raises:
        ValueError: `mutate` changed the name, the namespace or the kind.
        ConflictError: the object changed since it was read; reconcile again.
        APIError, CacheError: the first look failed; nothing was written.
    """
    draft = obj if isinstance(obj, Object) else Object.from_dict(obj)
    current = await _look(client, draft, read)
    if current is None:
        fresh = Object.from_dict(copy.deepcopy(draft.to_dict()))
        _mutate(fresh, mutate)
        return await client.create(Object.from_dict(fresh.to_dict())), "created"
    before = copy.deepcopy(current.to_dict())
    _mutate(current, mutate)
    if equal(_without_status(before), _without_status(current.to_dict())):
        return current, "unchanged"
    return await client.update(current), "updated"


async def _look(client: Client, draft: Object, read: Read | None) -> Object | None:
    if read is not None:
        return read(draft.gvk, draft.key)
    try:
        return await client.get(draft.gvk, draft.key)
    except NotFoundError:
        return None


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
