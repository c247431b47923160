"""A kind of object: what it is called, where it lives, what may be asked of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import attrs

from ..wire.status_errors import Body, Cause

_SCALE: Final = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class Validator(Protocol):
    """What is known of the fields of a kind: a `BuiltinSchema` or, for a custom one, its `StructuralSchema`."""

    def complete(self, body: Body) -> list[str]:
        """Drop unknown fields and fill in defaults, in place; return the paths of what was dropped (`spec.foo`)."""

    def causes(self, body: Body, old: Body | None) -> list[Cause]:
        """Return what is wrong with an object that is to be stored; `old` is None at its creation."""

    def list_keys(self, path: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return how an apply merges the list at `path` (field names only: `("spec", "ports")`).

        The names of the keys of its items; `()` where it is a set of scalars; None where it is replaced as a whole.
        """


@attrs.frozen(eq=False)
class Version:
    """What a version of a kind has for itself.

    Attributes:
        columns: additionalPrinterColumns.
        scale: where the fields of the scale are: `specReplicasPath` …
    """

    validator: Validator
    subresources: frozenset[str] = frozenset()
    columns: Sequence[Body] = ()
    scale: Mapping[str, str] = _SCALE


@attrs.frozen(eq=False)
class Kind:
    """A kind that is served.

    Attributes:
        version: the one that objects are stored in; `versions` are all that are served, the preferred one first.
        subresources: of all versions.
        generation: whether changes of anything but metadata and status count.
        custom: made by a CustomResourceDefinition.
        selectable: fields beyond metadata.name and metadata.namespace that a field selector may name.
        stored_as: the other kind that the objects are filed as.
        key: what objects are filed under: (group, resource).
    """

    group: str
    version: str
    resource: str
    name: str
    namespaced: bool = True
    versions: Mapping[str, Version] = attrs.field(factory=dict)
    list_name: str = ""
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = VERBS
    subresources: frozenset[str] = frozenset()
    generation: bool = False
    custom: bool = False
    selectable: tuple[str, ...] = ()
    stored_as: tuple[str, str] | None = None
    key: tuple[str, str] = attrs.field(init=False)

    @key.default
    def _key(self) -> tuple[str, str]:
        return self.stored_as or (self.group, self.resource)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.resource}.{self.group}" if self.group else self.resource
