"""Watches RBAC objects, where that is allowed: a change of one hints at a change of rights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from ..informer import EventHandler
from ..kinds import GVK, GVR, Resource
from ..objects import Object

GROUP: Final = "rbac.authorization.k8s.io"
# Their names are as old as the API: no discovery is needed, and where they are not served nothing else suffers.
RBAC_RESOURCES: Final = tuple(
    Resource(GVR(GROUP, "v1", f"{kind.lower()}s"), GVK(GROUP, "v1", kind), namespaced=not kind.startswith("Cluster"))
    for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
)


class Hints(Protocol):
    """Takes hints."""

    def hint(self, place: str | None) -> None:
        """Something about rights changed there (None: perhaps everywhere)."""


class Live(Protocol):
    """An informer that may be live."""

    @property
    def live(self) -> bool:
        """Tell whether changes are heard of at once."""


def hinting_handler(hints: Hints) -> EventHandler:
    """Return a handler that makes a hint of each change; what was there before is none."""

    def hint(obj: Object) -> None:
        hints.hint(obj.namespace or None)

    return EventHandler(
        on_add=lambda obj, initial: None if initial else hint(obj),
        on_update=lambda old, new: hint(new),
        on_delete=lambda obj, unknown: hint(obj),
    )


class RBACWatch:
    """The informers of all RBAC kinds."""

    def __init__(self, informers: Sequence[Live]) -> None:
        self._informers = informers

    def is_live(self) -> bool:
        """Tell whether every change of RBAC objects is heard of at once."""
        return all(informer.live for informer in self._informers)
