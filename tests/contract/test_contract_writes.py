"""Writes: versions and conflicts, generations, patches and subresources."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.contract.objects import config_map, deployment, owned_by, widget
from tests.contract.server import Server

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


@pytest.fixture
def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


@pytest.fixture
def deployments(ns: str) -> str:
    return f"/apis/apps/v1/namespaces/{ns}/deployments"


def test_a_created_object_gets_uid_time_namespace_and_version(api: Server, ns: str, maps: str) -> None:
    answer = api.call("POST", maps, config_map("one", {"a": "b"}))

    metadata = answer.json["metadata"]
    assert answer.status == 201
    assert (metadata["name"], metadata["namespace"]) == ("one", ns)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", metadata["uid"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", metadata["creationTimestamp"])
    assert metadata["resourceVersion"].isdecimal()
    assert "generation" not in metadata
    assert (answer.json["kind"], answer.json["apiVersion"]) == ("ConfigMap", "v1")


def test_what_only_the_server_decides_is_not_taken_from_the_request(api: Server, maps: str) -> None:
    claimed: dict[str, Any] = {
        "uid": "mine",
        "creationTimestamp": "2001-01-01T00:00:00Z",
        "deletionTimestamp": "2001-01-01T00:00:00Z",
    }
    made = api.request("POST", maps, config_map("one", **claimed))["metadata"]

    assert made["uid"] != "mine"
    assert not made["creationTimestamp"].startswith("2001")
    assert "deletionTimestamp" not in made


def test_a_version_in_what_is_to_be_created_is_refused(api: Server, maps: str) -> None:
    answer = api.call("POST", maps, config_map("one", resourceVersion="1"))
    assert (answer.status, answer.message) == (500, "resourceVersion should not be set on objects to be created")


def test_a_name_that_is_taken_is_409(api: Server, maps: str) -> None:
    api.request("POST", maps, config_map("one"))
    answer = api.call("POST", maps, config_map("one"))

    assert (answer.status, answer.reason) == (409, "AlreadyExists")
    assert answer.message == 'configmaps "one" already exists'
    assert answer.details == {"name": "one", "kind": "configmaps"}


def test_a_generated_name_has_five_more_characters(api: Server, maps: str) -> None:
    made = api.request("POST", maps, {"metadata": {"generateName": "made-"}})["metadata"]

    assert re.fullmatch("made-[a-z0-9]{5}", made["name"])
    assert made["generateName"] == "made-"


def test_a_create_without_any_name_is_422(api: Server, maps: str) -> None:
    answer = api.call("POST", maps, {"metadata": {}})
    assert (answer.status, answer.causes) == (422, [("FieldValueRequired", "metadata.name")])
    assert answer.message.endswith("name or generateName is required")


def test_a_create_in_a_namespace_that_does_not_exist_is_404(api: Server) -> None:
    answer = api.call("POST", "/api/v1/namespaces/no-such-namespace/configmaps", config_map("one"))

    assert (answer.status, answer.reason) == (404, "NotFound")
    assert answer.details == {"name": "no-such-namespace", "kind": "namespaces"}


def test_an_update_with_an_old_version_is_409(api: Server, maps: str) -> None:
    old = api.request("POST", maps, config_map("one"))
    api.request("PUT", maps + "/one", {**old, "data": {"a": "b"}})

    answer = api.call("PUT", maps + "/one", {**old, "data": {"a": "c"}})

    assert (answer.status, answer.reason) == (409, "Conflict")
    assert answer.message == (
        'Operation cannot be fulfilled on configmaps "one": '
        "the object has been modified; please apply your changes to the latest version and try again"
    )
    assert answer.details == {"name": "one", "kind": "configmaps"}


def test_an_update_without_a_version_wins(api: Server, maps: str) -> None:
    made = api.request("POST", maps, config_map("one", {"a": "1"}))
    done = api.request("PUT", maps + "/one", config_map("one", {"b": "2"}))

    assert done["data"] == {"b": "2"}
    assert done["metadata"]["uid"] == made["metadata"]["uid"]
    assert int(done["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


def test_an_update_of_a_custom_resource_needs_a_version(api: Server, widgets: str) -> None:
    api.request("POST", widgets, widget("one"))
    answer = api.call("PUT", widgets + "/one", widget("one", size=2))

    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "metadata.resourceVersion")])
    assert "must be specified for an update" in answer.message


def test_an_update_with_another_uid_is_409(api: Server, maps: str) -> None:
    api.request("POST", maps, config_map("one"))
    answer = api.call("PUT", maps + "/one", config_map("one", uid="another"))

    assert (answer.status, answer.reason) == (409, "Conflict")
    assert "Precondition failed: UID in precondition: another, UID in object meta: " in answer.message


def test_an_update_under_another_name_is_400(api: Server, maps: str) -> None:
    api.request("POST", maps, config_map("one"))
    answer = api.call("PUT", maps + "/one", config_map("two"))
    assert (answer.status, answer.message) == (
        400,
        "the name of the object (two) does not match the name on the URL (one)",
    )


def test_an_object_for_another_namespace_is_400(api: Server, maps: str) -> None:
    answer = api.call("POST", maps, config_map("one", namespace="default"))
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert answer.message == "the namespace of the provided object does not match the namespace sent on the request"


def test_an_update_of_what_is_not_there_is_404(api: Server, widgets: str) -> None:
    answer = api.call(
        "PUT", widgets + "/none", {**widget("none"), "metadata": {"name": "none", "resourceVersion": "1"}}
    )
    assert answer.status in (404, 409)
    assert api.call("PATCH", widgets + "/none", {"spec": {}}, content_type=MERGE).status == 404


def test_a_patch_with_an_old_version_is_409(api: Server, maps: str) -> None:
    old = api.request("POST", maps, config_map("one"))["metadata"]["resourceVersion"]
    api.request("PATCH", maps + "/one", {"data": {"a": "b"}}, content_type=MERGE)

    patch = {"metadata": {"resourceVersion": old}, "data": {"a": "c"}}
    answer = api.call("PATCH", maps + "/one", patch, content_type=MERGE)

    assert (answer.status, answer.reason) == (409, "Conflict")


def test_a_merge_patch_sets_and_removes_fields(api: Server, maps: str) -> None:
    api.request("POST", maps, config_map("one", {"a": "1", "b": "2"}))
    done = api.request("PATCH", maps + "/one", {"data": {"a": None, "c": "3"}}, content_type=MERGE)
    assert done["data"] == {"b": "2", "c": "3"}


def test_a_json_patch_tests_adds_and_removes(api: Server, maps: str) -> None:
    api.request("POST", maps, config_map("one", {"a": "1"}))
    patch = [
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "add", "path": "/metadata/labels", "value": {}},
        {"op": "add", "path": "/metadata/labels/example.com~1b", "value": "2"},
        {"op": "remove", "path": "/data/a"},
    ]
    done = api.request("PATCH", maps + "/one", patch, content_type=JSON_PATCH)
    assert (done["metadata"]["labels"], done.get("data") or {}) == ({"example.com/b": "2"}, {})


def test_a_json_patch_whose_test_fails_is_422(api: Server, maps: str) -> None:
    api.request("POST", maps, config_map("one", {"a": "1"}))
    patch = [{"op": "test", "path": "/data/a", "value": "2"}]

    answer = api.call("PATCH", maps + "/one", patch, content_type=JSON_PATCH)

    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.message == "the server rejected our request due to an error in our request"


def test_a_strategic_patch_merges_containers_by_name(api: Server, deployments: str) -> None:
    api.request("POST", deployments, deployment("one", replicas=0))
    containers = [{"name": "one", "image": "new"}, {"name": "two", "image": "other"}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}

    done = api.request("PATCH", deployments + "/one", patch, content_type=STRATEGIC)

    found = done["spec"]["template"]["spec"]["containers"]
    assert sorted((entry["name"], entry["image"]) for entry in found) == [("one", "new"), ("two", "other")]


def test_a_strategic_patch_removes_what_its_directives_name(api: Server, deployments: str) -> None:
    body = deployment("one", replicas=0)
    body["metadata"]["finalizers"] = ["example.com/a", "example.com/b"]
    body["spec"]["template"]["spec"]["containers"].append({"name": "two", "image": "two"})
    api.request("POST", deployments, body)
    patch = {
        "metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/a"]},
        "spec": {
            "strategy": {"$retainKeys": ["type"], "type": "Recreate"},
            "template": {"spec": {"containers": [{"$patch": "delete", "name": "two"}]}},
        },
    }

    done = api.request("PATCH", deployments + "/one", patch, content_type=STRATEGIC)

    assert done["metadata"]["finalizers"] == ["example.com/b"]
    assert done["spec"]["strategy"] == {"type": "Recreate"}
    assert [found["name"] for found in done["spec"]["template"]["spec"]["containers"]] == ["one"]
    api.request("PATCH", deployments + "/one", {"metadata": {"finalizers": None}}, content_type=MERGE)


def test_a_strategic_patch_of_a_custom_resource_is_415(api: Server, widgets: str) -> None:
    api.request("POST", widgets, widget("one"))
    answer = api.call("PATCH", widgets + "/one", {"spec": {"size": 2}}, content_type=STRATEGIC)

    assert (answer.status, answer.reason) == (415, "UnsupportedMediaType")
    assert answer.message == (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    )


def test_a_generation_counts_changes_of_the_spec_only(api: Server, widgets: str) -> None:
    path = widgets + "/one"
    generations = [api.request("POST", widgets, widget("one"))["metadata"]["generation"]]
    for place, patch in (
        (path, {"metadata": {"labels": {"a": "b"}}}),
        (path + "/status", {"status": {"size": 1}}),
        (path, {"spec": {"size": 1}}),
        (path, {"spec": {"size": 2}}),
    ):
        generations.append(api.request("PATCH", place, patch, content_type=MERGE)["metadata"]["generation"])
    assert generations == [1, 1, 1, 1, 2]


def test_a_deployment_has_a_generation_too(api: Server, deployments: str) -> None:
    assert api.request("POST", deployments, deployment("one", replicas=0))["metadata"]["generation"] == 1
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "one", "image": "new"}]}}}}
    done = api.request("PATCH", deployments + "/one", patch, content_type=STRATEGIC)
    assert done["metadata"]["generation"] == 2


def test_a_write_to_the_object_leaves_its_status_alone(api: Server, widgets: str) -> None:
    made = api.request("POST", widgets, widget("one", status={"size": 7}))
    assert "status" not in made
    api.request("PATCH", widgets + "/one/status", {"status": {"size": 1}}, content_type=MERGE)
    done = api.request("PATCH", widgets + "/one", {"spec": {"size": 5}, "status": {"size": 9}}, content_type=MERGE)
    assert (done["spec"]["size"], done["status"]) == (5, {"size": 1})


def test_a_write_to_the_status_leaves_everything_else_alone(api: Server, widgets: str) -> None:
    api.request("POST", widgets, widget("one"))
    patch = {"metadata": {"labels": {"a": "b"}}, "spec": {"size": 5}, "status": {"size": 1}}

    done = api.request("PATCH", widgets + "/one/status", patch, content_type=MERGE)

    assert (done["spec"]["size"], done["status"]) == (1, {"size": 1})
    assert "labels" not in done["metadata"]


def test_a_status_written_with_an_old_version_is_409(api: Server, widgets: str) -> None:
    old = api.request("POST", widgets, widget("one"))
    api.request("PATCH", widgets + "/one", {"spec": {"size": 2}}, content_type=MERGE)
    assert api.call("PUT", widgets + "/one/status", {**old, "status": {"size": 1}}).reason == "Conflict"


def test_a_kind_without_a_status_has_no_such_path(api: Server, maps: str) -> None:
    api.request("POST", maps, config_map("one"))
    answer = api.call("GET", maps + "/one/status")
    assert answer.status == 404


def test_a_deployment_is_scaled_through_its_scale(api: Server, ns: str, deployments: str) -> None:
    made = api.request("POST", deployments, deployment("one", replicas=0))
    scale = api.request("GET", deployments + "/one/scale")
    assert (scale["kind"], scale["apiVersion"], scale["spec"]) == ("Scale", "autoscaling/v1", {})
    assert scale["metadata"]["uid"] == made["metadata"]["uid"]
    assert scale["status"]["selector"] == "app=one"

    done = api.request("PATCH", deployments + "/one/scale", {"spec": {"replicas": 1}}, content_type=MERGE)

    assert done["spec"] == {"replicas": 1}
    assert api.request("GET", deployments + "/one")["spec"]["replicas"] == 1


def test_a_dry_run_answers_and_writes_nothing(api: Server, maps: str) -> None:
    answer = api.call("POST", maps, config_map("one"), dryRun="All")
    assert answer.status == 201
    assert "uid" in answer.json["metadata"]
    assert api.call("GET", maps + "/one").status == 404

    api.request("POST", maps, config_map("two", {"a": "1"}))
    patched = api.call("PATCH", maps + "/two", {"data": {"a": "2"}}, content_type=MERGE, dryRun="All")
    assert patched.json["data"] == {"a": "2"}
    api.call("DELETE", maps + "/two", dryRun="All")
    assert api.request("GET", maps + "/two")["data"] == {"a": "1"}


def test_a_dry_run_of_another_kind_is_refused(api: Server, maps: str) -> None:
    assert api.call("POST", maps, config_map("one"), dryRun="Some").status == 422


def test_the_metadata_of_owners_is_checked(api: Server, ns: str, maps: str) -> None:
    owner = api.create(config_map("owner"), ns)
    twice = owned_by(owner, controller=True) + owned_by(
        {**owner, "metadata": {"uid": "x", "name": "y"}}, controller=True
    )

    answer = api.call("POST", maps, config_map("child", ownerReferences=twice))

    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "metadata.ownerReferences")])
    assert "Only one reference can have Controller set to true" in answer.message


def test_an_immutable_config_map_is_not_changed(api: Server, maps: str) -> None:
    api.request("POST", maps, {**config_map("one", {"a": "1"}), "immutable": True})
    answer = api.call("PATCH", maps + "/one", {"data": {"a": "2"}}, content_type=MERGE)
    assert (answer.status, answer.causes) == (422, [("FieldValueForbidden", "data")])


def test_a_lease_is_taken_over_by_its_version_only(api: Server, ns: str) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"
    spec = {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"}
    made = api.request("POST", path, {"metadata": {"name": "lead"}, "spec": spec})
    taken = api.call("PUT", path + "/lead", {**made, "spec": {**spec, "holderIdentity": "b"}})

    assert taken.status == 200
    assert taken.json["spec"]["renewTime"] == "2026-01-01T00:00:00.000000Z"
    assert api.call("PUT", path + "/lead", {**made, "spec": {**spec, "holderIdentity": "c"}}).reason == "Conflict"


def test_an_event_is_written_and_counted(api: Server, ns: str) -> None:
    path = f"/apis/events.k8s.io/v1/namespaces/{ns}/events"
    body = {
        "metadata": {"name": "one"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "example.com/test",
        "reportingInstance": "test-1",
        "action": "Testing",
        "reason": "Tested",
        "type": "Normal",
        "note": "words",
        "regarding": {"kind": "ConfigMap", "namespace": ns, "name": "one"},
    }
    assert api.call("POST", path, body).status == 201
    series = {"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}}
    done = api.request("PATCH", path + "/one", series, content_type=MERGE)
    assert done["series"]["count"] == 2
    assert api.request("GET", f"/api/v1/namespaces/{ns}/events/one")["message"] == "words"
