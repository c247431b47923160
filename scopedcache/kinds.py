"""Kinds and keys: how the API names what it serves, and how a user names a kind."""

from __future__ import annotations

from typing import NamedTuple

import attrs
import msgspec


class ObjectKey(NamedTuple):
    """Where an object lives: its namespace (empty for cluster-scoped kinds) and its name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class GVK(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """A kind by group, version and Kind; `version` may be empty: the server's preferred one.

    A Struct for its hash: every read looks a kind up, and an attrs class computes it in Python.
    """

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @classmethod
    def of(cls, api_version: str, kind: str) -> GVK:
        """Build from the two fields every object carries (`apps/v1`, `Deployment`)."""
        group, _, version = api_version.rpartition("/")
        return cls(group, version, kind)

    def __str__(self) -> str:
        return f"{self.kind}.{self.version}.{self.group}".rstrip(".") if self.group else f"{self.kind}.{self.version}"


class GVR(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """A resource by group, version and plural name, as it stands in a request path."""

    group: str
    version: str
    resource: str

    @property
    def group_resource(self) -> str:
        """Return the name admins use: `deployments.apps`, or `pods` for the core group."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    def __str__(self) -> str:
        return self.group_resource


@attrs.frozen(cache_hash=True)
class Resource:
    """A kind as the server serves it."""

    gvr: GVR
    gvk: GVK
    namespaced: bool
    verbs: frozenset[str] = attrs.field(default=frozenset(), eq=False)
    subresources: frozenset[str] = attrs.field(default=frozenset(), eq=False)

    @property
    def missing_verbs(self) -> tuple[str, ...]:
        """Return what the server does not offer of the verbs a cache needs; nothing where its verbs are not known."""
        return tuple(verb for verb in ("list", "watch") if self.verbs and verb not in self.verbs)

    def __str__(self) -> str:
        return self.gvr.group_resource


Kind = str | GVK | GVR | Resource


def denotes(kind: Kind, resource: Resource) -> bool:
    """Tell whether a kind, as a user wrote it, is this resource. Versions count only where both name one."""
    gvr, gvk = resource.gvr, resource.gvk
    match kind:
        case Resource():
            return kind == resource
        case GVK():
            return (kind.group, kind.kind) == (gvk.group, gvk.kind) and kind.version in ("", gvk.version)
        case GVR():
            return (kind.group, kind.resource) == (gvr.group, gvr.resource) and kind.version in ("", gvr.version)
        case str():
            names = {gvr.resource, gvk.kind, gvk.kind.lower()}
            groups = {gvr.group, f"{gvr.version}.{gvr.group}".rstrip(".")}
            name, _, group = kind.strip().partition(".")
            return name in names and group in groups
