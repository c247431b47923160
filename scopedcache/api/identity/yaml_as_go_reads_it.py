"""YAML with the meaning it has for kubectl: which plain words are text, numbers, booleans or null.

PyYAML follows YAML 1.1 to the letter (`12:30` is 750, `2001-01-01` a date), Go's library does not. A token that is a
number for kubectl is an error there, so it must not be guessed into text here, nor the other way round.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import yaml

from ...errors import ConfigurationError

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE: Final = frozenset({"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})
_INFINITE: Final = frozenset(
    f"{sign}{word}" for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")
) | frozenset({".nan", ".NaN", ".NAN"})
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGER: Final = re.compile(r"([-+]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|[1-9][0-9]*|0)")
_NUMBERS_BEGIN_WITH: Final = frozenset("+-.0123456789")
_TAG: Final = "tag:yaml.org,2002:"


def read(content: bytes) -> Any:
    """Return the first document, None where there is none.

    Raises:
        ConfigurationError: it is not YAML; names the place, and quotes nothing: what stands there may be a secret.
    """
    try:
        loader = _Loader(content)
        try:
            return loader.get_data() if loader.check_data() else None
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
    except (ValueError, RecursionError, TypeError):
        place = ""
    raise ConfigurationError(f"it is not YAML{place}")  # here: what was raised above quotes what it could not read


def number(text: str) -> int | float | None:
    """Return the number that a plain word stands for, None where it is text."""
    if text[:1] not in _NUMBERS_BEGIN_WITH:
        return None
    plain = text.replace("_", "")
    if whole := _INTEGER.fullmatch(plain):
        sign, digits = whole.groups()
        octal = re.fullmatch(r"0[0-7]+", digits)
        value = int(digits, 8) if octal else int(digits, 0)
        return -value if sign == "-" else value
    return float(plain) if _FLOAT.fullmatch(plain) else None


def _tag(text: str) -> str:
    if text in _NULL:
        return f"{_TAG}null"
    if text in _TRUE or text in _FALSE:
        return f"{_TAG}bool"
    if text in _INFINITE or number(text) is not None:
        return f"{_TAG}float"
    return f"{_TAG}merge" if text == "<<" else f"{_TAG}str"


class _Loader(_Base):  # type: ignore[misc]  # the base class depends on how PyYAML was built
    """Decides by value alone what a plain word is; tags it does not know say nothing."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode and implicit[0]:
            return _tag(value)
        return str(super().resolve(kind, value, implicit))

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        return {str(key): value for key, value in super().construct_mapping(node, deep).items()}

    def _bool(self, node: yaml.ScalarNode) -> bool:
        return node.value in _TRUE

    def _number(self, node: yaml.ScalarNode) -> int | float:
        found = number(node.value)
        return math.nan if found is None else found  # infinities too: text, and nothing else, is asked for

    def _text(self, node: yaml.ScalarNode) -> str:
        return str(self.construct_scalar(node))

    def _untagged(self, suffix: str, node: yaml.Node) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return self.construct_sequence(node, deep=True)
        return self.construct_scalar(node)


_Loader.add_constructor(f"{_TAG}bool", _Loader._bool)
for _name in ("int", "float"):
    _Loader.add_constructor(f"{_TAG}{_name}", _Loader._number)
for _name in ("str", "merge", "value", "timestamp"):
    _Loader.add_constructor(f"{_TAG}{_name}", _Loader._text)
_Loader.add_multi_constructor("", _Loader._untagged)
