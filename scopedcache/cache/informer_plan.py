"""Which list and watch serves a need: one per kind and place, whoever needs it.

A need that is about one name, or about metadata alone, has a list and watch of its own only while no wider one is there
that somebody needs for itself: `cover` says which.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property, lru_cache
from typing import Final

import msgspec

from ..api.acting_rights import rights_to_act_as
from ..api.permission import Permission
from ..identity import Identity
from ..kinds import Kind, Resource, denotes
from ..needs import Need

KEYS_REMEMBERED: Final = 4096

Place = tuple[str, str | None, str | None, bool, Identity | None]


class InformerKey(msgspec.Struct, frozen=True, cache_hash=True, dict=True):
    """Which list and watch: a kind, a place (None: the whole cluster), perhaps one name, perhaps metadata alone.

    `identity` is as whom, None for the program's own user: nothing is shared between two of them.
    """

    resource: Resource
    namespace: str | None
    name: str | None = None
    metadata_only: bool = False
    identity: Identity | None = None

    @cached_property
    def place(self) -> Place:
        """Return what it is about, whatever version serves it."""
        return str(self.resource), self.namespace, self.name, self.metadata_only, self.identity

    @property
    def group(self) -> tuple[Resource, str | None, Identity | None]:
        """Return what it has in common with those that may serve it, or that it may serve."""
        return self.resource, self.namespace, self.identity

    @property
    def wider(self) -> Iterator[InformerKey]:
        """Return the informers of the same kind and place that hold everything this one does, the widest first."""
        for name in dict.fromkeys((None, self.name)):
            for metadata_only in dict.fromkeys((False, self.metadata_only)):
                if (name, metadata_only) != (self.name, self.metadata_only):
                    yield msgspec.structs.replace(self, name=name, metadata_only=metadata_only)

    @cached_property
    def permissions(self) -> tuple[Permission, ...]:
        """Return what it takes: list and watch, both, whatever a streaming list would get by with.

        As somebody else, before that, the rights of the program's own user to act so.
        """
        gvr = self.resource.gvr
        place = self.namespace
        return (
            *rights_to_act_as(self.identity),
            Permission("list", gvr.group, gvr.resource, place, name=self.name, identity=self.identity),
            Permission("watch", gvr.group, gvr.resource, place, name=self.name, identity=self.identity),
        )


def plan(
    resource: Resource,
    need: Need,
    namespace: str | None,
    cluster_wide: Collection[Kind],
    identity: Identity | None = None,
) -> InformerKey:
    """Return the informer that serves a need in a namespace, for an owner as an identity.

    Cluster-scoped kinds, and the kinds a cache was told to watch everywhere, have one for the whole cluster.
    """
    everywhere = not resource.namespaced or any(denotes(kind, resource) for kind in cluster_wide)
    whom = identity if need.identity == "owner" else None
    return _key(resource, None if everywhere else namespace, need.name, need.metadata_only, whom)


# One for all who need the same: its rights are then the same objects too, and look-ups by them compare nothing.
_key = lru_cache(maxsize=KEYS_REMEMBERED)(InformerKey)


def cover(informer_key: InformerKey, ready: Collection[InformerKey]) -> InformerKey:
    """Return the informer that serves a need now: a wider one of those that are ready, or else its own.

    `ready` are the informers that somebody needs for themselves and may have, and that are synced: whoever may list and
    watch a whole kind may see one name of it, but not the other way round.
    """
    return next((wider for wider in informer_key.wider if wider in ready), informer_key)
