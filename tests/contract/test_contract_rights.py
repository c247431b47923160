"""Rights: who may do what, from which moment on, and what a refusal looks like."""

from __future__ import annotations

import pytest

from scopedcache.testing import Identity
from tests.contract.objects import config_map, owned_by
from tests.contract.server import READ, Server, names


def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


def test_a_refused_list_names_user_verb_resource_and_namespace(api: Server, ns: str, person: Identity) -> None:
    answer = api.call("GET", maps(ns), who=person)

    assert answer.content_type == "application/json"
    assert answer.json == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f'configmaps is forbidden: User "{person.username}" cannot list resource "configmaps" '
        f'in API group "" in the namespace "{ns}"',
        "reason": "Forbidden",
        "details": {"kind": "configmaps"},
        "code": 403,
    }


def test_a_refused_request_for_an_object_carries_its_group_and_name(api: Server, ns: str, person: Identity) -> None:
    answer = api.call("GET", f"/apis/apps/v1/namespaces/{ns}/deployments/one", who=person)

    assert answer.status == 403
    assert answer.details == {"name": "one", "group": "apps", "kind": "deployments"}
    assert 'deployments.apps "one" is forbidden' in answer.message


def test_a_refusal_at_the_cluster_scope_says_so(api: Server, person: Identity) -> None:
    answer = api.call("GET", "/api/v1/pods", who=person)
    assert answer.message.endswith('cannot list resource "pods" in API group "" at the cluster scope')


def test_a_refused_subresource_is_in_the_message_only(api: Server, ns: str, person: Identity) -> None:
    answer = api.call("GET", f"/apis/apps/v1/namespaces/{ns}/deployments/one/status", who=person)

    assert answer.details["kind"] == "deployments"
    assert 'cannot get resource "deployments/status" in API group "apps"' in answer.message


def test_a_watch_without_permission_is_refused_like_a_list(api: Server, ns: str, person: Identity) -> None:
    answer = api.call("GET", maps(ns), who=person, watch="true")

    assert answer.status == 403
    assert 'cannot watch resource "configmaps"' in answer.message


def test_permission_is_asked_before_the_resource_is_looked_up(api: Server, ns: str, person: Identity) -> None:
    assert api.call("GET", f"/apis/nothing.example.com/v1/namespaces/{ns}/things", who=person).status == 403


def test_an_unknown_resource_is_404_in_plain_text(api: Server, ns: str) -> None:
    for path in (f"/apis/nothing.example.com/v1/namespaces/{ns}/things", f"/api/v1/namespaces/{ns}/nothings"):
        answer = api.call("GET", path)
        assert (answer.status, answer.content_type) == (404, "text/plain") or answer.reason == "NotFound"
    assert api.call("GET", "/apis/nothing.example.com/v1/things").text.strip() == "404 page not found"


def test_a_wrong_token_is_401_without_details(api: Server, ns: str) -> None:
    stranger = api.person()
    stranger.token = "no-such-token"

    answer = api.call("GET", maps(ns), who=stranger)

    assert answer.status == 401
    assert answer.json == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Unauthorized",
        "reason": "Unauthorized",
        "code": 401,
    }


def test_a_role_and_its_binding_grant_from_the_next_moment_and_their_end_revokes(
    api: Server, ns: str, person: Identity
) -> None:
    grant = api.may(person, READ, "configmaps", namespace=ns)
    assert api.call("GET", maps(ns), who=person).status == 200

    api.take(grant, person, "list", "configmaps", ns)

    assert api.call("GET", maps(ns), who=person).status == 403


def test_a_role_holds_in_its_own_namespace_only(api: Server, ns: str, person: Identity) -> None:
    api.may(person, READ, "configmaps", namespace=ns)

    assert api.call("GET", maps("default"), who=person).status == 403
    assert api.call("GET", "/api/v1/configmaps", who=person).status == 403


def test_a_cluster_role_bound_in_a_namespace_holds_there(api: Server, ns: str, person: Identity) -> None:
    api.bind(person, "view", namespace=ns)
    api.eventually(lambda: api.allowed(person, "list", "configmaps", ns))

    assert api.call("GET", maps(ns), who=person).status == 200
    assert api.call("GET", maps("default"), who=person).status == 403


