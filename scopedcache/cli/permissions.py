"""Rights as people write them: `deployments.apps/scale` is a kind with its subresource."""

from __future__ import annotations

from typing import Final

import attrs

from ..api.permission import Permission
from ..kinds import Resource

# What RBAC knows of an ordinary kind, in the order in which people think of it.
VERBS: Final = ("get", "list", "watch", "create", "update", "patch", "delete")
# What a cache cannot do without.
CACHE_VERBS: Final = ("list", "watch")


@attrs.frozen
class Subject:
    """A kind, or a subresource of one, that rights are about."""

    resource: Resource
    subresource: str | None = None

    def permission(self, verb: str, place: str | None) -> Permission:
        """Return the right to a verb in a place; that of a cluster-scoped kind is the whole cluster."""
        gvr = self.resource.gvr
        namespace = place if self.resource.namespaced else None
        return Permission(verb, gvr.group, gvr.resource, namespace, self.subresource)

    def __str__(self) -> str:
        base = self.resource.gvr.group_resource
        return f"{base}/{self.subresource}" if self.subresource else base


def split_subresource(text: str) -> tuple[str, str | None]:
    """Return the kind and the subresource of `deployments.apps/scale`, also written `deployments/scale.apps`."""
    kind, _, subresource = text.partition("/")
    if "." in subresource:
        subresource, _, group = subresource.partition(".")
        kind = f"{kind}.{group}"
    return kind, subresource or None


def place_name(place: str | None) -> str:
    """Return a place as tables show it."""
    return place or "(cluster)"


def verbs_in_order(verbs: set[str]) -> list[str]:
    """Return verbs in the order in which people think of them; others after them."""
    return [verb for verb in VERBS if verb in verbs] + sorted(verbs - set(VERBS))
