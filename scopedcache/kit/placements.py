"""An owner with something in many namespaces, none of which is ever forgotten.

    placed = await place_in_each(cache, owner, needs, wanted, place, remove, finalizer=FINALIZER)
    await placed.report(client, phase="Ready" if len(placed.done) == len(wanted) else "Building")

Where something may be stands in `status.namespaces` before it is made there, and for as long as it may be there: after
a crash, a lost write or a denial the next run knows. The owner keeps a finalizer until nothing is left anywhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

import attrs
import msgspec

from ..api import Client
from ..cache import ResourceCache, ScopedCache
from ..controller import Cluster, Controller, Request
from ..controller.reporting.conditions import set_condition
from ..controller.reporting.status import patch_status
from ..errors import APIError, CacheError
from ..kinds import Kind
from ..needs import Need
from ..objects import Object
from .cluster_places import NAMESPACE, ClusterPlaces, place_in, split
from .custom_resource import Conditions
from .finalizers import add_finalizer, remove_finalizer
from .places import AT_ONCE, Places, Work, work_in_each

T = TypeVar("T")
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
    clusters: Mapping[str, Cluster] | None = None,
) -> Placed[T]:
    """Run `place` in each wanted namespace, and `remove` in each where the owner has something and should not.

    As `in_each` otherwise: a namespace that is denied is named, heals, and delays no other. While the owner is deleted,
    nothing is wanted; where `remove` is denied, the owner stays until it went well. What `remove` returns says whether
    something is left all the same (a finalizer of others): the namespace is not forgotten then.

    A namespace that is not there any more is forgotten. For that Namespaces are watched for everybody, e.g. by
    `Watch.selecting(NAMESPACE, placed_in)`; where they are not, all of them count as there. A cluster that is not there
    may come back: what is in it is not forgotten.

    Args:
        status: what else to write down before anything is made.
        clusters: as for `in_each`: `east/app` is a place in the cluster `east`, and stands so in `status.namespaces`.

    Raises:
        APIError: the owner could not be written, or the Namespaces of the manager's own cluster, which are watched, may
            not be seen; nothing was made then.
    """
    client, places = cache.client, ClusterPlaces(cache, clusters)
    known = places.without_gone(_namespaces(owner))
    targets = set() if owner.deletion_timestamp else set(wanted)
    if not owner.deletion_timestamp:
        owner = await add_finalizer(client, owner, finalizer)
        if known | targets:
            owner = await patch_status(client, owner, {"namespaces": sorted(known | targets), **(status or {})})

    async def work(name: str, scope: ResourceCache) -> tuple[T | None, bool]:
        if name in targets:
            return await place(scope), True
        return None, bool(await remove(scope))

    found = await work_in_each(places, owner, needs, sorted(known | targets), work, at_once=at_once)
    left = {*found.denied, *found.failed, *(name for name, (_, is_left) in found.done.items() if is_left)}
    done: dict[str, Any] = {name: made for name, (made, _) in found.done.items() if name in targets}
    is_over = bool(owner.deletion_timestamp) and not left
    if is_over:
        for _, one in places.caches():
            one.close(owner)
        await remove_finalizer(client, owner, finalizer)
    return Placed(done, found.denied, found.failed, owner=owner, left=frozenset(left), is_over=is_over)


def placed_in(owner: Object) -> list[dict[str, str]]:
    """Return the labels of the Namespaces that an owner has something in: for `Watch.selecting`.

    Those of the manager's own cluster: a watch sees no others.
    """
    return namespaces_named(namespace for cluster, namespace in map(split, _namespaces(owner)) if not cluster)


def namespaces_named(names: Iterable[str]) -> list[dict[str, str]]:
    """Return the labels of the Namespaces of these names: for `Watch.selecting`, and for `list`."""
    return [{NAME_LABEL: name} for name in names]


def selected_places(
    cache: ScopedCache,
    owner: Object,
    selectors: Iterable[Mapping[str, str]],
    clusters: Mapping[str, Cluster] | None = None,
) -> set[str]:
    """Return the places whose Namespaces carry the labels of one of these selectors, and are not being deleted.

    Namespaces are watched for everybody. While they cannot be seen in another cluster, or it is not there, its
    places are those in which the owner has something: nothing is taken away for want of a look.

    Raises:
        APIError, CacheError: they cannot be seen in the manager's own cluster.
    """
    wanted = [dict(labels) for labels in selectors]
    selected, seen = set[str](), set[str]()
    for cluster, there in ClusterPlaces(cache, clusters).caches():
        try:
            found = [one for labels in wanted for one in there.cluster.list(NAMESPACE, labels=labels)]
        except (APIError, CacheError):
            if not cluster:
                raise
            continue
        seen.add(cluster)
        selected |= {place_in(cluster, one.name) for one in found if not one.deletion_timestamp}
    return selected | {place for place in _namespaces(owner) if split(place)[0] not in seen}


def namespaces_elsewhere(controller: Controller, clusters: Mapping[str, Cluster] | None) -> list[Controller]:
    """Return a controller that watches the Namespaces of the other clusters; none without clusters.

    All of what `controller` is for is reconciled when one comes, changes or goes: another selection may be theirs now.
    """

    async def selected_anew(_: Request) -> None:
        controller.requeue_all()

    name = f"namespaces-of-{controller.name}"
    elsewhere = Controller(for_=NAMESPACE, reconcile=selected_anew, clusters="others", name=name)
    return [] if clusters is None else [elsewhere]


def _namespaces(owner: Object) -> list[str]:
    names: list[str] = owner.at("status", "namespaces", default=[])
    return names