def test_a_cluster_role_binding_holds_everywhere(api: Server, ns: str, person: Identity) -> None:
    grant = api.may(person, ("list",), "configmaps")
    try:
        assert api.call("GET", maps(ns), who=person).status == 200
        assert api.call("GET", "/api/v1/configmaps", who=person).status == 200
    finally:
        grant.revoke()


def test_a_changed_role_changes_what_its_bindings_give(api: Server, ns: str, person: Identity) -> None:
    grant = api.may(person, ("list",), "configmaps", namespace=ns)

    grant.change(verbs=["get"], resources=["configmaps"])
    api.eventually(lambda: not api.allowed(person, "list", "configmaps", ns))

    assert api.call("GET", maps(ns), who=person).status == 403
    assert api.call("GET", maps(ns) + "/none", who=person).status == 404


def test_stars_mean_every_verb_group_and_resource(api: Server, ns: str, person: Identity) -> None:
    api.may(person, ("*",), "*", namespace=ns)

    assert api.call("GET", f"/apis/apps/v1/namespaces/{ns}/deployments", who=person).status == 200
    assert api.call("POST", maps(ns), config_map("one"), who=person).status == 201


def test_a_binding_to_a_group_holds_for_its_members(api: Server, ns: str) -> None:
    member, group = api.person("team-red"), {"kind": "Group", "name": "team-red"}
    group["apiGroup"] = reference = "rbac.authorization.k8s.io"
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings"
    role = {"apiGroup": reference, "kind": "ClusterRole", "name": "view"}
    api.request("POST", path, {"metadata": {"name": "red"}, "roleRef": role, "subjects": [group]})
    api.eventually(lambda: api.allowed(member, "list", "configmaps", ns))

    assert api.call("GET", maps(ns), who=member).status == 200
    assert api.call("GET", maps(ns), who=api.person()).status == 403


def test_a_dangling_role_reference_is_told_in_the_refusal(api: Server, ns: str, person: Identity) -> None:
    api.bind(person, "no-such-role", namespace=ns, role_kind="Role")
    tail = 'RBAC: role.rbac.authorization.k8s.io "no-such-role" not found'
    api.eventually(lambda: tail in api.call("GET", maps(ns), who=person).message)


def test_a_subresource_needs_its_own_permission(api: Server, ns: str, person: Identity) -> None:
    api.request("POST", maps(ns), config_map("one"))
    api.may(person, ("get",), "pods", "pods/log", namespace=ns)

    assert api.allowed(person, "get", "pods", ns, subresource="log")
    assert not api.allowed(person, "get", "pods", ns, subresource="status")


def test_resource_names_allow_the_named_object_and_a_list_that_names_it(api: Server, ns: str, person: Identity) -> None:
    for name in ("one", "two"):
        api.request("POST", maps(ns), config_map(name))
    api.may(person, READ, "configmaps", namespace=ns, names=["one"])

    assert api.call("GET", maps(ns) + "/one", who=person).status == 200
    assert api.call("GET", maps(ns) + "/two", who=person).status == 403
    assert api.call("GET", maps(ns), who=person).status == 403
    named = api.call("GET", maps(ns), who=person, fieldSelector="metadata.name=one")
    assert names(named.json["items"]) == ["one"]
    assert api.call("GET", maps(ns), who=person, fieldSelector="metadata.name=two").details["name"] == "two"


def test_nobody_without_credentials_is_anonymous(api: Server, ns: str) -> None:
    answer = api.send("GET", maps(ns), None, {})

    assert answer.status == 403
    assert 'User "system:anonymous" cannot list resource "configmaps"' in answer.message


def test_impersonation_needs_its_own_permission(api: Server, ns: str) -> None:
    who = api.service_account_identity(ns, "worker")
    headers = {"Authorization": f"Bearer {who.token}", "Impersonate-User": "somebody"}

    answer = api.send("GET", maps(ns), None, headers)

    assert answer.status == 403
    assert f'User "{who.username}" cannot impersonate-on:user-info:list resource "configmaps"' in answer.message
    assert answer.details == {"kind": "configmaps"}


