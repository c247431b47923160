"""An owner named by a label: where an owner reference may not lead, across namespaces."""

from __future__ import annotations

from typing import Any, Final

import attrs

from ..objects import Object

VALUE_CHARACTERS: Final = 63


def _check_uid(instance: LabelRoute, attribute: attrs.Attribute[str], value: str) -> None:
    if not 0 < len(value) <= VALUE_CHARACTERS:
        raise ValueError(f"uid= is the UID of the owner, which a label can hold, not {value!r}")


@attrs.frozen(cache_hash=True)
class LabelRoute:
    """The objects that carry an owner's UID as the value of a label.

        ours = LabelRoute("meteor.zone/meteor-uid", uid=meteor.uid)
        scope = await cache.open(meteor, Need(COMA, route=ours), namespace=…)
        ours.mark(coma); … ; ours.is_ours(found)

    As a `Need.route` it leads every object that has the label to the owner it names, whoever that is; so all routes of
    one label are equal, and an informer asks one of them for all of its owners.
    """

    label: str
    uid: str = attrs.field(eq=False, kw_only=True, validator=_check_uid)

    def __call__(self, obj: Object) -> str | None:
        """Return the UID of the owner an object names."""
        return obj.labels.get(self.label)

    def mark(self, obj: Object) -> Object:
        """Make an object ours, in place; return it."""
        metadata: dict[str, Any] = obj.to_dict().setdefault("metadata", {})
        metadata["labels"] = {**(metadata.get("labels") or {}), self.label: self.uid}
        return obj

    def is_ours(self, obj: Object) -> bool:
        """Tell whether an object, as the server sent it, names this owner."""
        return obj.labels.get(self.label) == self.uid
