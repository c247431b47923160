"""What the cache tells about owners: something they own changed, or what they may see did."""

from __future__ import annotations

from typing import Any, Literal

import attrs

from ..errors import ForbiddenError, UnauthorizedError, UnknownKindError
from ..kinds import GVK, ObjectKey
from ..objects import Object

Denial = ForbiddenError | UnauthorizedError
# Why something cannot be seen: a right is missing, or the server does not serve its kind.
Obstacle = Denial | UnknownKindError


@attrs.frozen(cache_hash=True)
class OwnerId:
    """Who opened a scope: a custom resource by kind, key and UID. A recreated one is another owner."""

    kind: GVK
    key: ObjectKey
    uid: str

    @classmethod
    def of(cls, owner: Object | OwnerId | Any) -> OwnerId:
        """Take an Object, or anything with `gvk`, `key` and `uid`.

        Raises:
            TypeError: it is something else.
            ValueError: it has no UID: it was never read from a server.
        """
        if isinstance(owner, OwnerId):
            return owner
        if not all(hasattr(owner, field) for field in ("gvk", "key", "uid")):
            raise TypeError(
                f"{owner!r} is no owner: an owner is the object that needs what is opened, as it was read from the "
                "server (`await client.get(kind, name, namespace=…)`), or an OwnerId"
            )
        if not owner.uid:
            raise ValueError(f"{owner!r} has no UID: an owner is an object read from the server")
        return cls(owner.gvk, owner.key, owner.uid)

    def __str__(self) -> str:
        return f"{self.kind.kind} {self.key}"


@attrs.frozen
class OwnerChanged:
    """Reconcile this owner.

    Attributes:
        cause: `child`: an object of its changed; `denied`: a right was lost, or a kind is not served any more, `error`
            says which, or what is missing is not what it was, `error` says what it is now; `granted`: it is back, and
            where it was needed to see, everything is synced again; `synced`: what `open` did not wait for is there.
        initial: the change was part of a first list: there is no hurry.
    """

    kind: GVK
    key: ObjectKey
    uid: str
    cause: Literal["child", "denied", "granted", "synced"]
    error: Obstacle | None = None
    initial: bool = False
