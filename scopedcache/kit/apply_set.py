"""All of an owner's objects of one kind: applied, and what is wanted no longer is pruned."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TypeVar

from ..api import Client
from ..api.request_query import FIELD_MANAGER
from ..cache import ResourceCache
from ..kinds import Kind
from ..objects import Object
from .apply import apply
from .prune import Ours, prune

K = TypeVar("K", bound=Kind)


async def apply_set(
    client: Client,
    scope: ResourceCache,
    kind: Kind,
    wanted: Iterable[Object],
    *,
    ours: Ours | None = None,
    field_manager: str = FIELD_MANAGER,
    recreate_on_immutable: Iterable[str] = (),
) -> bool:
    """Make these the only objects of the kind in the scope that are ours; tell whether anything was changed.

        await apply_set(client, scope, ROLE_BINDING, [binding(user, group) for group in groups])

    Each is applied as by `apply`, then the others that are ours are deleted as by `prune`. What is right already is
    sent no request. The first that fails ends it, and nothing is deleted then.

    Args:
        ours: which objects are ours; what the scope's owner owns, unless told otherwise.
        field_manager, recreate_on_immutable: as for `apply`.

    Raises:
        ConflictError, APIError, CacheError: as `apply` and `prune`.
    """
    kept = list(wanted)
    changes = [
        (
            await apply(
                client,
                one,
                read=scope.get,
                field_manager=field_manager,
                recreate_on_immutable=recreate_on_immutable,
            )
        )[1]
        for one in kept
    ]
    pruned = await prune(client, scope, kind, [one.name for one in kept], ours=ours)
    return bool(pruned) or any(change != "unchanged" for change in changes)


async def apply_sets(
    client: Client,
    scope: ResourceCache,
    wanted: Mapping[K, Iterable[Object]],
    *,
    ours: Ours | None = None,
    field_manager: str = FIELD_MANAGER,
    recreate_on_immutable: Iterable[str] = (),
) -> bool:
    """Do as `apply_set` for several kinds at the same time; tell whether anything was changed.

        await apply_sets(client, scope, {LIMIT_RANGE: limit_ranges, RESOURCE_QUOTA: quotas, ROLE_BINDING: []})

    What is wrong with one kind harms no other: each of them has had its turn when this ends.

    Raises:
        ExceptionGroup: of what was raised; where it is one error, that one.
    """
    ends = await asyncio.gather(
        *(
            apply_set(
                client,
                scope,
                kind,
                objects,
                ours=ours,
                field_manager=field_manager,
                recreate_on_immutable=recreate_on_immutable,
            )
            for kind, objects in wanted.items()
        ),
        return_exceptions=True,
    )
    errors = [end for end in ends if isinstance(end, Exception)]
    if len(errors) > 1:
        raise ExceptionGroup(f"applying {len(wanted)} kinds", errors)
    if errors:
        raise errors[0]
    return any(end is True for end in ends)
