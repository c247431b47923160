"""Reviews: what the server answers when it is asked about permission."""

from __future__ import annotations

from typing import Any

from scopedcache.testing import Identity
from tests.contract.server import READ, Server

ROOT = "/apis/authorization.k8s.io/v1"


def access(api: Server, who: Identity, **attributes: Any) -> dict[str, Any]:
    spec = {"resourceAttributes": attributes}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
    answer = api.call("POST", f"{ROOT}/selfsubjectaccessreviews", body, who=who)
    assert answer.status == 201, answer.text
    return dict(answer.json["status"])


def rules(api: Server, who: Identity, namespace: str) -> Any:
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
    return api.call("POST", f"{ROOT}/selfsubjectrulesreviews", body, who=who)


def test_anybody_may_ask_about_themselves_and_hears_no(api: Server, ns: str, person: Identity) -> None:
    assert access(api, person, verb="list", resource="configmaps", namespace=ns) == {"allowed": False}


def test_a_yes_names_the_binding_and_the_role(api: Server, ns: str, person: Identity) -> None:
    grant = api.may(person, ("list",), "configmaps", namespace=ns)

    assert access(api, person, verb="list", resource="configmaps", namespace=ns) == {
        "allowed": True,
        "reason": f'RBAC: allowed by RoleBinding "{grant.binding_name}/{ns}" of Role "{grant.role_name}" '
        f'to User "{person.username}"',
    }


def test_a_yes_at_the_cluster_scope_names_the_cluster_role_binding(api: Server, person: Identity) -> None:
    grant = api.may(person, ("list",), "configmaps")
    try:
        assert access(api, person, verb="list", resource="configmaps")["reason"] == (
            f'RBAC: allowed by ClusterRoleBinding "{grant.binding_name}" of ClusterRole "{grant.role_name}" '
            f'to User "{person.username}"'
        )
    finally:
        grant.revoke()


def test_no_namespace_asks_about_all_of_them(api: Server, ns: str, person: Identity) -> None:
    api.may(person, ("list",), "configmaps", namespace=ns)
    assert access(api, person, verb="list", resource="configmaps")["allowed"] is False


def test_a_named_object_is_allowed_by_resource_names_and_a_field_selector_is_not(
    api: Server, ns: str, person: Identity
) -> None:
    api.may(person, READ, "configmaps", namespace=ns, names=["one"])
    place = {"verb": "list", "resource": "configmaps", "namespace": ns}
    requirement = {"key": "metadata.name", "operator": "In", "values": ["one"]}

    assert access(api, person, **place, name="one")["allowed"] is True
    assert access(api, person, **place, fieldSelector={"requirements": [requirement]})["allowed"] is False
    assert access(api, person, **place)["allowed"] is False


def test_a_dangling_role_reference_is_told_as_a_reason(api: Server, ns: str, person: Identity) -> None:
    api.bind(person, "no-such-role", namespace=ns, role_kind="Role")
    asked = {"verb": "list", "resource": "configmaps", "namespace": ns}
    status = api.eventually(lambda: (s := access(api, person, **asked)).get("reason") and s)

    assert status == {"allowed": False, "reason": 'RBAC: role.rbac.authorization.k8s.io "no-such-role" not found'}


def test_a_subresource_is_asked_for_by_its_own_field(api: Server, ns: str, person: Identity) -> None:
    api.may(person, ("get",), "deployments.apps/scale", namespace=ns)
    place = {"verb": "get", "group": "apps", "resource": "deployments", "namespace": ns}

    assert access(api, person, **place, subresource="scale")["allowed"] is True
    assert access(api, person, **place)["allowed"] is False


def test_a_non_resource_url_can_be_asked_for(api: Server, person: Identity) -> None:
    def asked(path: str) -> bool:
        spec = {"nonResourceAttributes": {"path": path, "verb": "get"}}
        answer = api.call("POST", f"{ROOT}/selfsubjectaccessreviews", {"spec": spec}, who=person)
        return bool(answer.json["status"]["allowed"])

    assert asked("/version")
    assert not asked("/metrics")


def test_the_rules_of_a_namespace_are_the_union_of_what_is_bound_there_and_everywhere(
    api: Server, ns: str, person: Identity
) -> None:
    api.may(person, ("list",), "configmaps", namespace=ns)
    grant = api.may(person, ("get",), "nodes")
    try:
        status = rules(api, person, ns).json["status"]
        assert status["incomplete"] is False
        assert {"verbs": ["list"], "apiGroups": [""], "resources": ["configmaps"]} in status["resourceRules"]
        assert {"verbs": ["get"], "apiGroups": [""], "resources": ["nodes"]} in status["resourceRules"]
        assert any("/version" in rule["nonResourceURLs"] for rule in status["nonResourceRules"])
    finally:
        grant.revoke()


