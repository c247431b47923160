"""Custom resources: their definitions, and what a schema refuses, drops and fills in."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.contract.objects import WIDGETS, widget
from tests.contract.server import Server

MERGE = "application/merge-patch+json"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TYPE, INVALID = "FieldValueTypeInvalid", "FieldValueInvalid"


def definition(plural: str, schema: dict[str, Any] | None = None, **version: Any) -> dict[str, Any]:
    kind = plural.capitalize()
    found = {"type": "object", "x-kubernetes-preserve-unknown-fields": True} if schema is None else schema
    one = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": found}, **version}
    names = {"plural": plural, "singular": plural, "kind": kind, "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.org"},
        "spec": {"group": "example.org", "scope": "Namespaced", "names": names, "versions": [one]},
    }


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


BROKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "root-without-type": ({"properties": {}}, "type", "Required value: must not be empty at the root"),
    "field-without-type": (
        {"type": "object", "properties": {"a": {}}},
        "properties[a].type",
        "Required value: must not be empty for specified object fields",
    ),
    "array-without-items": (
        {"type": "object", "properties": {"a": {"type": "array"}}},
        "properties[a].items",
        "Required value: must be specified",
    ),
    "map-without-keys": (
        {
            "type": "object",
            "properties": {
                "a": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "items": {"type": "object", "properties": {"x": {"type": "string"}}},
                }
            },
        },
        "properties[a].x-kubernetes-list-map-keys",
        "Required value: must not be empty if x-kubernetes-list-type is map",
    ),
    "wrong-default": (
        {"type": "object", "properties": {"a": {"type": "string", "default": 5}}},
        "properties[a].default",
        'Invalid value: "integer":  in body must be of type string: "integer"',
    ),
    "unknown-type": (
        {"type": "object", "properties": {"a": {"type": "wrong"}}},
        "properties[a].type",
        'Unsupported value: "wrong": supported values: "array", "boolean", "integer", "number", "object", "string"',
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_schema_that_is_not_structural_is_refused_in_words(api: Server, case: str) -> None:
    schema, field, words = BROKEN[case]
    answer = api.call("POST", CRDS, definition("wheels", schema))
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert f"spec.validation.openAPIV3Schema.{field}: {words}" in answer.message


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


def test_a_new_definition_is_served_soon_and_found_by_discovery(api: Server, ns: str) -> None:
    plural = api.new_name("gears").replace("-", "")
    api.request("POST", CRDS, definition(plural))
    path = f"/apis/example.org/v1/namespaces/{ns}/{plural}"

    answer = api.eventually(lambda: (a := api.call("GET", path)).status == 200 and a)
    assert answer.json["items"] == []
    listed = api.eventually(
        lambda: [r for r in api.request("GET", "/apis/example.org/v1")["resources"] if r["name"] == plural]
    )
    assert listed[0]["kind"] == plural.capitalize()
    assert listed[0]["namespaced"] is True
    status = api.request("GET", f"{CRDS}/{plural}.example.org")["status"]
    conditions = {entry["type"]: (entry["status"], entry["reason"]) for entry in status["conditions"]}
    assert conditions["NamesAccepted"] == ("True", "NoConflicts")
    assert conditions["Established"] == ("True", "InitialNamesAccepted")
    assert status["storedVersions"] == ["v1"]
    api.request("DELETE", f"{CRDS}/{plural}.example.org")


def test_a_deleted_definition_takes_its_objects_along_and_is_no_longer_served(api: Server, ns: str) -> None:
    plural = api.new_name("gears").replace("-", "")
    api.apply(definition(plural))
    path = f"/apis/example.org/v1/namespaces/{ns}/{plural}"
    api.eventually(lambda: api.call("GET", path).status == 200)
    kind = plural.capitalize()
    api.request("POST", path, {"apiVersion": "example.org/v1", "kind": kind, "metadata": {"name": "one"}})
    version = api.request("GET", path)["metadata"]["resourceVersion"]

    with api.watch(path, resourceVersion=version) as watch:
        api.request("DELETE", f"{CRDS}/{plural}.example.org")
        events = watch.rest()

    assert [event["type"] for event in events][-1] == "DELETED"
    api.eventually(lambda: api.call("GET", path).status == 404)
    answer = api.call("GET", path)
    assert (answer.content_type, answer.text.strip()) == ("text/plain", "404 page not found")


def test_a_finalizer_of_an_object_holds_the_definition(api: Server, ns: str) -> None:
    plural = api.new_name("gears").replace("-", "")
    api.apply(definition(plural))
    path = f"/apis/example.org/v1/namespaces/{ns}/{plural}"
    api.eventually(lambda: api.call("GET", path).status == 200)
    metadata = {"name": "one", "finalizers": ["example.org/hold"]}
    api.request("POST", path, {"apiVersion": "example.org/v1", "kind": plural.capitalize(), "metadata": metadata})
    crd = f"{CRDS}/{plural}.example.org"

    api.request("DELETE", crd)

    api.eventually(lambda: "deletionTimestamp" in api.request("GET", path + "/one")["metadata"])
    conditions = {entry["type"]: entry["status"] for entry in api.request("GET", crd)["status"]["conditions"]}
    assert conditions["Terminating"] == "True"
    late = {"apiVersion": "example.org/v1", "kind": plural.capitalize(), "metadata": {"name": "two"}}
    refused = api.call("POST", path, late)
    assert refused.status in (403, 405)
    api.request("PATCH", path + "/one", {"metadata": {"finalizers": None}}, content_type=MERGE)
    api.eventually(lambda: api.call("GET", crd).status == 404)


def test_a_definition_that_is_not_named_after_its_resource_is_422(api: Server) -> None:
    wrong = definition("wheels")
    wrong["metadata"]["name"] = "wheel.example.org"
    answer = api.call("POST", CRDS, wrong)
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "metadata.name")])


def test_a_version_without_a_schema_is_422(api: Server) -> None:
    wrong = definition("wheels")
    del wrong["spec"]["versions"][0]["schema"]
    answer = api.call("POST", CRDS, wrong)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert ("FieldValueRequired", "spec.versions[0].schema.openAPIV3Schema") in answer.causes


def test_a_version_that_is_not_served_is_404(api: Server, ns: str) -> None:
    plural = api.new_name("gears").replace("-", "")
    crd = definition(plural)
    crd["spec"]["versions"].append({**copy.deepcopy(crd["spec"]["versions"][0]), "name": "v2", "storage": False})
    crd["spec"]["versions"][1]["served"] = False
    api.apply(crd)
    base = f"/apis/example.org/%s/namespaces/{ns}/{plural}"
    api.eventually(lambda: api.call("GET", base % "v1").status == 200)
    assert api.call("GET", base % "v2").status == 404
    api.request("DELETE", f"{CRDS}/{plural}.example.org")


def test_an_object_is_seen_in_every_served_version(api: Server, ns: str) -> None:
    plural = api.new_name("gears").replace("-", "")
    crd = definition(plural)
    crd["spec"]["versions"].append({**copy.deepcopy(crd["spec"]["versions"][0]), "name": "v2", "storage": False})
    api.apply(crd)
    base = f"/apis/example.org/%s/namespaces/{ns}/{plural}"
    api.eventually(lambda: all(api.call("GET", base % v).status == 200 for v in ("v1", "v2")))
    kind = plural.capitalize()
    api.request("POST", base % "v1", {"apiVersion": "example.org/v1", "kind": kind, "metadata": {"name": "one"}})

    found = api.request("GET", base % "v2" + "/one")

    assert found["apiVersion"] == "example.org/v2"
    api.request("DELETE", f"{CRDS}/{plural}.example.org")


def test_a_custom_resource_is_scaled_through_its_scale(api: Server, ns: str) -> None:
    plural = api.new_name("gears").replace("-", "")
    paths = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}
    api.apply(definition(plural, subresources={"status": {}, "scale": paths}))
    path = f"/apis/example.org/v1/namespaces/{ns}/{plural}"
    api.eventually(lambda: api.call("GET", path).status == 200)
    body = {
        "apiVersion": "example.org/v1",
        "kind": plural.capitalize(),
        "metadata": {"name": "one"},
        "spec": {"size": 1},
    }
    api.request("POST", path, body)
    assert api.request("GET", path + "/one/scale")["spec"] == {"replicas": 1}

    api.request("PATCH", path + "/one/scale", {"spec": {"replicas": 3}}, content_type=MERGE)

    assert api.request("GET", path + "/one")["spec"]["size"] == 3
    api.request("DELETE", f"{CRDS}/{plural}.example.org")


def test_selectable_fields_select(api: Server, ns: str) -> None:
    plural = api.new_name("gears").replace("-", "")
    properties = {"spec": {"type": "object", "properties": {"colour": {"type": "string"}}}}
    schema = {"type": "object", "properties": properties}
    api.apply(definition(plural, schema, selectableFields=[{"jsonPath": ".spec.colour"}]))
    path = f"/apis/example.org/v1/namespaces/{ns}/{plural}"
    api.eventually(lambda: api.call("GET", path).status == 200)
    for name in ("red", "blue"):
        metadata = {"apiVersion": "example.org/v1", "kind": plural.capitalize(), "metadata": {"name": name}}
        api.request("POST", path, {**metadata, "spec": {"colour": name}})
    found = api.call("GET", path, fieldSelector="spec.colour=red").json["items"]
    assert [item["metadata"]["name"] for item in found] == ["red"]
    api.request("DELETE", f"{CRDS}/{plural}.example.org")


def test_a_definition_that_is_already_there_is_updated_by_apply(api: Server, widgets: str) -> None:
    first = api.request("GET", f"{CRDS}/widgets.example.com")["metadata"]
    [again] = api.apply(WIDGETS)
    assert again["metadata"]["uid"] == first["uid"]
