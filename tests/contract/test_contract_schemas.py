"""Schemas: what they refuse of a custom resource, and in which words; what they drop and fill in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.objects import widget
from tests.contract.server import Server

MERGE = "application/merge-patch+json"
TYPE, INVALID = "FieldValueTypeInvalid", "FieldValueInvalid"

WRONG: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "too-small": ({"size": -1}, INVALID, "spec.size", "-1: %s in body should be greater than or equal to 0"),
    "too-big": ({"size": 101}, INVALID, "spec.size", "101: %s in body should be less than or equal to 100"),
    "string-for-integer": ({"size": "x"}, TYPE, "spec.size", '"string": %s in body must be of type integer: "string"'),
    "boolean-for-integer": ({"size": True}, TYPE, "spec.size", '"": %s in body must be of type int32: ""'),
    "string-for-boolean": (
        {"open": "yes"},
        TYPE,
        "spec.open",
        '"string": %s in body must be of type boolean: "string"',
    ),
    "object-for-array": ({"tags": {}}, TYPE, "spec.tags", '"object": %s in body must be of type array: "object"'),
    "integer-in-strings": (
        {"tags": [1]},
        TYPE,
        "spec.tags[0]",
        '"integer": %s in body must be of type string: "integer"',
    ),
    "string-in-map-of-integers": (
        {"limits": {"a": "b"}},
        TYPE,
        "spec.limits.a",
        '"string": %s in body must be of type integer: "string"',
    ),
    "number-for-int-or-string": (
        {"either": 1.5},
        TYPE,
        "spec.either",
        '"number": %s in body must be of type integer,string: "number"',
    ),
    "scalar-for-object": ({"free": 1}, TYPE, "spec.free", '"integer": %s in body must be of type object: "integer"'),
    "pattern": ({"code": "A1"}, INVALID, "spec.code", "\"A1\": %s in body should match '^[a-z]+$'"),
    "too-short": ({"code": "a"}, INVALID, "spec.code", '"a": %s in body should be at least 2 chars long'),
    "exclusive": ({"share": -0.5}, INVALID, "spec.share", "-0.5: %s in body should be greater than 0"),
    "multiple": ({"share": 0.7}, INVALID, "spec.share", "0.7: %s in body should be a multiple of 0.5"),
    "no-time": ({"when": "soon"}, TYPE, "spec.when", '"soon": %s in body must be of type date-time: "soon"'),
    "day-for-time": (
        {"when": "2026-01-01"},
        TYPE,
        "spec.when",
        '"2026-01-01": %s in body must be of type date-time: "2026-01-01"',
    ),
    "too-few-properties": ({"few": {}}, INVALID, "spec.few", "0: %s in body should have at least 1 properties"),
    "wrong-int-or-string": (
        {"either": True},
        TYPE,
        "spec.either",
        '"boolean": %s in body must be of type integer,string: "boolean"',
    ),
    "wrong-number": ({"share": "x"}, TYPE, "spec.share", '"string": %s in body must be of type number: "string"'),
    "null-in-list": ({"tags": [None]}, TYPE, "spec.tags[0]", '"null": %s in body must be of type string: "null"'),
    "too-few": ({"tags": []}, INVALID, "spec.tags", "0: %s in body should have at least 1 items"),
}
OTHERWISE_WRONG: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "missing": ({"size": None}, "FieldValueRequired", "spec.size", "Required value"),
    "missing-in-item": ({"ports": [{"port": 1}]}, "FieldValueRequired", "spec.ports[0].name", "Required value"),
    "enum": (
        {"colour": "blue"},
        "FieldValueNotSupported",
        "spec.colour",
        'Unsupported value: "blue": supported values: "red", "green"',
    ),
    "enum-of-integers": (
        {"level": 3},
        "FieldValueNotSupported",
        "spec.level",
        'Unsupported value: 3: supported values: "1", "2"',
    ),
    "too-many-properties": (
        {"few": dict.fromkeys("abc", "x")},
        "FieldValueTooMany",
        "spec.few",
        "Too many: 3: must have at most 2 items",
    ),
    "twice-in-set": ({"set": ["a", "a"]}, "FieldValueDuplicate", "spec.set[1]", 'Duplicate value: "a"'),
    "too-long": ({"code": "abcdef"}, "FieldValueTooLong", "spec.code", "Too long: may not be more than 4 bytes"),
    "too-many": (
        {"tags": ["a", "b", "c"]},
        "FieldValueTooMany",
        "spec.tags",
        "Too many: 3: must have at most 2 items",
    ),
    "twice": (
        {"ports": [{"name": "a"}, {"name": "a"}]},
        "FieldValueDuplicate",
        "spec.ports[1]",
        'Duplicate value: {"name":"a"}',
    ),
}


@pytest.mark.parametrize("case", [*WRONG, *OTHERWISE_WRONG])
def test_the_schema_refuses_in_words(api: Server, widgets: str, case: str) -> None:
    spec, reason, field, words = WRONG.get(case) or OTHERWISE_WRONG[case]
    words = f"Invalid value: {words % field}" if case in WRONG else words

    answer = api.call("POST", widgets, {**widget("one"), "spec": {"size": 1, **spec}})

    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.message == f'Widget.example.com "one" is invalid: {field}: {words}'
    assert answer.details == {
        "name": "one",
        "group": "example.com",
        "kind": "Widget",
        "causes": [{"reason": reason, "message": words, "field": field}],
    }


def test_all_mistakes_are_told_together(api: Server, widgets: str) -> None:
    answer = api.call("POST", widgets, widget("one", size=-1, colour="blue"))

    assert answer.causes == [("FieldValueInvalid", "spec.size"), ("FieldValueNotSupported", "spec.colour")]
    assert answer.message.startswith('Widget.example.com "one" is invalid: [')


def test_a_wrong_type_is_also_none_of_the_values_allowed(api: Server, widgets: str) -> None:
    answer = api.call("POST", widgets, widget("one", level="1"))
    assert answer.causes == [("FieldValueNotSupported", "spec.level"), ("FieldValueTypeInvalid", "spec.level")]


def test_an_object_inside_of_another_names_its_kind(api: Server, widgets: str) -> None:
    answer = api.call("POST", widgets, widget("one", inner={"a": 1}))
    assert answer.causes == [("FieldValueRequired", "spec.inner.apiVersion"), ("FieldValueRequired", "spec.inner.kind")]
    inner = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "a", "foo": 1}, "spec": 1}
    kept = api.request("POST", widgets, widget("one", inner=inner))["spec"]["inner"]
    assert kept == {"apiVersion": "v1", "kind": "X", "metadata": {"name": "a"}, "spec": 1}


def test_a_whole_number_may_be_written_as_a_float(api: Server, widgets: str) -> None:
    made = api.request("POST", widgets, widget("one", size=1.0))
    assert made["spec"]["size"] == 1


def test_a_number_too_wide_for_its_format_is_refused(api: Server, widgets: str) -> None:
    answer = api.call("POST", widgets, widget("one", size=2**40))
    messages = [cause["message"] for cause in answer.details["causes"]]
    assert 'Invalid value: "": Checked value must be of type integer with format int32 in spec.size' in messages


def test_an_update_is_checked_like_a_create(api: Server, widgets: str) -> None:
    api.request("POST", widgets, widget("one"))
    answer = api.call("PATCH", widgets + "/one", {"spec": {"size": -1}}, content_type=MERGE)
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "spec.size")])


def test_the_status_is_checked_too(api: Server, widgets: str) -> None:
    api.request("POST", widgets, widget("one"))
    answer = api.call("PATCH", widgets + "/one/status", {"status": {"size": "x"}}, content_type=MERGE)
    assert (answer.status, answer.causes) == (422, [("FieldValueTypeInvalid", "status.size")])


def test_unknown_fields_are_dropped_and_free_ones_kept(api: Server, widgets: str) -> None:
    made = api.request("POST", widgets, {**widget("one", unknown=1, free={"a": {"b": 1}}), "other": 1})

    assert made["spec"] == {"size": 1, "colour": "red", "free": {"a": {"b": 1}}}
    assert "other" not in made


def test_defaults_are_filled_in_also_inside_of_lists(api: Server, widgets: str) -> None:
    made = api.request("POST", widgets, widget("one", ports=[{"name": "a"}, {"name": "b", "port": 1}]))
    assert made["spec"]["colour"] == "red"
    assert made["spec"]["ports"] == [{"name": "a", "port": 80}, {"name": "b", "port": 1}]


def test_a_null_is_kept_only_where_it_is_allowed(api: Server, widgets: str) -> None:
    made = api.request("POST", widgets, widget("one", note=None, code=None, colour=None))
    assert made["spec"] == {"size": 1, "colour": "red", "note": None}


def test_strict_validation_names_the_unknown_fields(api: Server, widgets: str) -> None:
    body = widget("one", unknown=1)
    body["metadata"]["foo"] = 1
    answer = api.call("POST", widgets, {**body, "other": 1}, fieldValidation="Strict")

    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert answer.message.endswith(
        'strict decoding error: unknown field "metadata.foo", unknown field "other", unknown field "spec.unknown"'
    )


def test_warn_validation_says_so_in_a_header(api: Server, widgets: str) -> None:
    answer = api.call("POST", widgets, widget("one", unknown=1), fieldValidation="Warn")
    assert (answer.status, answer.headers["Warning"]) == (201, '299 - "unknown field \\"spec.unknown\\""')


def test_an_object_of_another_kind_is_refused(api: Server, widgets: str) -> None:
    answer = api.call("POST", widgets, {**widget("one"), "kind": "Gadget"})
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "kind")])
    assert 'kind: Invalid value: "Gadget": must be Widget' in answer.message


def test_an_object_of_another_version_is_400(api: Server, widgets: str) -> None:
    answer = api.call("POST", widgets, {**widget("one"), "apiVersion": "example.com/v2"})
    assert (answer.status, answer.message) == (
        400,
        "the API version in the data (example.com/v2) does not match the expected API version (example.com/v1)",
    )
