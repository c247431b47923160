"""Kinds and keys: how the API names what it serves, and how a user names a kind."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import attrs
import msgspec

from .built_in_names import BUILT_IN_NAMES


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
        """Return `group/version`, or the version alone for the core group."""
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
        verbs = self.verbs
        if not verbs or ("list" in verbs and "watch" in verbs):
            return ()
        return tuple(verb for verb in ("list", "watch") if verb not in verbs)

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
            return any(
                group == gvr.group
                and version in ("", gvr.version)
                and (name == gvr.resource or name.lower() == gvk.kind.lower())
                for group, version, name in meanings(kind)
            )


@lru_cache(1024)
def meanings(written: str) -> tuple[tuple[str, str, str], ...]:
    """Return (group, version, name) for every way a written kind can be understood, likeliest first.

    `pods`, `deploy`, `deployments.apps`, `deployments.v1.apps`, `apps/v1/Deployment`, `v1/Pod`. Without a group it is a
    kind of Kubernetes itself.
    """
    written = written.strip()
    if "/" in written:
        *group, version, name = written.split("/")
        return (("/".join(group), version, name),)
    name, _, rest = written.partition(".")
    if not rest:
        group_of_name, plural = BUILT_IN_NAMES.get(name.lower(), ("", name))
        return ((group_of_name, "", plural),)
    version, _, group_of_version = rest.partition(".")
    if version.startswith("v") and version[1:2].isdecimal():
        return ((rest, "", name), (group_of_version, version, name))
    return ((rest, "", name),)


def strings(values: str | Iterable[str]) -> tuple[str, ...]:
    """Return one string, or several, as a tuple."""
    return (values,) if isinstance(values, str) else tuple(values)
