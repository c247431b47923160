"""The files of a new operator: templates with the names put in."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Mapping
from typing import Final

import attrs

from .exit_status import CommandError

# A Kubernetes name with room behind it for `-in-namespace`.
NAME: Final = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")
GROUP: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+")
KIND: Final = re.compile(r"[A-Z][A-Za-z0-9]{0,38}")
SUFFIX: Final = ".template"
# Folders of the starter that bear a name of the operator's.
PACKAGE: Final = "package"
_TAKEN: Final = ("tests", "config", "scopedcache")


@attrs.frozen
class OperatorNames:
    """What a new operator and its kind are called."""

    name: str
    kind: str
    group: str

    @classmethod
    def of(cls, name: str, kind: str | None, group: str) -> OperatorNames:
        """Check the names; the kind is the name in capitals, unless told otherwise.

        Raises:
            CommandError: one of them cannot be used.
        """
        if not NAME.fullmatch(name):
            raise CommandError(f"{name!r} is no name: small letters, digits and dashes, a letter first, 40 at most")
        package = name.replace("-", "_")
        if keyword.iskeyword(package) or package in sys.stdlib_module_names or package in _TAKEN:
            raise CommandError(f"a Python package cannot be called {package}: choose another name")
        kind = kind or "".join(part.capitalize() for part in name.split("-"))
        if not KIND.fullmatch(kind):
            raise CommandError(f"{kind!r} is no kind: letters and digits, a capital first (--kind)")
        if not GROUP.fullmatch(group):
            raise CommandError(f"{group!r} is no API group: a domain name, such as example.com (--group)")
        return cls(name, kind, group)

    @property
    def package(self) -> str:
        return self.name.replace("-", "_")

    @property
    def plural(self) -> str:
        lower = self.kind.lower()
        if lower.endswith(("s", "x", "z", "ch", "sh")):
            return f"{lower}es"
        return f"{lower[:-1]}ies" if re.search(r"[^aeiou]y$", lower) else f"{lower}s"

    @property
    def _constant(self) -> str:
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.kind).upper()

    def filled(self, text: str) -> str:
        """Return a template with the names put in."""
        values = {
            "name": self.name,
            "package": self.package,
            "Kind": self.kind,
            "KIND": self._constant,
            "kind": self.kind.lower(),
            "kinds": self.plural,
            "group": self.group,
        }
        return re.sub(r"@(\w+)@", lambda match: values[match[1]], text)


def files(templates: Mapping[str, str], names: OperatorNames) -> dict[str, str]:
    """Return the files of an operator by their paths, from templates by theirs."""
    result = {}
    for path, text in templates.items():
        parts = [names.package if part == PACKAGE else part for part in path.removesuffix(SUFFIX).split("/")]
        result["/".join(parts)] = names.filled(text)
    return result
