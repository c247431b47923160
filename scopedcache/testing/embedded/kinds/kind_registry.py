"""Which kinds are served: the built-in ones, and those that CustomResourceDefinitions add at run time."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from .builtin_kinds import KINDS
from .builtin_schemas import BuiltinSchema
from .kind import Kind, Version


class Registry:
    """The kinds by group and resource."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], Kind] = {}
        for kind in KINDS:
            self.add(attrs.evolve(kind, versions={kind.version: Version(BuiltinSchema(kind), kind.subresources)}))

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._kinds.values())

    def find(self, group: str, resource: str) -> Kind | None:
        """Return a kind by its plural name."""
        return self._kinds.get((group, resource))

    def named(self, group: str, name: str) -> Kind | None:
        """Return a kind by its Kind name (`Deployment`): how owner references and manifests name it."""
        return next((k for k in self._kinds.values() if k.group == group and k.name == name), None)

    def __getitem__(self, resource: str) -> Kind:
        """Return a kind by how RBAC names it: `deployments.apps`. Raise KeyError where it is not served."""
        plural, _, group = resource.partition(".")
        return self._kinds[group, plural]

    def add(self, kind: Kind) -> None:
        """Serve a kind, in place of one of the same group and resource."""
        self._kinds[kind.group, kind.resource] = kind

    def remove(self, kind: Kind) -> None:
        """Serve a kind no longer."""
        self._kinds.pop((kind.group, kind.resource), None)
