"""A CRD out of a typed model, whichever library the model is of."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import attrs
import msgspec
import pytest
from msgspec import Meta

from scopedcache.errors import InvalidError
from scopedcache.kit import AnyObject, Conditions, condition, crd
from scopedcache.kit.custom_resource import structural
from scopedcache.testing import EmbeddedCluster


class Point(msgspec.Struct):
    x: int
    y: int = 0


@attrs.frozen
class AttrsSpec:
    size: Annotated[int, Meta(ge=0, description="How many.")]
    mode: Literal["a", "b"] = "a"
    point: Point | None = None
    tags: dict[str, str] = attrs.field(factory=dict)


@dataclass
class DataclassSpec:
    size: Annotated[int, Meta(ge=0, description="How many.")]
    mode: Literal["a", "b"] = "a"
    point: Point | None = None
    tags: dict[str, str] = field(default_factory=dict)


class StructSpec(msgspec.Struct):
    size: Annotated[int, Meta(ge=0, description="How many.")]
    mode: Literal["a", "b"] = "a"
    point: Point | None = None
    tags: dict[str, str] = {}


@attrs.frozen
class Status:
    conditions: Conditions = attrs.field(factory=list)
    ready: bool = False


@attrs.frozen
class Deep:
    below: "Deep | None" = None


@attrs.frozen
class Either:
    value: int | str


@attrs.frozen
class Loose:
    anything: AnyObject
    whatever: Any = None


def made(spec=AttrsSpec, **options):
    return crd("example.com", "v1", "Widget", spec, **options)


@pytest.mark.parametrize("model", [AttrsSpec, DataclassSpec, StructSpec])
def test_models_of_every_library_say_the_same(model):
    assert structural(model) == {
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"description": "How many.", "type": "integer", "format": "int64", "minimum": 0},
            "mode": {"type": "string", "enum": ["a", "b"], "default": "a"},
            "point": {
                "type": "object",
                "required": ["x"],
                "properties": {
                    "x": {"type": "integer", "format": "int64"},
                    "y": {"type": "integer", "format": "int64", "default": 0},
                },
            },
            "tags": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }


def test_what_has_any_shape_is_kept_as_it_comes():
    assert structural(Loose)["properties"] == {
        "anything": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "whatever": {"x-kubernetes-preserve-unknown-fields": True},
    }


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Deep, "Deep.below holds itself"),
        (Either, "Either.value may be one of several types"),
        (complex, "complex is no model"),
    ],
)
def test_what_a_schema_cannot_say_is_refused(model, words):
    with pytest.raises(ValueError, match=words):
        structural(model)


def test_columns_have_the_types_of_their_fields():
    columns = {
        "Size": ".spec.size",
        "Mode": ".spec.mode",
        "Ready": ".status.ready",
        "Why": condition("Done", "reason"),
        "Age": ".metadata.creationTimestamp",
    }
    shown = made(status=Status, columns=columns)["spec"]["versions"][0]["additionalPrinterColumns"]

    assert {one["name"]: one["type"] for one in shown} == {
        "Size": "integer",
        "Mode": "string",
        "Ready": "boolean",
        "Why": "string",
        "Age": "date",
    }


def test_a_column_of_a_field_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"Widget shows \.spec\.sise, and no model has that field"):
        made(columns={"Size": ".spec.sise"})


def test_a_server_takes_it_and_holds_objects_to_it():
    with EmbeddedCluster.start() as cluster:
        cluster.apply(made(status=Status, short_names=["wd"], columns={"Size": ".spec.size"}))
        head = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
        kept = cluster.create({**head, "spec": {"size": 1, "point": {"x": 2}}}, "default")
        with pytest.raises(InvalidError, match=r"spec\.size"):
            cluster.create({**head, "metadata": {"name": "v"}, "spec": {"size": -1}}, "default")

        assert kept["spec"] == {"size": 1, "mode": "a", "point": {"x": 2, "y": 0}}
