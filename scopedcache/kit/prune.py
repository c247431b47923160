"""Deleting what is ours and wanted no longer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ..api import Client
from ..cache import ResourceCache
from ..kinds import Kind, ObjectKey
from ..objects import Object
from .create_or_update import delete_this


class Ours(Protocol):
    """Tells our objects from those of others: `LabelRoute` does."""

    def is_ours(self, obj: Object, /) -> bool: ...


async def prune(
    client: Client, scope: ResourceCache, kind: Kind, keep: Iterable[str | ObjectKey], *, ours: Ours | None = None
) -> list[Object]:
    """Delete the objects of a kind in a scope that are ours and not among those to keep; return them.

        await prune(client, scope, ROLE_BINDING, keep=[group for group in groups])

    What is being deleted already is left to its finalizers. Nothing of others is touched, nor what was recreated under
    a name meanwhile.

    Args:
        keep: names, or keys.
        ours: which objects are ours; what the scope's owner owns, unless told otherwise.

    Raises:
        ForbiddenError, CacheError: the scope does not show the kind; nothing was deleted.
        APIError: one could not be deleted; those before it are.
    """
    kept = {key if isinstance(key, str) else key.name for key in keep}
    mine = scope.owned(kind) if ours is None else [obj for obj in scope.list(kind) if ours.is_ours(obj)]
    surplus = sorted((obj for obj in mine if obj.name not in kept and not obj.deletion_timestamp), key=_name)
    for obj in surplus:
        await delete_this(client, obj)
    return surplus


def _name(obj: Object) -> str:
    return obj.name
