"""The CustomResourceDefinition of a kind, out of a typed model: attrs, a dataclass or a msgspec Struct.

    @attrs.frozen
    class MemcachedSpec:
        size: Annotated[int, Meta(ge=0, description="How many servers to run.")]

    crd("cache.example.com", "v1alpha1", "Memcached", MemcachedSpec, status=MemcachedStatus,
        columns={"Size": ".spec.size", "Ready": Column("Successful")})

msgspec reads the model; `msgspec.Meta` says what a type does not. Field names are those of the manifest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

Schema = dict[str, Any]

FORMATS: Final = {"integer": "int64", "number": "double"}
STEP: Final = re.compile(r"\.([A-Za-z_]\w*)")
CONDITION: Final = re.compile(r"^\.status\.conditions\[\?\(@\.type==\"[\w.-]+\"\)\]\.\w+$")
AGE: Final = ".metadata.creationTimestamp"


class Condition(msgspec.Struct, rename="camel", omit_defaults=True):
    """One of `status.conditions`, as `set_condition` writes it."""

    type: Annotated[str, Meta(max_length=316)]
    status: Literal["True", "False", "Unknown"]
    last_transition_time: Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
    reason: Annotated[str, Meta(min_length=1, max_length=1024)]
    message: Annotated[str, Meta(max_length=32768)]
    observed_generation: Annotated[int, Meta(ge=0)] | msgspec.UnsetType = msgspec.UNSET


Conditions = Annotated[
    list[Condition],
    Meta(extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
]
# Any object at all: what another kind's schema would say.
AnyObject = Annotated[dict[str, Any], Meta(extra_json_schema={"x-kubernetes-preserve-unknown-fields": True})]


def condition(type: str, field: str = "status") -> str:
    """Return the path of a column that shows a condition."""
    return f'.status.conditions[?(@.type=="{type}")].{field}'


def crd(
    group: str,
    version: str,
    kind: str,
    spec: type,
    *,
    status: type | None = None,
    scope: Literal["Namespaced", "Cluster"] = "Namespaced",
    plural: str | None = None,
    short_names: Iterable[str] = (),
    columns: Mapping[str, str] | None = None,
    required: bool = True,
) -> dict[str, Any]:
    """Return the manifest of a CustomResourceDefinition.

    Args:
        spec, status: the models; without a status there is no subresource for one.
        plural: the kind in lower case with an s, unless told otherwise.
        columns: what `kubectl get` shows: heading → JSON path (`.spec.size`). The type is read off the model.
        required: whether there must be a `spec`.

    Raises:
        ValueError: a model cannot be the schema of a custom resource, or a column shows what is in no model.
    """
    singular = kind.lower()
    plural = plural or f"{singular}s"
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": singular}
    if short_names := list(short_names):
        names["shortNames"] = short_names  # type: ignore[assignment]  # the one list among texts
    schema = _object_schema(spec, status, required=required)
    shown = [_column(heading, path, schema, kind) for heading, path in (columns or {}).items()]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": names,
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    **({"subresources": {"status": {}}} if status else {}),
                    **({"additionalPrinterColumns": shown} if shown else {}),
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def _object_schema(spec: type, status: type | None, *, required: bool) -> Schema:
    properties: Schema = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": structural(spec),
    }
    if status is not None:
        properties["status"] = structural(status)
    return {"type": "object", **({"required": ["spec"]} if required else {}), "properties": properties}


def structural(model: type) -> Schema:
    """Return the structural schema of a model: no references, no alternatives, every type named.

    Raises:
        ValueError: the model holds what such a schema cannot say.
    """
    try:
        (schema,), parts = msgspec.json.schema_components([model], ref_template="{name}")
    except TypeError as error:
        raise ValueError(f"{model.__name__} is no model of a custom resource: {error}") from error
    return _structural(schema, parts, model.__name__, ())


def _structural(schema: Schema, parts: Mapping[str, Schema], place: str, inside: tuple[str, ...]) -> Schema:
    schema = dict(schema)
    if reference := schema.pop("$ref", None):
        if reference in inside:
            raise ValueError(f"{place} holds itself: a custom resource has a schema of known depth")
        return {**_structural(parts[reference], parts, reference, (*inside, reference)), **_unnamed(schema)}
    if alternatives := schema.pop("anyOf", None):
        chosen = [one for one in alternatives if one.get("type") != "null"]
        if len(chosen) != 1:
            raise ValueError(f"{place} may be one of several types: a custom resource's field has one")
        nullable = {"nullable": True} if len(chosen) < len(alternatives) and "default" not in schema else {}
        return {**_structural(chosen[0], parts, place, inside), **_unnamed(schema), **nullable}
    schema = _unnamed(schema)
    if "enum" in schema and "type" not in schema:
        schema = {"type": "string" if isinstance(schema["enum"][0], str) else "integer", **schema}
    if schema.get("type") in FORMATS:
        schema.setdefault("format", FORMATS[schema["type"]])
    if "type" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema["x-kubernetes-preserve-unknown-fields"] = True  # anything
    if "properties" in schema:
        schema["properties"] = {
            name: _structural(one, parts, f"{place}.{name}", inside) for name, one in schema["properties"].items()
        }
        if not schema.get("required"):
            schema.pop("required", None)
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            schema[name] = _structural(schema[name], parts, place, inside)
    if schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("additionalProperties") in ({}, True):
        schema.pop("additionalProperties", None)
        schema["x-kubernetes-preserve-unknown-fields"] = True
    return schema


def _unnamed(schema: Schema) -> Schema:
    """Return a schema without what is Python's business: titles, and defaults that mean "not there"."""
    no_default = schema.get("default", ...) in (None, ..., [], {})
    left_out = {"title"} | ({"default"} if no_default else set())
    return {name: value for name, value in schema.items() if name not in left_out}


def _column(heading: str, path: str, schema: Schema, kind: str) -> dict[str, str]:
    return {"name": heading, "type": _column_type(path, schema, kind), "jsonPath": path}


def _column_type(path: str, schema: Schema, kind: str) -> str:
    if path == AGE:
        return "date"
    if CONDITION.match(path) or path.startswith(".metadata."):
        return "string"
    found: Schema = schema
    for step in STEP.findall(path):
        if (below := found.get("properties", {}).get(step)) is None:
            raise ValueError(f"a column of {kind} shows {path}, and no model has that field ({step})")
        found = below
    if found.get("format") == "date-time":
        return "date"
    return str(found["type"]) if found.get("type") in ("integer", "number", "boolean", "string") else "string"
