"""A need in its place: which informer serves it there, and which rights it takes."""

from __future__ import annotations

from collections.abc import Collection

import attrs

from ..api.permission import Permission
from ..identity import Identity
from ..kinds import Kind, Resource
from ..needs import Need
from .informer_plan import InformerKey, plan


@attrs.frozen(eq=False)
class BoundNeed:
    """One need of a scope. Compared by identity: what was released and needed again is another one.

    Attributes:
        verbs: the rights it declares beyond list and watch.
        permissions: every right it tracks: list, watch, and the declared verbs.
    """

    resource: Resource
    need: Need
    informer_key: InformerKey
    verbs: tuple[Permission, ...]
    permissions: tuple[Permission, ...] = attrs.field(init=False)

    @permissions.default
    def _all(self) -> tuple[Permission, ...]:
        return (*self.informer_key.permissions, *self.verbs)

    @classmethod
    def of(
        cls,
        resource: Resource,
        need: Need,
        namespace: str | None,
        cluster_wide: Collection[Kind] = (),
        identity: Identity | None = None,
    ) -> BoundNeed:
        """Bind a need to a namespace (None: the whole cluster), and to the identity of its owner."""
        gvr = resource.gvr
        place = namespace if resource.namespaced else None
        informer_key = plan(resource, need, namespace, cluster_wide, identity)
        verbs = tuple(
            Permission(verb, gvr.group, gvr.resource, place, name=need.name, identity=informer_key.identity)
            for verb in need.all_verbs[2:]
        )
        return cls(resource, need, informer_key, verbs)

    def __repr__(self) -> str:
        return f"<BoundNeed {self.resource} in {self.informer_key.namespace or 'the cluster'}>"
