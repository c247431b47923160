"""Admission: hooks that see a write before it is stored, change it, and refuse it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.contract.objects import config_map, pod
from tests.contract.server import Server

MERGE = "application/merge-patch+json"
ALL = ("CREATE", "UPDATE", "DELETE")


@pytest.fixture
def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


def test_a_hook_is_told_who_writes_what(api: Server, ns: str, maps: str) -> None:
    seen: list[dict[str, Any]] = []

    def allow(request: dict[str, Any]) -> Mapping[str, Any]:
        if request["namespace"] == ns and not request["name"].startswith("kube-root"):
            seen.append(request)
        return {"allowed": True}

    with api.admission("configmaps", allow, operations=ALL):
        api.request("POST", maps, config_map("one", {"a": "b"}))
        api.request("PATCH", f"{maps}/one", {"data": {"a": "c"}}, content_type=MERGE)
        api.request("DELETE", f"{maps}/one")

    told = [(r["operation"], r["name"], bool(r.get("object")), bool(r.get("oldObject")), r["dryRun"]) for r in seen]
    assert told == [
        ("CREATE", "one", True, False, False),
        ("UPDATE", "one", True, True, False),
        ("DELETE", "one", False, True, False),
    ]
    first = seen[0]
    assert (first["kind"], first["resource"]) == (
        {"group": "", "version": "v1", "kind": "ConfigMap"},
        {"group": "", "version": "v1", "resource": "configmaps"},
    )
    assert (first["userInfo"]["username"], "system:masters" in first["userInfo"]["groups"]) == ("admin", True)
    assert first["object"]["data"] == {"a": "b"}


def test_what_a_hook_refuses_is_not_stored_and_says_why(api: Server, maps: str) -> None:
    def refuse(request: dict[str, Any]) -> Mapping[str, Any]:
        return {
            "allowed": request["name"] != "bad",
            "status": {"code": 403, "reason": "Forbidden", "message": "not so"},
        }

    with api.admission("configmaps", refuse, operations=["CREATE"]):
        answer = api.call("POST", maps, config_map("bad"))
        good = api.call("POST", maps, config_map("good"))

    words = 'admission webhook "admission.example.com" denied the request: not so'
    assert (answer.status, answer.reason, answer.message, good.status) == (403, "Forbidden", words, 201)
    assert api.call("GET", f"{maps}/bad").status == 404


def test_a_refusal_without_words_is_400(api: Server, maps: str) -> None:
    with api.admission("configmaps", lambda request: {"allowed": request["name"] != "bad"}, operations=["CREATE"]):
        answer = api.call("POST", maps, config_map("bad"))
    words = 'admission webhook "admission.example.com" denied the request without explanation'
    assert (answer.status, answer.message) == (400, words)


def test_what_a_hook_patches_is_stored(api: Server, maps: str) -> None:
    def label(request: dict[str, Any]) -> Mapping[str, Any]:
        patch = [{"op": "add", "path": "/metadata/labels", "value": {"by": request["userInfo"]["username"]}}]
        return {"allowed": True, "patch": json.dumps(patch).encode()}

    with api.admission("configmaps", label, operations=["CREATE"]):
        answer = api.call("POST", maps, config_map("one"))

    stored = api.request("GET", f"{maps}/one")["metadata"]["labels"]
    assert (answer.json["metadata"]["labels"], stored) == ({"by": "admin"}, {"by": "admin"})


def test_what_a_hook_patches_is_checked(api: Server, ns: str) -> None:
    api.eventually(lambda: api.get("serviceaccounts", "default", ns))
    patch = json.dumps([{"op": "replace", "path": "/spec/containers", "value": []}]).encode()
    with api.admission("pods", lambda _: {"allowed": True, "patch": patch}, operations=["CREATE"]):
        answer = api.call("POST", f"/api/v1/namespaces/{ns}/pods", pod("one"))
    assert (answer.status, ("FieldValueRequired", "spec.containers") in answer.causes) == (422, True)


def test_a_dry_run_is_told_to_hooks(api: Server, ns: str, maps: str) -> None:
    seen: list[bool] = []

    def note(request: dict[str, Any]) -> Mapping[str, Any]:
        if request["namespace"] == ns and request["name"] == "one":
            seen.append(request["dryRun"])
        return {"allowed": True}

    with api.admission("configmaps", note, operations=["CREATE"]):
        api.request("POST", maps, config_map("one"), query={"dryRun": "All"})
    assert seen == [True]


def test_hooks_are_asked_about_the_status_only_where_they_ask_for_it(api: Server, widgets: str) -> None:
    from tests.contract.objects import widget

    api.request("POST", widgets, widget("one"))
    refuse = {"allowed": False, "status": {"message": "no"}}
    with api.admission("widgets.example.com", lambda _: refuse, operations=["UPDATE"]):
        status = api.call("PATCH", f"{widgets}/one/status", {"status": {"size": 1}}, content_type=MERGE)
        main = api.call("PATCH", f"{widgets}/one", {"spec": {"size": 2}}, content_type=MERGE)
    assert (status.status, main.status) == (200, 400)


def test_the_configuration_of_a_webhook_is_kept_with_its_defaults(api: Server) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    name = api.new_name("hooks")
    rule = {"apiGroups": ["example.com"], "apiVersions": ["v1"], "resources": ["nothing"], "operations": ["CREATE"]}
    service = {"namespace": "default", "name": "nobody"}
    hook = {
        "name": "a.example.com", "clientConfig": {"service": service}, "rules": [rule], "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }  # fmt: skip

    [found] = api.request("POST", path, {"metadata": {"name": name}, "webhooks": [hook]})["webhooks"]

    api.request("DELETE", f"{path}/{name}")
    assert found == hook | {
        "clientConfig": {"service": {**service, "port": 443}},
        "rules": [{**rule, "scope": "*"}],
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "namespaceSelector": {},
        "objectSelector": {},
        "timeoutSeconds": 10,
    }


def test_a_webhook_without_side_effects_to_declare_is_422(api: Server) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    hook = {"name": "a.example.com", "clientConfig": {"url": "https://127.0.0.1:1"}, "admissionReviewVersions": ["v1"]}
    answer = api.call("POST", path, {"metadata": {"name": api.new_name("hooks")}, "webhooks": [hook]})
    assert (answer.status, answer.causes) == (422, [("FieldValueRequired", "webhooks[0].sideEffects")])


def test_the_role_of_a_binding_never_changes(api: Server, ns: str) -> None:
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    binding = {"metadata": {"name": "one"}, "roleRef": role, "subjects": []}
    api.request("POST", path, binding)
    answer = api.call("PATCH", f"{path}/one", {"roleRef": {"name": "edit"}}, content_type=MERGE)
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "roleRef")])
