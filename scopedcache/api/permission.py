"""One permission: a verb on a resource in a place, perhaps on one name. What RBAC gives and takes."""

from __future__ import annotations

import msgspec

from ..errors import APIError, where
from ..identity import Identity, as_whom


class Permission(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """One right: a verb on a resource (`group`, `resource`, perhaps `subresource`) in a place, perhaps on one name.

    `namespace` None is the whole cluster. A create and a deletecollection have no name, whatever is given: the
    authoriser sees none, for the name stands in the body or nowhere, so that no `resourceNames` gives them. A create of
    a subresource names its object in the path. `identity` is whose right it is; None: the program's own user's.
    """

    verb: str
    group: str
    resource: str
    namespace: str | None
    subresource: str | None = None
    name: str | None = None
    identity: Identity | None = None

    # A Struct, for it is a key of many tables: its hash is found without a call in Python.

    def __post_init__(self) -> None:
        if self.verb == "deletecollection" or (self.verb == "create" and self.subresource is None):
            msgspec.structs.force_setattr(self, "name", None)

    @property
    def subject(self) -> str:
        """Return the resource as RBAC names it: `deployments.apps/scale`."""
        base = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{base}/{self.subresource}" if self.subresource else base

    def __str__(self) -> str:
        named = f' "{self.name}"' if self.name else ""
        return f"{self.verb} {self.subject}{named} {where(self.namespace)}{as_whom(self.identity)}"

    @property
    def rbac_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def permission_of(error: APIError) -> Permission:
    """Return the right that a refused call was about."""
    resource, _, subresource = error.resource.partition("/")
    plural, _, group = resource.partition(".")
    return Permission(error.verb, group, plural, error.namespace, subresource or None, error.name, error.identity)
