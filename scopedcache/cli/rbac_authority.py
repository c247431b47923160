"""Who may do what by a set of RBAC objects that nobody has to apply: the embedded cluster's authoriser over them."""

from __future__ import annotations

from typing import Any

import attrs

from ..testing.embedded.auth.rbac_authorizer import Authorizer
from ..testing.embedded.controllers.cluster_role_aggregation import ClusterRoleAggregation
from ..testing.embedded.kinds.kind_registry import Registry
from ..testing.embedded.storage.storage import Storage
from ..testing.embedded.wire.request_attributes import Attributes, User
from .rbac_objects import KINDS, RBAC, RBACKey, RBACObjects, key_of


@attrs.frozen(order=True)
class Asked:
    """What somebody would do: to a resource, or to a path; perhaps to one name."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    path: str = ""

    @property
    def subject(self) -> str:
        """Return what it is about, as tables show it: `deployments.apps/scale`, `/metrics`."""
        if self.path:
            return self.path
        base = "*" if (self.group, self.resource) == ("*", "*") else ".".join(filter(None, (self.resource, self.group)))
        base = f"{base}/{self.subresource}" if self.subresource else base
        return f'{base} "{self.name}"' if self.name else base

    def spec(self, namespace: str) -> dict[str, Any]:
        """Return it as reviews spell it."""
        if self.path:
            return {"nonResourceAttributes": {"verb": self.verb, "path": self.path}}
        fields = {field: getattr(self, field) for field in ("verb", "group", "resource", "subresource", "name")}
        fields["namespace"] = namespace
        return {"resourceAttributes": {field: value for field, value in fields.items() if value}}


@attrs.frozen
class Somebody:
    """A user with groups, or what a group alone gives."""

    user: str
    groups: tuple[str, ...]


class RBACAuthority:
    """Answers questions by RBAC objects alone."""

    def __init__(self, objects: RBACObjects, *, aggregate: bool) -> None:
        """Store copies of the objects. `aggregate`: ClusterRoles that collect others do so anew."""
        registry, storage = Registry(), Storage()
        aggregation = ClusterRoleAggregation(storage, registry)
        storage.subscribe(aggregation.observe)
        self._kinds = {kind: registry[f"{kind.lower()}s.{RBAC}"] for kind in KINDS}
        for key, manifest in objects.items():
            storage.create(self._kinds[key.kind], dict(manifest), 0.0)
        if aggregate:
            aggregation.step(0.0)
        self._storage = storage
        self._authorizer = Authorizer(storage, registry)

    def allows(self, who: Somebody, asked: Asked, namespace: str) -> bool:
        """Tell whether they may; an empty namespace is the whole cluster."""
        user = User(who.user, who.groups)
        if asked.path:
            return self._authorizer.decide(user, Attributes(asked.verb, asked.path)).allowed
        attributes = Attributes(
            asked.verb, "", True, group=asked.group, resource=asked.resource, subresource=asked.subresource,
            namespace=namespace, name=asked.name,
        )  # fmt: skip
        return self._authorizer.decide(user, attributes).allowed

    def objects(self) -> dict[RBACKey, dict[str, Any]]:
        """Return the objects, with the rules that were collected."""
        stored = (one for kind in self._kinds.values() for one in self._storage.list(kind))
        return {key_of(one.body): one.body for one in stored}