def test_a_service_account_acts_under_its_own_name(api: Server, ns: str) -> None:
    who = api.service_account_identity(ns, "worker")

    answer = api.call("GET", maps(ns), who=who)
    assert f'User "system:serviceaccount:{ns}:worker" cannot list' in answer.message

    api.may(who, READ, "configmaps", namespace=ns)
    assert api.call("GET", maps(ns), who=who).status == 200


def test_the_token_of_a_deleted_service_account_ends_some_seconds_later_and_for_ever(api: Server, ns: str) -> None:
    who = api.service_account_identity(ns, "worker")
    api.may(who, READ, "configmaps", namespace=ns)
    assert api.call("GET", maps(ns), who=who).status == 200
    api.delete("serviceaccounts", "worker", ns)

    assert api.call("GET", maps(ns), who=who).status == 200
    api.eventually(lambda: api.call("GET", maps(ns), who=who).status == 401)
    again = api.service_account_identity(ns, "worker")
    assert api.call("GET", maps(ns), who=who).status == 401
    assert api.call("GET", maps(ns), who=again).status == 200


def test_a_requested_token_tells_when_it_ends_and_lasts_ten_minutes_at_least(api: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/serviceaccounts"
    api.request("POST", path, {"metadata": {"name": "worker"}})

    answer = api.call("POST", f"{path}/worker/token", {"spec": {"expirationSeconds": 600}})
    short = api.call("POST", f"{path}/worker/token", {"spec": {"expirationSeconds": 599}})

    assert (answer.status, answer.json["kind"]) == (201, "TokenRequest")
    assert answer.json["spec"]["expirationSeconds"] == 600
    assert answer.json["status"]["expirationTimestamp"].endswith("Z")
    assert (short.status, short.causes) == (422, [("FieldValueInvalid", "spec.expirationSeconds")])
    assert "may not specify a duration less than 10 minutes" in short.message
    assert api.call("POST", f"{path}/nobody/token", {"spec": {}}).status == 404


def test_groups_of_service_accounts_can_be_bound(api: Server, ns: str) -> None:
    who = api.service_account_identity(ns, "worker")
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings"
    rbac = "rbac.authorization.k8s.io"
    role = {"apiGroup": rbac, "kind": "ClusterRole", "name": "view"}
    subject = {"apiGroup": rbac, "kind": "Group", "name": f"system:serviceaccounts:{ns}"}
    api.request("POST", path, {"metadata": {"name": "all"}, "roleRef": role, "subjects": [subject]})

    api.eventually(lambda: api.call("GET", maps(ns), who=who).status == 200)


def test_nobody_grants_more_than_they_have(api: Server, ns: str, person: Identity) -> None:
    api.may(person, ("create", "get"), "roles.rbac.authorization.k8s.io", namespace=ns)
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles"

    answer = api.call("POST", path, {"metadata": {"name": "more"}, "rules": [rule]}, who=person)

    assert answer.status == 403
    assert "is attempting to grant RBAC permissions not currently held" in answer.message


def test_nobody_binds_a_role_that_gives_more_than_they_have(api: Server, ns: str, person: Identity) -> None:
    api.may(person, ("create",), "rolebindings.rbac.authorization.k8s.io", namespace=ns)
    rbac = "rbac.authorization.k8s.io"
    path = f"/apis/{rbac}/v1/namespaces/{ns}/rolebindings"
    role = {"apiGroup": rbac, "kind": "ClusterRole", "name": "view"}
    body = {"metadata": {"name": "mine"}, "roleRef": role, "subjects": [person.subject]}

    answer = api.call("POST", path, body, who=person)

    assert answer.status == 403
    assert "is attempting to grant RBAC permissions not currently held" in answer.message
    api.may(person, ("bind",), f"clusterroles.{rbac}", names=["view"])
    api.eventually(lambda: api.call("POST", path, body, who=person).status == 201)


def test_a_role_reference_cannot_be_changed(api: Server, ns: str, person: Identity) -> None:
    grant = api.bind(person, "view", namespace=ns)
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings/{grant.binding_name}"
    patch = {"roleRef": {"name": "edit"}}

    answer = api.call("PATCH", path, patch, content_type="application/merge-patch+json")

    assert answer.status == 422
    assert answer.causes == [("FieldValueInvalid", "roleRef")]
    assert "cannot change roleRef" in answer.message


@pytest.mark.parametrize("verb", ["list", "watch"])
def test_list_and_watch_are_granted_one_by_one(api: Server, ns: str, person: Identity, verb: str) -> None:
    api.may(person, (verb,), "configmaps", namespace=ns)

    assert (api.call("GET", maps(ns), who=person).status == 200) is (verb == "list")
    with api.watch(maps(ns), who=person, timeoutSeconds=1) as watch:
        assert (watch.status == 200) is (verb == "watch")


def test_a_create_needs_no_permission_to_read(api: Server, ns: str, person: Identity) -> None:
    api.may(person, ("create",), "configmaps", namespace=ns)

    assert api.call("POST", maps(ns), config_map("one"), who=person).status == 201
    assert api.call("GET", maps(ns) + "/one", who=person).status == 403


def test_an_apply_that_creates_needs_create_beside_patch(api: Server, ns: str, person: Identity) -> None:
    grant = api.may(person, ("patch",), "configmaps", namespace=ns)
    apply = {"content_type": "application/apply-patch+yaml", "fieldManager": "someone"}

    assert api.call("PATCH", maps(ns) + "/new", config_map("new"), who=person, **apply).status == 403
    grant.change(verbs=["patch", "create"], resources=["configmaps"])
    api.eventually(lambda: api.allowed(person, "create", "configmaps", ns))
    assert api.call("PATCH", maps(ns) + "/new", config_map("new"), who=person, **apply).status == 201


def test_an_aggregated_cluster_role_takes_over_the_rules_of_its_parts(api: Server) -> None:
    path, label = "/apis/rbac.authorization.k8s.io/v1/clusterroles", api.new_name("part")
    whole, part = api.new_name("whole"), api.new_name("part")
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    selectors = [{"matchLabels": {label: "true"}}]
    aggregation = {"metadata": {"name": whole}, "aggregationRule": {"clusterRoleSelectors": selectors}}
    api.request("POST", path, aggregation)

    api.request("POST", path, {"metadata": {"name": part, "labels": {label: "true"}}, "rules": [rule]})

    api.eventually(lambda: api.request("GET", f"{path}/{whole}").get("rules") == [rule])
    api.request("DELETE", f"{path}/{part}")
    api.eventually(lambda: not api.request("GET", f"{path}/{whole}").get("rules"))
    api.request("DELETE", f"{path}/{whole}")


def test_parts_of_an_aggregated_cluster_role_are_selected_by_expressions_too(api: Server) -> None:
    path, label = "/apis/rbac.authorization.k8s.io/v1/clusterroles", api.new_name("part")
    whole, parts = api.new_name("whole"), [api.new_name("part") for _ in range(2)]
    among = [{"key": label, "operator": "In", "values": ["a", "b"]}, {"key": "not", "operator": "DoesNotExist"}]
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    other = {**rule, "resources": ["pods"]}
    for part, labels, found in ((parts[0], {label: "a"}, rule), (parts[1], {label: "b", "not": ""}, other)):
        api.request("POST", path, {"metadata": {"name": part, "labels": labels}, "rules": [found]})

    rules = {"clusterRoleSelectors": [{"matchExpressions": among}]}
    api.request("POST", path, {"metadata": {"name": whole}, "aggregationRule": rules})

    api.eventually(lambda: api.request("GET", f"{path}/{whole}").get("rules") == [rule])
    for name in (whole, *parts):
        api.request("DELETE", f"{path}/{name}")


def test_a_user_without_rights_may_read_discovery_and_the_version(api: Server, person: Identity) -> None:
    for path in ("/api", "/apis", "/api/v1", "/apis/apps/v1", "/version"):
        assert api.call("GET", path, who=person).status == 200, path
    answer = api.call("GET", "/metrics", who=person)
    assert answer.status == 403
    assert f'User "{person.username}" cannot get path "/metrics"' in answer.message


def test_blocking_the_deletion_of_an_owner_needs_no_right_on_it(api: Server, ns: str, person: Identity) -> None:
    owner = api.create(config_map("owner"), ns)
    api.may(person, ("create",), "configmaps", namespace=ns)
    references = owned_by(owner, controller=True, blockOwnerDeletion=True)

    answer = api.call("POST", maps(ns), config_map("child", ownerReferences=references), who=person)

    assert answer.status == 201
