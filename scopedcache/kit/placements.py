"""An owner with something in many namespaces, none of which is ever forgotten.

    placed = await place_in_each(cache, owner, needs, wanted, place, remove, finalizer=FINALIZER)
    await placed.report(client, phase="Ready" if len(placed.done) == len(wanted) else "Building")

Where something may be stands in `status.namespaces` before it is made there, and for as long as it may be there: after
a crash, a lost write or a denial the next run knows. The owner keeps a finalizer until nothing is left anywhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final, TypeVar

import attrs
import msgspec

from ..api import Client
from ..cache import ResourceCache, ScopedCache
from ..controller.reporting.conditions import set_condition
from ..controller.reporting.status import patch_status
from ..errors import CacheError
from ..kinds import GVK, Kind
from ..needs import Need
from ..objects import Object
from .custom_resource import Conditions
from .finalizers import add_finalizer, remove_finalizer
from .places import AT_ONCE, Places, Work, in_each

T = TypeVar("T")
NAMESPACE: Final = GVK("", "v1", "Namespace")
# The label by which a Namespace carries its own name.
NAME_LABEL: Final = "kubernetes.io/metadata.name"


class PlacedStatus(msgspec.Struct, kw_only=True):
    """What the status of an owner needs for `place_in_each`: a base for the model of one."""

    namespaces: list[str] = []
    conditions: Conditions = []


@attrs.frozen
class Placed(Places[T]):
    """What became of it in each namespace.

    Attributes:
        owner: as it is after what was written down.
        left: where something of it is, or may be: what `report` writes to `status.namespaces`.
        is_over: the owner was deleted, nothing is left, and it was let go.
    """

    owner: Object = attrs.field(kw_only=True)
    left: frozenset[str] = attrs.field(kw_only=True)
    is_over: bool = attrs.field(kw_only=True)

    async def report(
        self, client: Client, conditions: Mapping[str, tuple[bool, str, str]] = MappingProxyType({}), **status: Any
    ) -> None:
        """Write what became of it into the owner's status, and raise what failed; nothing where the owner is gone.

        The condition `Permitted` says where what is missing; `namespaces` is what is left.

        Args:
            conditions: more of them: type → whether it is true, the reason, and a sentence.
            status: more fields; None takes one out.

        Raises:
            ExceptionGroup: see `check`.
            ConflictError: somebody else wrote the owner meanwhile; reconcile again.
        """
        if self.is_over:
            return
        told = self.condition(self.owner)
        for type, (true, reason, message) in conditions.items():
            told = set_condition(told, type, true, reason, message, observed_generation=self.owner.generation or None)
        await patch_status(client, self.owner, {**status, "namespaces": sorted(self.left), "conditions": told})
        self.check()


async def place_in_each(
    cache: ScopedCache,
    owner: Object,
    needs: Iterable[Kind | Need],
    wanted: Iterable[str],
    place: Work[T],
    remove: Callable[[ResourceCache], Awaitable[object]],
    *,
    finalizer: str,
    status: Mapping[str, Any] | None = None,
    at_once: int = AT_ONCE,
) -> Placed[T]:
    """Run `place` in each wanted namespace, and `remove` in each where the owner has something and should not.

    As `in_each` otherwise: a namespace that is denied is named, heals, and delays no other. While the owner is deleted,
    nothing is wanted; where `remove` is denied, the owner stays until it went well. What `remove` returns says whether
    something is left all the same (a finalizer of others): the namespace is not forgotten then.

    A namespace that is not there any more is forgotten. For that Namespaces are watched for everybody, e.g. by
    `Watch.selecting(NAMESPACE, placed_in)`; where they are not, all of them count as there.

    Args:
        status: what else to write down before anything is made.

    Raises:
        APIError: the owner could not be written; nothing was made then.
    """
    client, known = cache.client, set(_namespaces(owner))
    with suppress(CacheError):
        known &= {one.name for one in cache.cluster.list(NAMESPACE)}
    targets = set() if owner.deletion_timestamp else set(wanted)
    if not owner.deletion_timestamp:
        owner = await add_finalizer(client, owner, finalizer)
        if known | targets:
            owner = await patch_status(client, owner, {"namespaces": sorted(known | targets), **(status or {})})

    async def work(scope: ResourceCache) -> tuple[T | None, bool]:
        if scope.namespace in targets:
            return await place(scope), True
        return None, bool(await remove(scope))

    places = await in_each(cache, owner, needs, sorted(known | targets), work, at_once=at_once)
    left = {*places.denied, *places.failed, *(name for name, (_, is_left) in places.done.items() if is_left)}
    done: dict[str, Any] = {name: made for name, (made, _) in places.done.items() if name in targets}
    is_over = bool(owner.deletion_timestamp) and not left
    if is_over:
        cache.close(owner)
        await remove_finalizer(client, owner, finalizer)
    return Placed(done, places.denied, places.failed, owner=owner, left=frozenset(left), is_over=is_over)


def placed_in(owner: Object) -> list[dict[str, str]]:
    """Return the labels of the Namespaces that an owner has something in: for `Watch.selecting`."""
    return namespaces_named(_namespaces(owner))


def namespaces_named(names: Iterable[str]) -> list[dict[str, str]]:
    """Return the labels of the Namespaces of these names: for `Watch.selecting`, and for `list`."""
    return [{NAME_LABEL: name} for name in names]


def _namespaces(owner: Object) -> list[str]:
    names: list[str] = owner.at("status", "namespaces", default=[])
    return names
