"""The structural schema of a custom kind: what it drops, what it fills in, and its words for what is wrong.

The words are those of a real server. Not in here, and taken for satisfied: CEL rules, `allOf`, `anyOf`, `oneOf`, `not`,
and formats of strings other than `date-time`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import attrs

from ..wire.status_errors import Body, Cause
from .list_keys import merge_keys

Schema = dict[str, Any]
_ENVELOPE: Final = ("apiVersion", "kind", "metadata")
_METADATA: Final = frozenset(
    {"annotations", "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers"}
    | {"generateName", "generation", "labels", "managedFields", "name", "namespace", "ownerReferences"}
    | {"resourceVersion", "selfLink", "uid"}
)
_INT_OR_STRING: Final = "x-kubernetes-int-or-string"
_PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED: Final = "x-kubernetes-embedded-resource"
_TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
_BITS: Final = {"int32": 31, "int64": 63}


def structural_causes(schema: Schema) -> Iterator[Cause]:
    """Yield why an `openAPIV3Schema` is not structural."""
    root = "spec.validation.openAPIV3Schema"
    if not schema.get("type"):
        yield Cause.required(f"{root}.type", "must not be empty at the root")
    elif schema["type"] != "object":
        yield Cause.wrong(f"{root}.type", _shown(schema["type"]), "must be object at the root")
    for path, inner_schema in _walk(schema, root):
        yield from _not_structural(path, inner_schema)


def _not_structural(path: str, schema: Schema) -> Iterator[Cause]:
    kind = schema.get("type")
    if not kind and not schema.get(_INT_OR_STRING) and not schema.get(_PRESERVE):
        yield Cause.required(f"{path}.type", "must not be empty for specified object fields")
    elif kind and kind not in _TYPES:
        yield Cause.unsupported(f"{path}.type", _shown(kind), _TYPES)
    elif kind == "array" and "items" not in schema:
        yield Cause.required(f"{path}.items", "must be specified")
    elif schema.get("x-kubernetes-list-type") == "map" and not schema.get("x-kubernetes-list-map-keys"):
        words = "must not be empty if x-kubernetes-list-type is map"
        yield Cause.required(f"{path}.x-kubernetes-list-map-keys", words)
    elif "default" in schema:
        yield from (attrs.evolve(cause, field=f"{path}.default") for cause in _judge(schema, schema["default"], ""))


@attrs.frozen(eq=False)
class StructuralSchema:
    """A schema that objects are completed and judged by."""

    _schema: Schema = attrs.field(repr=False)

    def complete(self, body: Body) -> list[str]:
        """Drop unknown fields and fill in defaults, in place; return the paths of what was dropped (`spec.foo`)."""
        dropped: list[str] = []
        _prune_metadata(body, "", dropped)
        _prune(self._schema, body, "", dropped, known=_ENVELOPE)
        _default(self._schema, body)
        return sorted(dropped)

    def causes(self, body: Body, old: Body | None) -> list[Cause]:
        """Return what is wrong with an object that is to be stored; what it was before makes no difference."""
        content = {field: value for field, value in body.items() if field not in _ENVELOPE}
        required = [field for field in self._schema.get("required", ()) if field not in _ENVELOPE]
        schema = {**self._schema, "required": required}
        return [*_judge(schema, content, ""), *_duplicates(schema, content, "")]

    def list_keys(self, path: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return how an apply merges the list at `path`: by these keys, `()` as a set, None as a whole."""
        if path[0] == "metadata":
            return merge_keys(path)
        schema = self._schema
        for field in path:
            schema = schema.get("items", schema)
            deeper = schema.get("properties", {}).get(field, schema.get("additionalProperties"))
            if not isinstance(deeper, dict):
                return None
            schema = deeper
        kind = schema.get("x-kubernetes-list-type")
        if kind == "map":
            return tuple(schema["x-kubernetes-list-map-keys"])
        return () if kind == "set" else None


