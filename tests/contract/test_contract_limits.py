"""Limits: quotas, limit ranges and network policies, what they make of objects and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.objects import config_map, deployment, pod
from tests.contract.server import Server

MERGE = "application/merge-patch+json"
Manifest = dict[str, Any]

# A controller manager that has just started first learns which kinds there are.
COUNTED_SECONDS = 60.0


@pytest.fixture
def pods(api: Server, ns: str) -> str:
    api.eventually(lambda: api.get("serviceaccounts", "default", ns))
    return f"/api/v1/namespaces/{ns}/pods"


@pytest.fixture
def quotas(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/resourcequotas"


@pytest.fixture
def limit_ranges(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/limitranges"


@pytest.fixture
def policies(ns: str) -> str:
    return f"/apis/networking.k8s.io/v1/namespaces/{ns}/networkpolicies"


def quota(api: Server, quotas: str, *scopes: str, **hard: str) -> Manifest:
    """Create a quota, and wait until it is in force."""
    spec = {"hard": {name.replace("_", "."): text for name, text in hard.items()}}
    api.request(
        "POST", quotas, {"metadata": {"name": "one"}, "spec": spec | ({"scopes": list(scopes)} if scopes else {})}
    )
    return api.eventually(
        lambda: (found := api.request("GET", f"{quotas}/one"))["status"].get("used") and found, COUNTED_SECONDS
    )


def used(api: Server, quotas: str) -> Manifest:
    status: Manifest = api.request("GET", f"{quotas}/one")["status"]
    return status["used"]  # type: ignore[no-any-return]


def asking(name: str, requests: Manifest | None = None, limits: Manifest | None = None) -> Manifest:
    resources = {side: given for side, given in (("requests", requests), ("limits", limits)) if given}
    made = pod(name)
    made["spec"]["containers"][0]["resources"] = resources
    return made


def limit_range(*limits: Manifest) -> Manifest:
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "limits"}, "spec": {"limits": list(limits)}}


def test_a_quota_says_what_is_allowed_and_used(api: Server, ns: str, pods: str, quotas: str) -> None:
    api.request("POST", pods, asking("one", {"cpu": "1500m", "memory": "1Gi"}))

    status = quota(api, quotas, pods="3", requests_cpu="4000m", memory="3072Mi")["status"]

    assert status == {
        "hard": {"pods": "3", "requests.cpu": "4", "memory": "3Gi"},
        "used": {"pods": "1", "requests.cpu": "1500m", "memory": "1Gi"},
    }


def test_what_is_created_is_counted_before_it_is_answered(api: Server, pods: str, quotas: str) -> None:
    quota(api, quotas, pods="3")
    api.request("POST", pods, pod("one"))
    assert used(api, quotas) == {"pods": "1"}


def test_a_dry_run_is_not_counted(api: Server, pods: str, quotas: str) -> None:
    quota(api, quotas, pods="1")
    answers = [api.call("POST", pods, pod("one"), dryRun="All").status for _ in range(2)]
    assert (answers, used(api, quotas)) == ([201, 201], {"pods": "0"})


def test_what_exceeds_a_quota_is_403_and_says_by_how_much(api: Server, pods: str, quotas: str) -> None:
    quota(api, quotas, pods="1")
    api.request("POST", pods, pod("one"))

    answer = api.call("POST", pods, pod("two"))

    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert answer.message == (
        'pods "two" is forbidden: exceeded quota: one, requested: pods=1, used: pods=1, limited: pods=1'
    )


def test_what_is_deleted_is_free_again(api: Server, pods: str, quotas: str) -> None:
    quota(api, quotas, pods="1")
    api.request("POST", pods, pod("one"))
    api.call("DELETE", f"{pods}/one", {"gracePeriodSeconds": 0})
    api.eventually(lambda: used(api, quotas) == {"pods": "0"})
    assert api.call("POST", pods, pod("two")).status == 201


def test_every_kind_can_be_counted(api: Server, ns: str, quotas: str, widgets: str) -> None:
    maps = f"/api/v1/namespaces/{ns}/configmaps"
    spec = {
        "hard": {"count/widgets.example.com": "0", "count/deployments.apps": "0", "count/secrets": "1", "secrets": "1"}
    }
    api.request("POST", quotas, {"metadata": {"name": "one"}, "spec": spec})
    api.eventually(lambda: api.request("GET", f"{quotas}/one")["status"].get("used"))

    deployments = f"/apis/apps/v1/namespaces/{ns}/deployments"
    assert api.call("POST", deployments, deployment("web")).message == (
        'deployments.apps "web" is forbidden: exceeded quota: one, '
        "requested: count/deployments.apps=1, used: count/deployments.apps=0, limited: count/deployments.apps=0"
    )
    assert api.call("POST", maps, config_map("free")).status == 201


def test_a_quota_of_cpu_wants_every_container_to_say_how_much(api: Server, pods: str, quotas: str) -> None:
    quota(api, quotas, requests_cpu="1", limits_memory="1Gi")
    answer = api.call("POST", pods, asking("one", {"cpu": "100m"}))
    assert answer.message == 'pods "one" is forbidden: failed quota: one: must specify limits.memory for: one'


def test_a_request_that_is_left_out_is_the_limit(api: Server, pods: str, quotas: str) -> None:
    quota(api, quotas, requests_cpu="1")
    api.request("POST", pods, asking("one", limits={"cpu": "250m"}))
    assert used(api, quotas) == {"requests.cpu": "250m"}


def test_a_quota_with_scopes_counts_those_in_them(api: Server, pods: str, quotas: str) -> None:
    quota(api, quotas, "NotTerminating", pods="5")
    short = pod("short")
    short["spec"]["activeDeadlineSeconds"] = 60
    api.request("POST", pods, short)
    api.request("POST", pods, pod("long"))
    assert used(api, quotas) == {"pods": "1"}


def test_the_scopes_of_a_quota_never_change(api: Server, quotas: str) -> None:
    quota(api, quotas, "NotTerminating", pods="5")
    patched = api.call("PATCH", f"{quotas}/one", {"spec": {"scopes": ["Terminating"]}}, content_type=MERGE)
    taken = api.call("PATCH", f"{quotas}/one", {"spec": {"scopes": None}}, content_type=MERGE)
    expected = (422, [("FieldValueInvalid", "spec.scopes")])
    assert [(answer.status, answer.causes) for answer in (patched, taken)] == [expected, expected]


def test_scopes_that_exclude_each_other_are_422(api: Server, quotas: str) -> None:
    spec = {"hard": {"pods": "1"}, "scopes": ["Terminating", "NotTerminating"]}
    answer = api.call("POST", quotas, {"metadata": {"name": "one"}, "spec": spec})
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "spec.scopes")])


def test_a_quota_may_be_set_below_what_is_used(api: Server, pods: str, quotas: str) -> None:
    quota(api, quotas, pods="5")
    for name in ("one", "two"):
        api.request("POST", pods, pod(name))

    api.request("PATCH", f"{quotas}/one", {"spec": {"hard": {"pods": "1"}}}, content_type=MERGE)

    status = {"hard": {"pods": "1"}, "used": {"pods": "2"}}
    api.eventually(lambda: api.request("GET", f"{quotas}/one")["status"] == status)
    assert api.call("POST", pods, pod("three")).status == 403


def test_a_replica_set_says_which_quota_refuses_its_pods(api: Server, ns: str, pods: str, quotas: str) -> None:
    quota(api, quotas, pods="1")
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    api.request("POST", path, deployment("web", replicas=2))

    def failure() -> Manifest | None:
        conditions = api.request("GET", f"{path}/web")["status"].get("conditions") or ()
        return next((each for each in conditions if each["type"] == "ReplicaFailure"), None)

    found = api.eventually(failure)
    assert (found["status"], found["reason"]) == ("True", "FailedCreate")
    assert "exceeded quota: one, requested: pods=1, used: pods=1, limited: pods=1" in found["message"]


def test_limits_of_containers_have_defaults(api: Server, limit_ranges: str) -> None:
    given = {"type": "Container", "max": {"cpu": "2000m"}, "min": {"cpu": "100m", "memory": "1024Ki"}}
    found = api.request("POST", limit_ranges, limit_range(given))
    [limit] = found["spec"]["limits"]
    assert limit == {
        "type": "Container",
        "max": {"cpu": "2"},
        "min": {"cpu": "100m", "memory": "1Mi"},
        "default": {"cpu": "2"},
        "defaultRequest": {"cpu": "2", "memory": "1Mi"},
    }


def test_limits_of_pods_have_no_defaults(api: Server, limit_ranges: str) -> None:
    found = api.request("POST", limit_ranges, limit_range({"type": "Pod", "max": {"cpu": "2"}}))
    refused = api.call("POST", limit_ranges, limit_range({"type": "Pod", "default": {"cpu": "2"}}))
    assert found["spec"]["limits"] == [{"type": "Pod", "max": {"cpu": "2"}}]
    assert refused.causes == [("FieldValueForbidden", "spec.limits[0].default")]


@pytest.mark.parametrize(
    ("limit", "blamed"),
    [
        ({"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"}, "default": {"cpu": "1"}}, "min[cpu]"),
        ({"type": "Container", "default": {"cpu": "2"}, "max": {"cpu": "1"}}, "default[cpu]"),
        ({"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "2"}}, "defaultRequest[cpu]"),
        ({"type": "PersistentVolumeClaim", "default": {"storage": "1Gi"}}, "limits"),
    ],
)
def test_limits_that_contradict_each_other_are_422(
    api: Server, limit_ranges: str, limit: Manifest, blamed: str
) -> None:
    answer = api.call("POST", limit_ranges, limit_range(limit))
    assert answer.status == 422
    assert f"spec.limits[0].{blamed}" in {field for _, field in answer.causes}


def test_a_pod_gets_what_a_limit_range_has_for_it(api: Server, pods: str, limit_ranges: str) -> None:
    limits = {"type": "Container", "default": {"cpu": "1", "memory": "1Gi"}, "defaultRequest": {"cpu": "100m"}}
    api.request("POST", limit_ranges, limit_range(limits))

    found = api.eventually(
        lambda: (
            (made := api.call("POST", pods, asking("one", {"cpu": "200m"}), dryRun="All").json)
            and made["metadata"].get("annotations")
            and made
        )
    )

    resources = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "200m", "memory": "1Gi"}}
    assert found["spec"]["containers"][0]["resources"] == resources
    words = "LimitRanger plugin set: memory request for container one; cpu, memory limit for container one"
    assert found["metadata"]["annotations"] == {"kubernetes.io/limit-ranger": words}


def test_a_pod_outside_the_limits_is_403(api: Server, pods: str, limit_ranges: str) -> None:
    api.request("POST", limit_ranges, limit_range({"type": "Container", "max": {"cpu": "1"}}))
    answer = api.eventually(
        lambda: (got := api.call("POST", pods, asking("one", limits={"cpu": "2"}), dryRun="All")).status == 403 and got
    )
    assert answer.message == 'pods "one" is forbidden: maximum cpu usage per Container is 1, but limit is 2'


def test_the_sum_of_a_pod_has_limits_too(api: Server, pods: str, limit_ranges: str) -> None:
    api.request("POST", limit_ranges, limit_range({"type": "Pod", "max": {"memory": "1Gi"}}))
    two = asking("one", limits={"memory": "1Gi"})
    two["spec"]["containers"].append({**two["spec"]["containers"][0], "name": "two"})
    answer = api.eventually(lambda: (got := api.call("POST", pods, two, dryRun="All")).status == 403 and got)
    assert answer.message == 'pods "one" is forbidden: maximum memory usage per Pod is 1Gi, but limit is 2Gi'


def test_a_network_policy_says_which_ways_it_is_for(api: Server, policies: str) -> None:
    into = {"metadata": {"name": "in"}, "spec": {"ingress": [{"ports": [{"port": 80}]}]}}
    both = {"metadata": {"name": "both"}, "spec": {"podSelector": {"matchLabels": {"a": "b"}}, "egress": [{}]}}
    found = [api.request("POST", policies, policy)["spec"] for policy in (into, both)]
    assert found == [
        {"podSelector": {}, "ingress": [{"ports": [{"port": 80, "protocol": "TCP"}]}], "policyTypes": ["Ingress"]},
        {"podSelector": {"matchLabels": {"a": "b"}}, "egress": [{}], "policyTypes": ["Ingress", "Egress"]},
    ]


@pytest.mark.parametrize("cidr", ["192.168.0.0/12", "10.0.0.1", "all", "10.0.0.0/40"])
def test_an_address_block_with_bits_of_a_host_or_none_at_all_is_422(api: Server, policies: str, cidr: str) -> None:
    spec = {"egress": [{"to": [{"ipBlock": {"cidr": cidr}}]}]}
    answer = api.call("POST", policies, {"metadata": {"name": "one"}, "spec": spec})
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "spec.egress[0].to[0].ipBlock.cidr")])


def test_a_quantity_that_is_none_is_400(api: Server, quotas: str) -> None:
    answer = api.call("POST", quotas, {"metadata": {"name": "one"}, "spec": {"hard": {"pods": "many"}}})
    assert (answer.status, "quantities must match the regular expression" in answer.message) == (400, True)


def test_a_second_apply_of_limits_and_policies_changes_nothing(
    api: Server, quotas: str, limit_ranges: str, policies: str
) -> None:
    about = {"metadata": {"name": "one"}}
    manifests = {
        quotas: {"kind": "ResourceQuota", "apiVersion": "v1", **about, "spec": {"hard": {"pods": "1"}}},
        limit_ranges: {**limit_range({"type": "Container", "max": {"cpu": "1"}}), **about},
        policies: {
            "kind": "NetworkPolicy", "apiVersion": "networking.k8s.io/v1", **about, "spec": {"ingress": [{}]}
        },
    }  # fmt: skip
    applied: dict[str, Any] = {"content_type": "application/apply-patch+yaml", "fieldManager": "me"}
    for path, manifest in manifests.items():
        api.call("PATCH", f"{path}/one", manifest, **applied)
    api.eventually(lambda: api.request("GET", f"{quotas}/one")["status"].get("used"))
    before = [api.request("GET", f"{path}/one") for path in manifests]

    after = [api.call("PATCH", f"{path}/one", manifest, **applied).json for path, manifest in manifests.items()]

    assert after == before
