"""Edits of manifests: an object of a YAML file, one of its fields, its value."""

from __future__ import annotations

from typing import Any

import attrs
import yaml

from .edit import NotApplied

GONE = "gone"


@attrs.frozen
class Field:
    """A field of an object has this value.

    Attributes:
        file: the path in the tree.
        object: `Kind/name`.
        path: names and numbers, with dots between them; `+` at the end is one more entry of a list.
        value: in YAML; `GONE`: the field is not there.
    """

    file: str
    object: str
    path: str
    value: str

    def apply(self, text: str) -> str:
        """Return the manifests with the field changed.

        Raises:
            NotApplied: there is no such object or field, or nothing would change.
        """
        objects = list(yaml.safe_load_all(text))
        named = [one for one in objects if one and f"{one['kind']}/{one['metadata']['name']}" == self.object]
        if len(named) != 1:
            raise NotApplied(f"{self.file} has {len(named)} times, not once: {self.object}")
        *parents, last = self.path.split(".")
        within: Any = named[0]
        try:
            for name in parents:
                within = within[_key(within, name)]
            self._set(within, last)
        except (LookupError, ValueError, TypeError):
            raise NotApplied(f"{self.file}: {self.object} has no {self.path}") from None
        return yaml.safe_dump_all(objects, sort_keys=False)

    def _set(self, within: Any, last: str) -> None:
        value = yaml.safe_load(self.value)
        if last == "+" and isinstance(within, list):
            within.append(value)
        elif self.value == GONE:
            del within[_key(within, last)]
        elif within[_key(within, last)] == value:
            raise NotApplied(f"{self.file}: {self.object} has {self.path}: {value} already")
        else:
            within[_key(within, last)] = value


def _key(within: Any, name: str) -> str | int:
    return int(name) if isinstance(within, list) else name
