"""Discovery: which kinds are served, and under which names and verbs."""

from __future__ import annotations

from typing import Any

from tests.contract.server import Server

VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def resource(api: Server, root: str, name: str) -> dict[str, Any]:
    [found] = [entry for entry in api.request("GET", root)["resources"] if entry["name"] == name]
    return {key: value for key, value in found.items() if key != "storageVersionHash"}


def test_the_core_kinds_are_listed(api: Server) -> None:
    assert api.request("GET", "/api")["versions"] == ["v1"]
    answer = api.request("GET", "/api/v1")
    assert (answer["kind"], answer["groupVersion"]) == ("APIResourceList", "v1")
    assert resource(api, "/api/v1", "configmaps") == {
        "name": "configmaps",
        "singularName": "configmap",
        "namespaced": True,
        "kind": "ConfigMap",
        "verbs": VERBS,
        "shortNames": ["cm"],
    }


def test_a_namespace_is_not_deleted_by_the_collection(api: Server) -> None:
    found = resource(api, "/api/v1", "namespaces")
    assert (found["namespaced"], "deletecollection" in found["verbs"]) == (False, False)


def test_groups_name_their_preferred_version(api: Server) -> None:
    groups = {group["name"]: group for group in api.request("GET", "/apis")["groups"]}
    version = {"groupVersion": "apps/v1", "version": "v1"}
    assert groups["apps"] == {"name": "apps", "versions": [version], "preferredVersion": version}
    assert api.request("GET", "/apis/apps")["preferredVersion"] == version


def test_subresources_are_listed_with_their_own_verbs(api: Server) -> None:
    assert resource(api, "/apis/apps/v1", "deployments/status")["verbs"] == ["get", "patch", "update"]
    scale = resource(api, "/apis/apps/v1", "deployments/scale")
    assert (scale["group"], scale["version"], scale["kind"]) == ("autoscaling", "v1", "Scale")
    assert resource(api, "/api/v1", "serviceaccounts/token")["verbs"] == ["create"]


def test_reviews_can_only_be_created(api: Server) -> None:
    found = resource(api, "/apis/authorization.k8s.io/v1", "selfsubjectaccessreviews")
    assert (found["verbs"], found["namespaced"]) == (["create"], False)


def test_a_custom_resource_is_listed_with_its_short_names(api: Server, widgets: str) -> None:
    assert widgets
    found = api.eventually(lambda: resource(api, "/apis/example.com/v1", "widgets"))
    assert found["shortNames"] == ["wd"]
    assert sorted(found["verbs"]) == VERBS
    assert resource(api, "/apis/example.com/v1", "widgets/status")["verbs"] == ["get", "patch", "update"]


def test_a_group_that_nobody_serves_is_404(api: Server) -> None:
    assert api.call("GET", "/apis/nothing.example.com").status == 404
    assert api.call("GET", "/apis/nothing.example.com/v1").status == 404


def test_the_server_tells_its_version_and_that_it_is_well(api: Server) -> None:
    assert api.request("GET", "/version")["gitVersion"].startswith("v1.")
    for path in ("/healthz", "/livez", "/readyz"):
        answer = api.call("GET", path)
        assert (answer.status, answer.text) == (200, "ok")
