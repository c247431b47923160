"""Bad input: what cannot be read, what may not be named so, and what is too big."""

from __future__ import annotations

import pytest

from tests.contract.objects import config_map, deployment
from tests.contract.server import Server

MERGE = "application/merge-patch+json"


@pytest.fixture
def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


def test_malformed_json_is_400(api: Server, maps: str, widgets: str) -> None:
    for path in (maps, widgets):
        answer = api.call("POST", path, b'{"metadata": ')
        assert (answer.status, answer.reason) == (400, "BadRequest")


def test_an_empty_body_is_400(api: Server, maps: str) -> None:
    assert api.call("POST", maps, b"").status == 400


def test_a_body_of_another_type_is_415(api: Server, maps: str) -> None:
    answer = api.call("POST", maps, b"<x/>", content_type="application/xml")

    assert (answer.status, answer.reason) == (415, "UnsupportedMediaType")
    assert answer.message.startswith(
        "the body of the request was in an unknown format - accepted media types include: application/json"
    )


def test_a_patch_of_an_unknown_type_is_415(api: Server, maps: str) -> None:
    api.request("POST", maps, config_map("one"))
    answer = api.call("PATCH", maps + "/one", {}, content_type="application/json")
    assert (answer.status, answer.reason) == (415, "UnsupportedMediaType")


def test_yaml_is_read_too(api: Server, maps: str) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n"
    assert api.call("POST", maps, text, content_type="application/yaml").status == 201


def test_a_merge_patch_that_is_no_object_is_400(api: Server, maps: str) -> None:
    api.request("POST", maps, config_map("one"))
    assert api.call("PATCH", maps + "/one", b"[1", content_type=MERGE).status == 400


@pytest.mark.parametrize("name", ["Upper", "under_score", "-dash", "a" * 254])
def test_an_invalid_name_is_422(api: Server, maps: str, name: str) -> None:
    answer = api.call("POST", maps, config_map(name))

    assert (answer.status, answer.reason) == (422, "Invalid")
    assert ("FieldValueInvalid", "metadata.name") in answer.causes


def test_an_invalid_name_is_told_with_the_rule(api: Server, maps: str) -> None:
    answer = api.call("POST", maps, config_map("Upper"))
    rule = (
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
        "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
        r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    )
    assert answer.message == f'ConfigMap "Upper" is invalid: metadata.name: Invalid value: "Upper": {rule}'


def test_a_namespace_is_named_like_a_dns_label(api: Server) -> None:
    answer = api.call("POST", "/api/v1/namespaces", {"metadata": {"name": "A"}})
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "metadata.name")])
    assert "a lowercase RFC 1123 label must consist of" in answer.message


@pytest.mark.parametrize("labels", [{"a b": "c"}, {"a": "b c"}, {"a": "x" * 64}, {"/a": "b"}, {"": "b"}])
def test_an_invalid_label_is_422(api: Server, maps: str, labels: dict[str, str]) -> None:
    answer = api.call("POST", maps, config_map("one", labels=labels))

    assert (answer.status, answer.reason) == (422, "Invalid")
    assert {field for _, field in answer.causes} == {"metadata.labels"}


def test_an_invalid_annotation_key_is_422(api: Server, maps: str) -> None:
    answer = api.call("POST", maps, config_map("one", annotations={"a b": "c"}))
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "metadata.annotations")])


def test_an_invalid_finalizer_is_422(api: Server, widgets: str) -> None:
    body = {"apiVersion": "example.com/v1", "kind": "Widget", "spec": {"size": 1}}
    answer = api.call("POST", widgets, {**body, "metadata": {"name": "one", "finalizers": ["a b"]}})
    assert (answer.status, {field for _, field in answer.causes}) == (422, {"metadata.finalizers"})


@pytest.mark.parametrize("value", [5, ["a"], {"a": 5}])
def test_labels_that_are_no_strings_are_400(api: Server, maps: str, value: object) -> None:
    assert api.call("POST", maps, config_map("one", labels=value)).status == 400


