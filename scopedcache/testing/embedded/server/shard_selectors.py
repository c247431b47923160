"""Shard selectors of lists and watches (KEP-5866): `shardRange(object.metadata.namespace, '0x…', '0x…') || …`.

The server reads them as a CEL expression of which nothing else is allowed. The words of its refusals are played for
what can be said in such an expression; of those of CEL's own parser, the first ones.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import attrs

from ....hash_ranges import BY_NAMESPACE, BY_UID, RING_END, HashRange, HashRanges, ring_hash
from ..kinds.kind import Kind
from ..storage.storage import Stored
from ..wire.status_errors import Body, StatusError
from .rendering import View

_FIELDS: Final = (BY_UID, BY_NAMESPACE)
_TOKEN: Final = re.compile(
    r"\s+|(?P<string>'[^']*'|\"[^\"]*\")|(?P<number>[0-9]\w*)|(?P<name>[A-Za-z_][\w.]*)|(?P<sign>\|\||&&|[(),!])|(?P<odd>.)"
)
_DIGITS: Final = 16
_TOP: Final = "0x1" + _DIGITS * "0"
# The numbers of CEL's kinds of expressions, which the refusals tell.
_IDENTIFIER, _LITERAL = 3, 5


@attrs.frozen
class ShardSelector:
    """Some ranges of the hashes of one field."""

    field: str
    bounds: tuple[HashRange, ...]
    _ranges: HashRanges

    def matches(self, stored: Stored) -> bool:
        """Tell whether an object belongs to it."""
        metadata = stored.metadata
        text = metadata.get("namespace", "") if self.field == BY_NAMESPACE else metadata["uid"]
        return ring_hash(text) in self._ranges

    def __str__(self) -> str:
        return " || ".join(f"shardRange({self.field}, '{one.start:#018x}', '{one.end:#018x}')" for one in self.bounds)


def shard_info(shard: ShardSelector | None, kind: Kind, view: View = "whole") -> Body:
    """Return what the metadata of a list says of the shard it is: only whole objects of built-in kinds have it."""
    told = shard is not None and view == "whole" and not kind.custom
    return {"shardInfo": {"selector": str(shard)}} if told else {}


class _Token(NamedTuple):
    kind: str
    text: str


_END: Final = _Token("end", "<EOF>")


def shard_selector(text: str) -> ShardSelector:
    """Read a shard selector.

    Raises:
        StatusError: 500, it is none.
    """
    if not text.strip():
        raise _refusal("empty shard selector is not allowed; omit the parameter for unfiltered lists")
    found = _Parser(text).all()
    other = next((field for field, _ in found if field != found[0][0]), None)
    if other is not None:
        raise _refusal(f'all shard ranges must use the same field, got "{found[0][0]}" and "{other}"')
    bounds = tuple(one for _, one in found)
    return ShardSelector(found[0][0], bounds, HashRanges.of(bounds))


class _Parser:
    def __init__(self, text: str) -> None:
        found = (_Token(match.lastgroup, match.group()) for match in _TOKEN.finditer(text) if match.lastgroup)
        self._tokens = [*found, _END]

    def all(self) -> list[tuple[str, HashRange]]:
        found = self._either()
        if self._tokens[0] != _END:
            raise self._unexpected()
        return found

    def _either(self) -> list[tuple[str, HashRange]]:
        found = self._term()
        while self._tokens[0].text in ("||", "&&"):
            if self._take().text == "&&":
                raise _refusal('unsupported function "_&&_"; only shardRange() and || are allowed')
            found += self._term()
        return found

    def _term(self) -> list[tuple[str, HashRange]]:
        token = self._take()
        match token.kind, token.text:
            case _, "(":
                found = self._either()
                self._expect(")")
                return found
            case _, "!":
                raise _refusal('unsupported function "!_"; only shardRange() and || are allowed')
            case "name", name if self._tokens[0].text == "(":
                return [self._range(name)]
            case "name" | "string" | "number", _:
                kind = _LITERAL if token.kind != "name" or token.text in ("true", "false", "null") else _IDENTIFIER
                raise _refusal(f"unexpected expression kind {kind}; expected shardRange() call or || operator")
        raise self._unexpected(token)

    def _range(self, function: str) -> tuple[str, HashRange]:
        arguments = self._arguments()
        if function != "shardRange":
            raise _refusal(f'unsupported function "{function}"; only shardRange() and || are allowed')
        if len(arguments) != 3:
            raise _refusal(f"shardRange() requires exactly 3 arguments, got {len(arguments)}")
        field, start, end = arguments
        if field.kind != "name":
            words = "shardRange() first argument: expected field path (e.g. object.metadata.uid), got expression kind"
            raise _refusal(f"{words} {_LITERAL}")
        if field.text not in _FIELDS:
            raise _refusal(f'unsupported field path "{field.text}"; supported: {", ".join(_FIELDS)}')
        first, last = _bound("hexStart", start), _bound("hexEnd", end)
        if first >= last:
            raise _refusal(f"shard range start {start.text[1:-1]} must be less than end {end.text[1:-1]}")
        return field.text, HashRange(first, last)

    def _arguments(self) -> list[_Token]:
        self._expect("(")
        found: list[_Token] = []
        while self._tokens[0].text != ")":
            if found:
                self._expect(",")
            found.append(self._take())
            if found[-1].kind not in ("name", "string", "number"):
                raise self._unexpected(found[-1])
        self._expect(")")
        return found

    def _take(self) -> _Token:
        return self._tokens.pop(0) if self._tokens[0] != _END else _END

    def _expect(self, text: str) -> None:
        token = self._take()
        if token.text != text:
            raise self._unexpected(token)

    def _unexpected(self, token: _Token | None = None) -> StatusError:
        return _refusal(f"CEL parse error: Syntax error: mismatched input '{(token or self._tokens[0]).text}'")


def _bound(name: str, token: _Token) -> int:
    if token.kind != "string":
        raise _refusal(f"{name} must be a string literal, got {'int64' if token.kind == 'number' else 'no literal'}")
    text = token.text[1:-1]
    digits = text.removeprefix("0x")
    if digits == text:
        raise _refusal(f"{name} must have '0x' prefix, got \"{text}\"")
    if text == _TOP:
        return RING_END
    if len(digits) == _DIGITS + 1:
        raise _refusal(f"{name}: 17-digit hex value must be '{_TOP}' (2^64), got \"{text}\"")
    if len(digits) != _DIGITS:
        meant = f' (did you mean "0x{digits:0>{_DIGITS}}"?)' if len(digits) < _DIGITS else ""
        raise _refusal(f'{name} must be a 0x-prefixed 16-digit hex value, got "{text}"{meant}')
    wrong = next((one for one in digits if one not in "0123456789abcdef"), None)
    if wrong is not None:
        raise _refusal(f'{name}: invalid hex character "{wrong}" in "{text}"')
    return int(digits, 16)


def _refusal(words: str) -> StatusError:
    return StatusError(500, "", f"invalid shard selector: {words}")
