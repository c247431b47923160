"""Server-side apply: who owns which field, and what happens when two want the same one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.objects import config_map, deployment, widget
from tests.contract.server import Answer, Server

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


@pytest.fixture
def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


def apply(api: Server, path: str, body: dict[str, Any], manager: str = "one", **query: Any) -> Answer:
    return api.call(
        "PATCH", f"{path}/{body['metadata']['name']}", body, content_type=APPLY, fieldManager=manager, **query
    )


def test_an_apply_creates_what_is_not_there(api: Server, maps: str) -> None:
    assert apply(api, maps, config_map("a", {"x": "1"})).status == 201
    assert apply(api, maps, config_map("a", {"x": "1"})).status == 200


def test_the_same_apply_again_changes_nothing(api: Server, maps: str) -> None:
    first = apply(api, maps, config_map("a", {"x": "1"})).json["metadata"]["resourceVersion"]
    assert apply(api, maps, config_map("a", {"x": "1"})).json["metadata"]["resourceVersion"] == first


def test_the_manager_of_an_apply_is_recorded(api: Server, maps: str) -> None:
    [entry] = apply(api, maps, config_map("a", {"x": "1"})).json["metadata"]["managedFields"]

    assert (entry["manager"], entry["operation"], entry["apiVersion"]) == ("one", "Apply", "v1")
    assert entry["fieldsType"] == "FieldsV1"
    assert entry["fieldsV1"] == {"f:data": {"f:x": {}}}


def test_an_apply_without_a_manager_is_422(api: Server, maps: str) -> None:
    answer = api.call("PATCH", maps + "/a", config_map("a"), content_type=APPLY)
    assert (answer.status, answer.causes) == (422, [("FieldValueRequired", "fieldManager")])
    assert "is required for apply patch" in answer.message


def test_an_apply_that_brings_managed_fields_is_400(api: Server, maps: str) -> None:
    body = config_map("a", managedFields=[{"manager": "x", "operation": "Apply"}])
    answer = apply(api, maps, body)
    assert (answer.status, answer.message) == (400, "metadata.managedFields must be nil")


def test_an_apply_creates_nothing_with_a_uid_and_no_status(api: Server, maps: str, widgets: str) -> None:
    assert apply(api, maps, config_map("a", uid="b5f5cd52-6f6d-4a1c-a9b5-4e6f0c6b1b0e")).status == 409
    body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}, "status": {"size": 1}}
    query: dict[str, Any] = {"content_type": "application/apply-patch+yaml", "fieldManager": "one"}
    assert api.call("PATCH", f"{widgets}/a/status", body, **query).status == 404


def test_a_field_left_out_of_the_next_apply_is_removed(api: Server, maps: str) -> None:
    apply(api, maps, config_map("a", {"x": "1", "y": "2"}))
    assert apply(api, maps, config_map("a", {"y": "2"})).json["data"] == {"y": "2"}


def test_a_field_that_others_own_too_stays(api: Server, maps: str) -> None:
    apply(api, maps, config_map("a", {"x": "1"}))
    apply(api, maps, config_map("a", {"x": "1", "y": "2"}), manager="two")
    assert apply(api, maps, config_map("a")).json["data"] == {"x": "1", "y": "2"}


def test_two_managers_own_different_fields_in_peace(api: Server, maps: str) -> None:
    apply(api, maps, config_map("a", {"x": "1"}))
    done = apply(api, maps, config_map("a", {"y": "2"}), manager="two")
    assert (done.status, done.json["data"]) == (200, {"x": "1", "y": "2"})


def test_another_value_for_a_field_of_somebody_else_is_a_conflict(api: Server, maps: str) -> None:
    apply(api, maps, config_map("a", {"x": "1"}))
    answer = apply(api, maps, config_map("a", {"x": "2"}), manager="two")

    assert (answer.status, answer.reason) == (409, "Conflict")
    assert answer.message == 'Apply failed with 1 conflict: conflict with "one": .data.x'
    assert answer.details == {
        "causes": [{"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.x"}]
    }


def test_all_conflicts_are_told_at_once(api: Server, maps: str) -> None:
    apply(api, maps, config_map("a", {"x": "1", "y": "1"}))
    answer = apply(api, maps, config_map("a", {"x": "2", "y": "2"}), manager="two")

    assert (answer.status, answer.reason) == (409, "Conflict")
    assert [field for _, field in answer.causes] == [".data.x", ".data.y"]
    assert answer.message == 'Apply failed with 2 conflicts: conflicts with "one":\n- .data.x\n- .data.y'


def test_force_takes_the_field_over(api: Server, maps: str) -> None:
    apply(api, maps, config_map("a", {"x": "1"}))
    done = apply(api, maps, config_map("a", {"x": "2"}), manager="two", force=True)

    assert done.json["data"] == {"x": "2"}
    assert [entry["manager"] for entry in done.json["metadata"]["managedFields"]] == ["two"]
    assert apply(api, maps, config_map("a", {"x": "1"})).status == 409


def test_an_update_owns_what_it_changes(api: Server, maps: str) -> None:
    apply(api, maps, config_map("a", {"x": "1"}))
    patch = {"data": {"x": "2"}}
    api.call("PATCH", maps + "/a", patch, content_type=MERGE, fieldManager="writer")

    answer = apply(api, maps, config_map("a", {"x": "3"}))

    assert answer.status == 409
    assert answer.details["causes"][0]["message"].startswith('conflict with "writer" using v1')


def test_a_list_of_containers_is_merged_by_name(api: Server, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    apply(api, path, deployment("a", replicas=0))
    other = deployment("a", replicas=0)
    other["spec"]["template"]["spec"]["containers"] = [{"name": "two", "image": "two"}]
    done = apply(api, path, other, manager="two")

    found = [entry["name"] for entry in done.json["spec"]["template"]["spec"]["containers"]]
    assert sorted(found) == ["one", "two"]
    back = apply(api, path, deployment("a", replicas=0), manager="two")
    assert [entry["name"] for entry in back.json["spec"]["template"]["spec"]["containers"]] == ["one"]


def test_a_list_of_a_custom_resource_is_merged_by_the_keys_of_its_schema(api: Server, widgets: str) -> None:
    apply(api, widgets, widget("a", ports=[{"name": "x", "port": 1}]))
    done = apply(api, widgets, widget("a", ports=[{"name": "y", "port": 2}]), manager="two")
    assert done.json["spec"]["ports"] == [{"name": "x", "port": 1}, {"name": "y", "port": 2}]


def test_another_list_of_a_custom_resource_is_replaced(api: Server, widgets: str) -> None:
    apply(api, widgets, widget("a", tags=["x"]))
    answer = apply(api, widgets, widget("a", tags=["y"]), manager="two")
    assert answer.status == 409
    assert answer.details["causes"][0]["field"] == ".spec.tags"
    assert apply(api, widgets, widget("a", tags=["y"])).json["spec"]["tags"] == ["y"]


def test_the_status_is_applied_on_its_own(api: Server, widgets: str) -> None:
    apply(api, widgets, widget("a"))
    body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}, "status": {"size": 1}}

    done = api.call("PATCH", widgets + "/a/status", body, content_type=APPLY, fieldManager="one")

    assert done.json["status"] == {"size": 1}
    entries = done.json["metadata"]["managedFields"]
    assert sorted((entry["manager"], entry.get("subresource", "")) for entry in entries) == [
        ("one", ""),
        ("one", "status"),
    ]


def test_an_apply_of_an_owner_reference_is_merged_by_uid(api: Server, ns: str, maps: str) -> None:
    references = []
    for name in ("x", "y"):
        uid = api.request("POST", maps, config_map(name))["metadata"]["uid"]
        references.append({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid})
    apply(api, maps, config_map("a", ownerReferences=references[:1]))
    done = apply(api, maps, config_map("a", ownerReferences=references[1:]), manager="two")
    assert [entry["name"] for entry in done.json["metadata"]["ownerReferences"]] == ["x", "y"]


def test_an_apply_as_yaml(api: Server, maps: str) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: '1'}\n"
    answer = api.call("PATCH", maps + "/a", text, content_type=APPLY, fieldManager="one")
    assert (answer.status, answer.json["data"]) == (201, {"x": "1"})


def test_an_apply_that_does_not_fit_the_schema_is_422(api: Server, widgets: str) -> None:
    answer = apply(api, widgets, widget("a", size=-1))
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "spec.size")])


def test_an_apply_with_an_unknown_field_is_refused(api: Server, maps: str) -> None:
    answer = apply(api, maps, {**config_map("a"), "unknown": 1})
    assert answer.status in (400, 500)
    assert "field not declared in schema" in answer.message