def _walk(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Yield every schema below this one, with its path."""
    parts = [(f"{path}.properties[{name}]", inner) for name, inner in schema.get("properties", {}).items()]
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            parts.append((f"{path}.{name}", schema[name]))
    for deeper, inner_schema in parts:
        yield deeper, inner_schema
        yield from _walk(inner_schema, deeper)


def _prune_metadata(body: Body, place: str, dropped: list[str]) -> None:
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        for field in metadata.keys() - _METADATA:
            del metadata[field]
            dropped.append(f"{place}metadata.{field}")


def _prune(schema: Schema, value: Any, path: str, dropped: list[str], known: tuple[str, ...] = ()) -> None:
    """Drop what the schema does not know, and nulls where none are allowed."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            _prune(schema.get("items", {}), item, f"{path}[{number}]", dropped)
    if not isinstance(value, dict):
        return
    if schema.get(_EMBEDDED):
        known = _ENVELOPE
        _prune_metadata(value, f"{path}.", dropped)
    for field in list(value):
        field_schema = _schema_of(schema, field)
        deeper = _join(path, field)
        if field in known:
            continue
        if field_schema is None:
            if not schema.get(_PRESERVE):
                del value[field]
                dropped.append(deeper)
        elif value[field] is None and not field_schema.get("nullable"):
            del value[field]
        else:
            _prune(field_schema, value[field], deeper, dropped)


def _default(schema: Schema, value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _default(schema.get("items", {}), item)
    if not isinstance(value, dict):
        return
    for field, found in schema.get("properties", {}).items():
        if field not in value and "default" in found:
            value[field] = json.loads(json.dumps(found["default"]))
    for field, content in value.items():
        if (known := _schema_of(schema, field)) is not None:
            _default(known, content)


def _schema_of(schema: Schema, field: str) -> Schema | None:
    """Return the schema of a field, None where the field is not known."""
    field_schema = schema.get("properties", {}).get(field)
    if field_schema is None:
        field_schema = schema.get("additionalProperties")
    if field_schema is True:
        return {_PRESERVE: True}
    return field_schema if isinstance(field_schema, dict) else None


def _judge(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    """Yield what is wrong with a value and with what is in it. A value of the wrong type is not looked into."""
    if value is None:
        if not schema.get("nullable") and schema.get("type"):
            yield _wrong_type(path, schema["type"], "null")
        return
    wrong = list(_judge_type(schema, value, path))
    yield from wrong
    if "enum" in schema and value not in schema["enum"]:
        yield Cause.unsupported(path, _shown(value), schema["enum"])
    if wrong:
        return
    if isinstance(value, str):
        yield from _judge_string(schema, value, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _judge_number(schema, value, path)
    elif isinstance(value, list):
        yield from _judge_list(schema, value, path)
    elif isinstance(value, dict):
        yield from _judge_object(schema, value, path)


def _judge_type(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    if schema.get(_INT_OR_STRING):
        if not isinstance(value, str) and not _is_integer(value):
            yield _wrong_type(path, "integer,string", _type_of(value))
        return
    wanted, width = schema.get("type"), schema.get("format", "")
    if wanted == "integer" and not _is_integer(value):
        # With a width, real servers compare widths instead of types, and describe a boolean by nothing at all.
        numeric = isinstance(value, int | float) and width in _BITS
        found = ("" if isinstance(value, bool) else "float64") if numeric else _type_of(value)
        yield _wrong_type(path, width if numeric else wanted, found)
        if numeric and not isinstance(value, bool):
            yield _too_wide(path, width)
    elif wanted == "number":
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield _wrong_type(path, wanted, _type_of(value))
    elif wanted and wanted != "integer" and _type_of(value) != wanted:
        yield _wrong_type(path, wanted, _type_of(value))


def _judge_string(schema: Schema, value: str, path: str) -> Iterator[Cause]:
    if len(value) > schema.get("maxLength", len(value)):
        yield Cause(path, "FieldValueTooLong", f"Too long: may not be more than {schema['maxLength']} bytes")
    elif len(value) < schema.get("minLength", 0):
        yield Cause.wrong(path, _shown(value), f"{path} in body should be at least {schema['minLength']} chars long")
    elif (pattern := schema.get("pattern")) and not re.search(pattern, value):
        yield Cause.wrong(path, _shown(value), f"{path} in body should match '{pattern}'")
    if schema.get("format") == "date-time" and not _is_time(value):
        yield _wrong_type(path, "date-time", value)


def _judge_number(schema: Schema, value: float, path: str) -> Iterator[Cause]:
    bits = _BITS.get(schema.get("format", ""))
    if bits and not -(2**bits) <= value < 2**bits:
        yield _too_wide(path, schema["format"])
    if "multipleOf" in schema and value % schema["multipleOf"]:
        yield Cause.wrong(path, _shown(value), f"{path} in body should be a multiple of {_shown(schema['multipleOf'])}")
    for limit, words, sign in (("minimum", "greater than", 1), ("maximum", "less than", -1)):
        if limit not in schema:
            continue
        strict = bool(schema.get(f"exclusive{limit.capitalize()}"))
        distance = (value - schema[limit]) * sign
        if distance < 0 or (strict and distance == 0):
            edge = f"{words}{'' if strict else ' or equal to'} {_shown(schema[limit])}"
            yield Cause.wrong(path, _shown(value), f"{path} in body should be {edge}")


def _judge_list(schema: Schema, value: list[Any], path: str) -> Iterator[Cause]:
    yield from _judge_size(schema, value, path, "Items")
    for number, item in enumerate(value):
        yield from _judge(schema.get("items", {}), item, f"{path}[{number}]")


def _judge_object(schema: Schema, value: Body, path: str) -> Iterator[Cause]:
    yield from _judge_size(schema, value, path, "Properties")
    for field in sorted(value):
        if (found := _schema_of(schema, field)) is not None:
            yield from _judge(found, value[field], _join(path, field))
    embedded = _ENVELOPE[:2] if schema.get(_EMBEDDED) else ()
    for field in dict.fromkeys((*schema.get("required", ()), *embedded)):
        if field not in value:
            yield Cause.required(_join(path, field))


def _judge_size(schema: Schema, value: list[Any] | Body, path: str, what: str) -> Iterator[Cause]:
    least, most = schema.get(f"min{what}", 0), schema.get(f"max{what}", len(value))
    if len(value) < least:
        yield Cause.wrong(path, str(len(value)), f"{path} in body should have at least {least} {what.lower()}")
    if len(value) > most:
        yield Cause(path, "FieldValueTooMany", f"Too many: {len(value)}: must have at most {most} items")


def _duplicates(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    """Yield the items that repeat the key of an earlier one."""
    if isinstance(value, dict):
        for field in sorted(value):
            if (found := _schema_of(schema, field)) is not None:
                yield from _duplicates(found, value[field], _join(path, field))
    if not isinstance(value, list):
        return
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys", ())
    seen: set[str] = set()
    for number, item in enumerate(value):
        if kind in ("map", "set"):
            mapped = kind == "map" and isinstance(item, dict)
            key = _shown({name: item[name] for name in sorted(keys) if name in item} if mapped else item)
            if key in seen:
                yield Cause(f"{path}[{number}]", "FieldValueDuplicate", f"Duplicate value: {key}")
            seen.add(key)
        yield from _duplicates(schema.get("items", {}), item, f"{path}[{number}]")


def _wrong_type(path: str, wanted: str, actual: str) -> Cause:
    words = f'Invalid value: "{actual}": {path} in body must be of type {wanted}: "{actual}"'
    return Cause(path, "FieldValueTypeInvalid", words)


def _too_wide(path: str, width: str) -> Cause:
    return Cause.wrong("<nil>", '""', f"Checked value must be of type integer with format {width} in {path}")


def _shown(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field


def _is_integer(value: Any) -> bool:
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


def _type_of(value: Any) -> str:
    if isinstance(value, float):
        return "number"
    names = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object", type(None): "null"}
    return names[type(value)]


def _is_time(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return "T" in value.upper() and bool(re.search(r"(?i:z|[+-]\d\d:\d\d)$", value))
