"""Objects that live for a while: how much of it is left."""

from __future__ import annotations

from datetime import datetime

from ..clock import wall_time
from ..objects import Object


def expires_in(obj: Object, ttl: float, *, now: datetime | None = None) -> float:
    """Return the seconds until an object is older than `ttl`; zero and below: it is.

        left = expires_in(meteor, meteor.at("spec", "ttl"))
        if left <= 0: await client.delete(meteor, uid=meteor.uid)
        return Result(requeue_after=left)

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
