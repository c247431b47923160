"""Deletions: finalizers, preconditions, grace periods, and what is told of them."""

from __future__ import annotations

import pytest

from tests.contract.objects import config_map, pod, widget
from tests.contract.server import Server

MERGE = "application/merge-patch+json"


@pytest.fixture
def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


def test_a_deletion_answers_with_success_and_names_what_went(api: Server, maps: str) -> None:
    made = api.request("POST", maps, config_map("one"))
    answer = api.call("DELETE", maps + "/one")

    assert answer.status == 200
    assert answer.json == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": "one", "kind": "configmaps", "uid": made["metadata"]["uid"]},
    }
    assert api.call("GET", maps + "/one").status == 404
    assert api.call("DELETE", maps + "/one").status == 404


def test_finalizers_hold_an_object_that_is_deleted(api: Server, widgets: str) -> None:
    made = widget("one")
    made["metadata"]["finalizers"] = ["example.com/a", "example.com/b"]
    api.request("POST", widgets, made)

    marked = api.call("DELETE", widgets + "/one")

    assert marked.status == 200
    metadata = marked.json["metadata"]
    assert metadata["deletionTimestamp"] >= metadata["creationTimestamp"]
    assert metadata["deletionGracePeriodSeconds"] == 0
    assert metadata["generation"] == 2
    first = {"metadata": {"finalizers": ["example.com/b"]}}
    assert api.call("PATCH", widgets + "/one", first, content_type=MERGE).status == 200
    assert api.call("GET", widgets + "/one").status == 200
    last = api.call("PATCH", widgets + "/one", {"metadata": {"finalizers": None}}, content_type=MERGE)
    assert last.status == 200
    assert api.call("GET", widgets + "/one").status == 404


def test_no_finalizer_is_added_to_what_is_being_deleted(api: Server, maps: str) -> None:
    api.request("POST", maps, config_map("one", finalizers=["example.com/a"]))
    api.request("DELETE", maps + "/one")
    patch = {"metadata": {"finalizers": ["example.com/a", "example.com/b"]}}

    answer = api.call("PATCH", maps + "/one", patch, content_type=MERGE)

    assert (answer.status, set(answer.causes)) == (422, {("FieldValueForbidden", "metadata.finalizers")})
    assert "no new finalizers can be added if the object is being deleted" in answer.message
    api.request("PATCH", maps + "/one", {"metadata": {"finalizers": None}}, content_type=MERGE)


def test_a_second_deletion_changes_nothing(api: Server, maps: str) -> None:
    api.request("POST", maps, config_map("one", finalizers=["example.com/a"]))
    first = api.request("DELETE", maps + "/one")["metadata"]
    second = api.request("DELETE", maps + "/one")["metadata"]

    assert (second["deletionTimestamp"], second["resourceVersion"]) == (
        first["deletionTimestamp"],
        first["resourceVersion"],
    )
    api.request("PATCH", maps + "/one", {"metadata": {"finalizers": None}}, content_type=MERGE)


@pytest.mark.parametrize(("field", "named"), [("uid", "UID"), ("resourceVersion", "ResourceVersion")])
def test_a_deletion_may_have_preconditions(api: Server, maps: str, field: str, named: str) -> None:
    metadata = api.request("POST", maps, config_map("one"))["metadata"]
    answer = api.call("DELETE", maps + "/one", {"preconditions": {field: "1"}})

    assert (answer.status, answer.reason) == (409, "Conflict")
    words = f"the {named} in the precondition (1) does not match the {named} in record ({metadata[field]}). "
    assert answer.message.startswith(f'Operation cannot be fulfilled on ConfigMap "one": {words}The object might have ')
    assert api.call("GET", maps + "/one").status == 200


def test_a_collection_is_deleted_by_selector(api: Server, maps: str) -> None:
    for name, colour in (("a", "red"), ("b", "red"), ("c", "blue")):
        api.request("POST", maps, config_map(name, labels={"colour": colour}))
    assert api.call("DELETE", maps, labelSelector="colour=red").status == 200
    left = api.call("GET", maps, labelSelector="colour").json["items"]
    assert [item["metadata"]["name"] for item in left] == ["c"]


def test_a_deleted_pod_has_its_grace_period(api: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    api.eventually(lambda: api.get("serviceaccounts", "default", ns))
    api.request("POST", path, pod("one", finalizers=["example.com/hold"]))
    api.eventually(lambda: api.request("GET", path + "/one")["status"]["phase"] == "Running")

    metadata = api.request("DELETE", path + "/one")["metadata"]

    assert metadata["deletionGracePeriodSeconds"] == 30
    api.eventually(lambda: api.request("GET", path + "/one")["metadata"]["deletionGracePeriodSeconds"] == 0)
    api.request("PATCH", path + "/one", {"metadata": {"finalizers": None}}, content_type=MERGE)
    api.eventually(lambda: api.call("GET", path + "/one").status == 404)
