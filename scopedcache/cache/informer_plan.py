"""Which list and watch serves a need: one per kind and place, whoever needs it."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

import attrs

from ..api.permission import Permission
from ..kinds import Kind, Resource, denotes
from ..needs import Need

Place = tuple[str, str | None, str | None, bool]


@attrs.frozen(cache_hash=True)
class InformerKey:
    """Which list and watch: a kind, a place (None: the whole cluster), perhaps one name, perhaps metadata alone."""

    resource: Resource
    namespace: str | None
    name: str | None = None
    metadata_only: bool = False

    @property
    def place(self) -> Place:
        """Return what it is about, whatever version serves it."""
        return str(self.resource), self.namespace, self.name, self.metadata_only

    @cached_property
    def permissions(self) -> tuple[Permission, Permission]:
        """Return what it takes: list and watch, both, whatever a streaming list would get by with."""
        gvr = self.resource.gvr
        place = self.namespace
        return (
            Permission("list", gvr.group, gvr.resource, place, name=self.name),
            Permission("watch", gvr.group, gvr.resource, place, name=self.name),
        )


def plan(resource: Resource, need: Need, namespace: str | None, cluster_wide: Collection[Kind]) -> InformerKey:
    """Return the informer that serves a need in a namespace.

    Cluster-scoped kinds, and the kinds a cache was told to watch everywhere, have one for the whole cluster.
    """
    everywhere = not resource.namespaced or any(denotes(kind, resource) for kind in cluster_wide)
    return InformerKey(resource, None if everywhere else namespace, need.name, need.metadata_only)
