"""Objects that live for a while: how much of it is left."""

from __future__ import annotations

from datetime import datetime

from ..api import Client
from ..clock import wall_time
from ..objects import Object
from .create_or_update import delete_this


def expires_in(obj: Object, ttl: float, *, now: datetime | None = None) -> float:
    """Return the seconds until an object is older than `ttl`; zero and below: it is.

    The clock is this machine's, the time of creation the server's.

    Args:
        now: what time it is; `wall_time()`, unless told otherwise.

    Raises:
        ValueError: the object was never created.
    """
    if not obj.creation_timestamp:
        raise ValueError(f"{obj.kind} {obj.key} was not created yet: it has no age")
    created = datetime.fromisoformat(obj.creation_timestamp)
    return ttl - ((now or wall_time()) - created).total_seconds()


async def expire(client: Client, obj: Object, ttl: float | None, *, now: datetime | None = None) -> float | None:
    """Delete an object that is older than `ttl`; return the seconds that are left to it.

        left = await expire(client, meteor, meteor.at("spec", "ttl"))
        if left == 0:
            return None  # it is deleted, and its next event tells
        ...
        return Result(requeue_after=left)

    None: it has no `ttl`, or is being deleted already. 0: it was deleted just now.
    """
    if ttl is None or obj.deletion_timestamp:
        return None
    left = expires_in(obj, ttl, now=now)
    if left > 0:
        return left
    await delete_this(client, obj)
    return 0.0
