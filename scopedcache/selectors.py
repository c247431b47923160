"""Label selectors: what the API server understands, evaluated in memory.

The grammar and its meaning follow `k8s.io/apimachinery/pkg/labels`: `a=b`, `a==b`, `a!=b`, `a in (b,c)`,
`a notin (b,c)`, `a>5`, `a<5`, `a`, `!a`, joined by commas; `!=` and `notin` also match objects that lack the key.
Where a value is left out the empty one is meant: `a in ()` and `a=` are the same. What the server refuses is a
ValueError here, keys and values that are too long included: an empty list would look like an answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, Literal, NoReturn

import attrs

Operator = Literal["in", "notin", "exists", "absent", "gt", "lt"]

# The limits of apimachinery's validation.
NAME_CHARACTERS: Final = 63
PREFIX_CHARACTERS: Final = 253

_TOKEN: Final = re.compile(r"==|!=|[=!<>(),]|[^ \t\r\n=!<>(),]+")
_SYMBOLS: Final = frozenset({"==", "!=", "=", "!", "<", ">", "(", ")", ","})
_END: Final = ""
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_EQUALITY: Final[dict[str, Operator]] = {"=": "in", "==": "in", "!=": "notin", ">": "gt", "<": "lt"}
_SETS: Final[dict[str, Operator]] = {"in": "in", "notin": "notin"}
_INT64: Final = range(-(2**63), 2**63)

# Says what is wrong with a word; nothing where it is right.
_Check = Callable[[str], str]


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
            case "gt" | "lt":
                found, bound = _integer(labels.get(self.key, "")), _integer(*self.values)
                if found is None or bound is None:
                    return False
                return found > bound if self.operator == "gt" else found < bound

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
            case "gt" | "lt":
                return f"{self.key}{'>' if self.operator == 'gt' else '<'}{next(iter(self.values))}"
            case _:
                return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"


@attrs.frozen(cache_hash=True)
class LabelSelector:
    """A conjunction of requirements; the empty one matches everything.

    Attributes:
        pairs: the exact (key, value) pairs every match must carry: what an index can answer.
    """

    requirements: tuple[Requirement, ...] = ()
    pairs: tuple[tuple[str, str], ...] = attrs.field(init=False, eq=False, repr=False)

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
        return _parsed(selector or "")

    @pairs.default
    def _find_pairs(self) -> tuple[tuple[str, str], ...]:
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


@lru_cache(maxsize=1024)
def _parsed(text: str) -> LabelSelector:
    return LabelSelector(tuple(_Parser(text).requirements()))


class _Parser:
    """apimachinery's parser: the same tokens in the same order, one ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [(found.group(), found.start()) for found in _TOKEN.finditer(text)]
        self._next = 0

    def requirements(self) -> list[Requirement]:
        """Return the terms of the text; none where it is empty."""
        terms: list[Requirement] = []
        if self._peek() == _END:
            return terms
        while True:
            terms.append(self._requirement())
            if self._peek() == _END:
                return terms
            self._take(",")

    def _requirement(self) -> Requirement:
        absent = self._peek() == "!"
        if absent:
            self._take("!")
        key = self._word(_check_key)
        if absent:
            return Requirement(key, "absent")
        operator = self._peek()
        if operator in (_END, ","):
            return Requirement(key, "exists")
        if operator in _SETS:
            self._take(operator)
            return Requirement(key, _SETS[operator], self._set())
        if operator not in _EQUALITY:
            self._refuse()
        self._take(operator)
        value = "" if self._peek() in (_END, ",") else self._word(_check_value)
        if operator in "<>" and _integer(value) is None:
            self._next -= bool(value)
            self._refuse("an integer of 64 bits is needed here")
        return Requirement(key, _EQUALITY[operator], frozenset({value}))

    def _set(self) -> frozenset[str]:
        """Read `(a,b)`; an element that is left out is the empty value."""
        self._take("(")
        values: set[str] = set()
        while True:
            values.add("" if self._peek() in (",", ")") else self._word(_check_value))
            if self._peek() == ")":
                self._take(")")
                return frozenset(values)
            self._take(",")

    def _peek(self) -> str:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else _END

    def _take(self, token: str) -> None:
        if self._peek() != token:
            self._refuse()
        self._next += 1

    def _word(self, check: _Check) -> str:
        word = self._peek()
        if word == _END or word in _SYMBOLS:
            self._refuse()
        wrong = check(word)
        if wrong:
            self._refuse(wrong)
        self._next += 1
        return word

    def _refuse(self, why: str = "") -> NoReturn:
        at = self._tokens[self._next][1] if self._next < len(self._tokens) else len(self._text)
        reason = f"; {why}" if why else ""
        raise ValueError(
            f"malformed label selector {self._text!r}: cannot read {self._text[at:]!r} (position {at}){reason}"
        )


def _exact(key: str, value: str) -> Requirement:
    for wrong in (_check_key(key), _check_value(value)):
        if wrong:
            raise ValueError(f"malformed label selector: {wrong}")
    return Requirement(key, "in", frozenset({value}))


def _check_key(key: str) -> str:
    """Say what is wrong with a label key; nothing where it is one."""
    prefix, slash, name = key.rpartition("/")
    if slash and not _SUBDOMAIN.fullmatch(prefix):
        return f"{key!r} is not a label key"
    if not _NAME.fullmatch(name):
        return f"{key!r} is not a label key"
    if len(prefix) > PREFIX_CHARACTERS or len(name) > NAME_CHARACTERS:
        return f"{key!r} is not a label key: {NAME_CHARACTERS} characters are the limit, {PREFIX_CHARACTERS} before a /"
    return ""


def _check_value(value: str) -> str:
    """Say what is wrong with a label value; nothing where it is one."""
    if value and not _NAME.fullmatch(value):
        return f"{value!r} is not a label value"
    if len(value) > NAME_CHARACTERS:
        return f"{value!r} is not a label value: {NAME_CHARACTERS} characters are the limit"
    return ""


def _integer(text: str) -> int | None:
    """Read what Go's ParseInt reads as an int64; None for anything else."""
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text) if len(text) <= NAME_CHARACTERS + 1 else 2**63
    return number if number in _INT64 else None