def test_an_owner_reference_needs_all_its_fields(api: Server, maps: str) -> None:
    answer = api.call("POST", maps, config_map("one", ownerReferences=[{"kind": "ConfigMap"}]))
    assert answer.status == 422
    assert {field for _, field in answer.causes} >= {
        "metadata.ownerReferences.apiVersion",
        "metadata.ownerReferences.name",
        "metadata.ownerReferences.uid",
    }


def test_a_body_of_more_than_three_mebibytes_is_413(api: Server, maps: str) -> None:
    answer = api.call("POST", maps, config_map("one", {"a": "x" * (3 * 2**20 + 1)}))
    assert (answer.status, answer.reason) == (413, "RequestEntityTooLarge")


def test_a_config_map_of_more_than_one_mebibyte_is_422(api: Server, maps: str) -> None:
    answer = api.call("POST", maps, config_map("one", {"a": "x" * (2**20 + 1)}))
    assert (answer.status, answer.causes) == (422, [("FieldValueTooLong", "[]")])


def test_annotations_of_more_than_256_kibibytes_are_422(api: Server, maps: str) -> None:
    answer = api.call("POST", maps, config_map("one", annotations={"a": "x" * 262_145}))
    assert (answer.status, answer.causes) == (422, [("FieldValueTooLong", "metadata.annotations")])


def test_a_strict_write_of_an_unknown_field_is_400(api: Server, maps: str) -> None:
    answer = api.call("POST", maps, {**config_map("one"), "unknown": 1}, fieldValidation="Strict")

    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert answer.message.endswith('strict decoding error: unknown field "unknown"')


def test_unknown_fields_of_built_in_kinds_are_dropped(api: Server, maps: str) -> None:
    assert "unknown" not in api.request("POST", maps, {**config_map("one"), "unknown": 1})


def test_an_unknown_field_validation_is_refused(api: Server, maps: str) -> None:
    assert api.call("POST", maps, config_map("one"), fieldValidation="Perhaps").status == 422


def test_a_wrong_type_in_a_built_in_kind_is_400(api: Server, ns: str) -> None:
    wrong = deployment("one")
    wrong["spec"]["replicas"] = "three"
    answer = api.call("POST", f"/apis/apps/v1/namespaces/{ns}/deployments", wrong)

    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert "cannot unmarshal string into Go struct field" in answer.message


def test_a_negative_number_of_replicas_is_422(api: Server, ns: str) -> None:
    answer = api.call("POST", f"/apis/apps/v1/namespaces/{ns}/deployments", deployment("one", replicas=-1))
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "spec.replicas")])
    assert "must be greater than or equal to 0" in answer.message


def test_a_pod_needs_a_container(api: Server, ns: str) -> None:
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": {}}
    api.eventually(lambda: api.get("serviceaccounts", "default", ns))
    answer = api.call("POST", f"/api/v1/namespaces/{ns}/pods", body)
    assert (answer.status, ("FieldValueRequired", "spec.containers") in answer.causes) == (422, True)


def test_a_body_of_another_kind_is_400(api: Server, maps: str) -> None:
    answer = api.call("POST", maps, {**config_map("one"), "kind": "Secret"})
    assert (answer.status, answer.reason) == (400, "BadRequest")


def test_a_binding_needs_a_role_that_is_named(api: Server, ns: str) -> None:
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ""}
    answer = api.call("POST", path, {"metadata": {"name": "one"}, "roleRef": role})
    assert (answer.status, answer.causes) == (422, [("FieldValueRequired", "roleRef.name")])


def test_an_unknown_path_is_404(api: Server) -> None:
    answer = api.call("GET", "/nothing/here")
    assert (answer.status, answer.text.strip()) == (404, "404 page not found") or answer.reason == "NotFound"
