"""Definitions of custom resources: how they come, change and go, and which are refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.contract.objects import WIDGETS
from tests.contract.server import Server

MERGE = "application/merge-patch+json"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


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