def test_every_user_is_seen_to_have_the_reviews_themselves(api: Server, ns: str, person: Identity) -> None:
    status = rules(api, person, ns).json["status"]
    reviews = {"selfsubjectaccessreviews", "selfsubjectrulesreviews"}
    found = [rule for rule in status["resourceRules"] if rule["apiGroups"] == ["authorization.k8s.io"]]
    assert any(reviews <= set(rule["resources"]) and "create" in rule["verbs"] for rule in found)


def test_rules_keep_their_resource_names(api: Server, ns: str, person: Identity) -> None:
    api.may(person, ("get",), "configmaps", namespace=ns, names=["one"])
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["one"]}
    assert rule in rules(api, person, ns).json["status"]["resourceRules"]


def test_a_namespace_that_does_not_exist_answers_with_the_cluster_wide_rules(
    api: Server, ns: str, person: Identity
) -> None:
    api.may(person, ("list",), "configmaps", namespace=ns)
    answer = rules(api, person, "no-such-namespace")

    assert answer.status == 201
    assert all("configmaps" not in rule["resources"] for rule in answer.json["status"]["resourceRules"])


def test_a_rules_review_of_no_namespace_is_refused(api: Server, person: Identity) -> None:
    answer = rules(api, person, "")
    assert (answer.status, answer.reason, answer.message) == (400, "BadRequest", "no namespace on request")


def test_the_admin_may_ask_about_others_and_nobody_else_may(api: Server, ns: str, person: Identity) -> None:
    api.may(person, ("list",), "configmaps", namespace=ns)
    attributes = {"verb": "list", "resource": "configmaps", "namespace": ns}
    body = {"spec": {"user": person.username, "resourceAttributes": attributes}}

    assert api.request("POST", f"{ROOT}/subjectaccessreviews", body)["status"]["allowed"] is True
    refused = api.call("POST", f"{ROOT}/subjectaccessreviews", body, who=person)
    assert refused.details == {"group": "authorization.k8s.io", "kind": "subjectaccessreviews"}


def test_a_review_needs_exactly_one_kind_of_attributes(api: Server, person: Identity) -> None:
    answer = api.call("POST", f"{ROOT}/selfsubjectaccessreviews", {"spec": {}}, who=person)
    assert answer.status == 422
    assert answer.reason == "Invalid"


def test_a_user_learns_its_own_name_and_groups(api: Server) -> None:
    who = api.person("team-blue")
    answer = api.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, who=who)

    assert answer.status == 201
    assert answer.json["status"]["userInfo"] == {
        "username": who.username,
        "groups": ["team-blue", "system:authenticated"],
    }


def test_who_may_do_everything_sees_it_in_one_rule(api: Server, ns: str) -> None:
    body = {"spec": {"namespace": ns}}
    found = api.request("POST", f"{ROOT}/selfsubjectrulesreviews", body)["status"]["resourceRules"]
    assert {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]} in found


def token_review(api: Server, token: str) -> dict[str, Any]:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    answer = api.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body)
    assert answer.status == 201, answer.text
    return dict(answer.json["status"])


def test_a_token_review_says_whose_token_it_is(api: Server, ns: str) -> None:
    account = api.service_account_identity(ns, "scraper")
    status = token_review(api, account.token)

    assert (status["authenticated"], status["user"]["username"]) == (True, account.username)
    assert "system:authenticated" in status["user"]["groups"]


def test_a_token_review_of_a_token_that_nobody_has_says_no_and_is_no_error(api: Server) -> None:
    status = token_review(api, "nobody-has-this")

    assert status.get("authenticated", False) is False
    assert status["user"] == {}


def test_a_token_review_without_a_token_is_400(api: Server) -> None:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {}}
    answer = api.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body)

    assert (answer.status, answer.message) == (400, "token is required for TokenReview in authentication")


def test_who_may_get_a_path_is_asked_by_a_subject_access_review(api: Server, person: Identity) -> None:
    def may(path: str) -> bool:
        spec = {"user": person.username, "nonResourceAttributes": {"path": path, "verb": "get"}}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        answer = api.call("POST", f"{ROOT}/subjectaccessreviews", body)
        assert answer.status == 201, answer.text
        return bool(answer.json["status"]["allowed"])

    assert not may("/metrics")
