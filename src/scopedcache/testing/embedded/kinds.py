"""A kind of object: what it is called, where it lives, what may be asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import attrs

from .refusals import Body, Cause

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class Validator(Protocol):
    """What a schema says about objects of a kind. Custom kinds get theirs from `registry.Compile`."""

    def complete(self, body: Body) -> list[str]:
        """Drop unknown fields and fill in defaults, in place; return the paths of what was dropped (`spec.foo`)."""

    def causes(self, body: Body, old: Body | None) -> list[Cause]:
        """Return what is wrong with an object that is to be stored; `old` is None at its creation."""

    def list_keys(self, path: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return how an apply merges the list at `path` (field names only: `("spec", "ports")`).

        The names of the keys of its items; `()` where it is a set of scalars; None where it is replaced as a whole.
        """


@attrs.frozen(eq=False)
class Kind:
    """A kind that is served.

    Attributes:
        version: the one that objects are stored in; `versions` are all that are served, the preferred one first.
        generation: whether changes of anything but metadata and status count.
        custom: made by a CustomResourceDefinition.
        validators: by version; none for most built-in kinds.
        columns: additionalPrinterColumns by version.
    """

    group: str
    version: str
    resource: str
    name: str
    namespaced: bool = True
    versions: tuple[str, ...] = ()
    list_name: str = ""
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = VERBS
    subresources: frozenset[str] = frozenset()
    generation: bool = False
    custom: bool = False
    # Fields beyond metadata.name and metadata.namespace that a field selector may name.
    selectable: tuple[str, ...] = ()
    validators: Mapping[str, Validator] = attrs.field(factory=dict)
    columns: Mapping[str, list[dict[str, Any]]] = attrs.field(factory=dict)
    # The subresources that each version of a custom kind has.
    by_version: Mapping[str, frozenset[str]] = attrs.field(factory=dict)
    # Where a custom kind keeps the fields of its scale: specReplicasPath …
    scale: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict)
    # The other kind that the objects are filed as.
    stored_as: tuple[str, str] | None = None
    # What objects are filed under: (group, resource).
    key: tuple[str, str] = attrs.field(init=False)

    @key.default
    def _key(self) -> tuple[str, str]:
        return self.stored_as or (self.group, self.resource)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def served(self) -> tuple[str, ...]:
        return self.versions or (self.version,)

    def __str__(self) -> str:
        return f"{self.resource}.{self.group}" if self.group else self.resource
