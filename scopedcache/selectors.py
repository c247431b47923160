"""Label selectors: what the API server understands, evaluated in memory.

The grammar and its meaning follow `k8s.io/apimachinery/pkg/labels`: `a=b`, `a==b`, `a!=b`, `a in (b,c)`,
`a notin (b,c)`, `a`, `!a`, joined by commas; `!=` and `notin` also match objects that lack the key. Where a value is
left out the empty one is meant: `a in ()` and `a=` are the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

import attrs

Operator = Literal["in", "notin", "exists", "absent"]

_KEY = r"(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_TERM = re.compile(
    rf"\s*(?:(?P<absent>!)\s*(?P<akey>{_KEY})"
    rf"|(?P<skey>{_KEY})\s+(?P<set>in|notin)\s*\((?P<values>[^()]*)\)"
    rf"|(?P<ekey>{_KEY})\s*(?P<eq>==|=|!=)\s*(?P<value>{_VALUE})"
    rf"|(?P<key>{_KEY}))\s*"
)
_ONE_KEY = re.compile(_KEY)
_ONE_VALUE = re.compile(_VALUE)


@attrs.frozen
class Requirement:
    """One term of a selector."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether these labels satisfy the term."""
        match self.operator:
            case "in":
                return labels.get(self.key) in self.values
            case "notin":
                return labels.get(self.key) not in self.values
            case "exists":
                return self.key in labels
            case "absent":
                return self.key not in labels

    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "absent":
                return f"!{self.key}"
            case "in" if len(self.values) == 1:
                return f"{self.key}={next(iter(self.values))}"
            case "notin" if len(self.values) == 1:
                return f"{self.key}!={next(iter(self.values))}"
            case _:
                return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"


@attrs.frozen
class LabelSelector:
    """A conjunction of requirements; the empty one matches everything."""

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def parse(cls, selector: str | Mapping[str, str] | LabelSelector | None) -> LabelSelector:
        """Read a selector from its text, or from a mapping of exact label values.

        Raises:
            ValueError: the text is not a selector; the message shows the place. Or a mapping holds what is not a label:
                its text goes to the server, where a comma in a value would ask for something else.
        """
        if isinstance(selector, LabelSelector):
            return selector
        if isinstance(selector, Mapping):
            return cls(tuple(_exact(key, value) for key, value in sorted(selector.items())))
        text = (selector or "").strip()
        return cls(tuple(_terms(text))) if text else cls()

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Return the exact (key, value) pairs every match must carry: what an index can answer."""
        return tuple(
            (r.key, next(iter(r.values))) for r in self.requirements if r.operator == "in" and len(r.values) == 1
        )

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether these labels satisfy every requirement."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __bool__(self) -> bool:
        return bool(self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


# How a selector may be written wherever one is asked for; None selects everything.
Labels = str | Mapping[str, str] | LabelSelector | None


def _terms(text: str) -> list[Requirement]:
    terms, position = [], 0
    while True:
        found = _TERM.match(text, position)
        if found is None or (found.end() < len(text) and text[found.end()] != ","):
            at = position if found is None else found.end()
            raise ValueError(f"malformed label selector {text!r}: cannot read {text[at:]!r} (position {at})")
        terms.append(_requirement(text, found))
        if found.end() == len(text):
            return terms
        position = found.end() + 1


def _exact(key: str, value: str) -> Requirement:
    if not _ONE_KEY.fullmatch(key):
        raise ValueError(f"malformed label selector: {key!r} is not a label key")
    if not _ONE_VALUE.fullmatch(value):
        raise ValueError(f"malformed label selector: {value!r} is not a label value")
    return Requirement(key, "in", frozenset({value}))


def _requirement(text: str, found: re.Match[str]) -> Requirement:
    if found["absent"]:
        return Requirement(found["akey"], "absent")
    if found["skey"]:
        values = frozenset(value.strip() for value in found["values"].split(","))
        wrong = sorted(value for value in values if not _ONE_VALUE.fullmatch(value))
        if wrong:
            raise ValueError(f"malformed label selector {text!r}: {wrong[0]!r} is not a label value")
        return Requirement(found["skey"], "in" if found["set"] == "in" else "notin", values)
    if found["ekey"]:
        return Requirement(found["ekey"], "notin" if found["eq"] == "!=" else "in", frozenset({found["value"]}))
    return Requirement(found["key"], "exists")
