"""What Tenants decide: which Namespaces are served, what is left of a quota, whose a new one is, who sees which."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import pytest
from multidict import MultiDict

import scopedcache as sc
from examples.tenants.reconciler import LABEL, RESOURCE_QUOTA, TENANT, children, divided, known, share
from examples.tenants.web import NOTHING, TenantUsers, chosen, filtered
from scopedcache.kit import Setup
from scopedcache.testing import EmbeddedCluster
from scopedcache.testing.resources import load_manifests
from scopedcache.web import AdmissionRequest
from tests.acceptance.examples.tenants import FOLDER, oil
from tests.acceptance.examples.tenants_web import GROUP


def tenant(name: str = "oil", quota: int = 3, served: tuple[str, ...] = (), **spec: Any) -> sc.Object:
    metadata = {"name": name, "uid": f"uid-{name}"}
    whole = {"owner": {"kind": "User", "name": "alice"}, "namespaceQuota": quota, **spec}
    head = {"apiVersion": TENANT.api_version, "kind": "Tenant", "metadata": metadata}
    return sc.Object.from_dict({**head, "spec": whole, "status": {"namespaces": list(served)}})


def namespace(name: str, created: str = "2026-01-01T00:00:00Z", **labels: str) -> sc.Object:
    metadata = {"name": name, "creationTimestamp": created, "labels": labels}
    return sc.Object.from_dict({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})


def test_who_came_first_is_served() -> None:
    mine = [namespace("a", "2026-01-03T00:00:00Z"), namespace("b"), namespace("c", "2026-01-02T00:00:00Z")]
    assert divided(tenant(quota=2), mine) == (["b", "c"], ["a"])


def test_who_is_served_is_not_pushed_out_by_an_earlier_name_of_the_same_second() -> None:
    mine = [namespace("a"), namespace("b")]
    assert divided(tenant(quota=1, served=("b",)), mine) == (["b"], ["a"])


def test_a_quota_that_shrinks_takes_nothing_away_and_lets_nobody_in() -> None:
    mine = [namespace(name) for name in ("a", "b", "c")]
    assert divided(tenant(quota=1, served=("b", "c")), mine) == (["b", "c"], ["a"])


def quota(hard: dict[str, str], namespace: str = "x") -> sc.Object:
    return sc.kit.new_object(RESOURCE_QUOTA, "q", namespace, spec={"hard": hard})


@pytest.mark.parametrize(
    ("uses", "expected"),
    [
        ({}, "10"),
        ({"x": {"pods": "4"}, "y": {"pods": "5"}}, "10"),
        ({"x": {"pods": "5"}, "y": {"pods": "5"}}, "5"),
        ({"x": {"pods": "5"}, "y": {"pods": "7"}}, "5"),
        ({"y": {"pods": "10"}}, "0"),
    ],
)
def test_once_all_is_used_each_keeps_what_it_uses(uses: dict[str, dict[str, str]], expected: str) -> None:
    shared = quota({"pods": "10"})
    share(shared, uses)
    assert shared["spec"]["hard"] == {"pods": expected}


def test_what_is_used_everywhere_is_told_in_the_units_of_the_api() -> None:
    shared = quota({"limits.memory": "16Gi", "count/deployments.apps": "5", "requests.cpu": "8"})
    share(shared, {"x": {"limits.memory": "512Mi", "requests.cpu": "500m"}, "y": {"limits.memory": "1536Mi"}})
    prefix = "quota.capsule.clastix.io/used-"
    expected = {
        f"{prefix}limits.memory": "2Gi",
        f"{prefix}count_deployments.apps": "0",
        f"{prefix}requests.cpu": "500m",
    }
    assert shared["metadata"]["annotations"] == expected


def test_a_limit_of_nothing_stays_nothing() -> None:
    shared = quota({"pods": "0"})
    share(shared, {"x": {"pods": "0"}})
    assert shared["spec"]["hard"] == {"pods": "0"}


def test_what_is_no_quantity_is_left_to_the_server_and_harms_no_other_child() -> None:
    owner = tenant(resourceQuotas=[{"hard": {"pods": "many"}}, {"hard": {"pods": "1"}}])
    made = children(owner, "x", ["x"], [{}, {}])
    assert [one["spec"]["hard"]["pods"] for one in made[RESOURCE_QUOTA]] == ["many", "1"]


def test_a_namespace_that_is_not_served_has_no_children() -> None:
    assert not any(children(tenant(**oil()["spec"]), "y", ["x"], []).values())


def test_a_tenant_that_was_never_written_about_has_no_namespaces() -> None:
    assert known(sc.Object.from_dict({"metadata": {"name": "new"}})) == []


@pytest.mark.parametrize(
    ("name", "label", "tenants", "expected"),
    [
        ("any", None, ["oil"], "oil"),
        ("any", None, [], None),
        ("any", None, ["gas", "oil"], None),
        ("oil-dev", None, ["gas", "oil"], "oil"),
        ("oil-sea-dev", None, ["oil", "oil-sea"], "oil-sea"),
        ("oil-dev", "gas", ["gas", "oil"], "gas"),
        ("oil-dev", "water", ["gas", "oil"], None),
        ("oil-dev", "water", ["oil"], None),
    ],
)
def test_whose_a_new_namespace_is(name: str, label: str | None, tenants: list[str], expected: str | None) -> None:
    new = namespace(name, **({LABEL: label} if label else {}))
    found = chosen(new, [tenant(one) for one in tenants])
    assert (found and found.name) == expected


@pytest.mark.parametrize(
    ("query", "tenants", "selector"),
    [
        ([], ["gas", "oil"], f"{LABEL} in (gas,oil)"),
        ([], [], NOTHING),
        ([("labelSelector", "a=b")], ["oil"], f"{LABEL} in (oil),a=b"),
        ([("labelSelector", "a=b"), ("labelSelector", f"{LABEL}=gas")], ["oil"], f"{LABEL} in (oil),a=b,{LABEL}=gas"),
        ([("labelSelector", "")], ["oil"], f"{LABEL} in (oil)"),
        ([("labelSelector", f"{LABEL}=gas")], [], f"{NOTHING},{LABEL}=gas"),
    ],
)
def test_what_a_caller_selects_can_only_make_it_fewer(
    query: list[tuple[str, str]], tenants: list[str], selector: str
) -> None:
    sent = filtered(MultiDict([*query, ("watch", "true"), ("limit", "5")]), tenants)
    assert sent == [("watch", "true"), ("limit", "5"), ("labelSelector", selector)]


@pytest.mark.parametrize("word", [") or (a", "x),a", f"{LABEL} in (gas", "a,,b", "!", f"{LABEL} notin (oil)"])
def test_no_selector_of_a_caller_shows_what_is_not_its_own(word: str) -> None:
    with EmbeddedCluster.start() as cluster:
        for name, whose in (("mine", "oil"), ("theirs", "gas"), ("nobodys", "")):
            cluster.create_namespace(name, {LABEL: whose} if whose else None)
        (_, selector) = filtered(MultiDict([("labelSelector", word)]), ["oil"])[-1]
        try:
            found = cluster.list("namespaces", selector=selector)
        except sc.APIError:
            found = []
        assert {one["metadata"]["name"] for one in found} <= {"mine"}


class Users:
    """The users of an embedded cluster's Tenants, with the cache that they are decided from."""

    def __init__(self, cache: sc.ScopedCache) -> None:
        cache.add_index(TENANT, "owner", lambda one: ["{kind} {name}".format(**one["spec"]["owner"])])
        self.decide = TenantUsers(Setup(cache, Namespace(user_group=GROUP), "tenants-system")).decide

    def create(self, name: str, *groups: str, user: str = "alice", **labels: str) -> tuple[bool, str, Any]:
        gvk, gvr = sc.GVK("", "v1", "Namespace"), sc.GVR("", "v1", "namespaces")
        asked = AdmissionRequest("u", "CREATE", gvk, gvr, name, username=user, groups=frozenset(groups),
                                 obj=namespace(name, **labels))  # fmt: skip
        verdict = self.decide(asked)
        return verdict.allowed, verdict.message, verdict.patch


async def test_the_webhook_decides_from_memory() -> None:
    with EmbeddedCluster.start() as cluster:
        cluster.apply([*load_manifests(FOLDER / "crd.yaml"), oil()])
        async with cluster.client() as client, sc.ScopedCache(client) as cache:
            users = Users(cache)
            async with cache.informer(TENANT) as tenants, cache.informer("namespaces") as namespaces:
                await tenants.wait_synced()
                await namespaces.wait_synced()
                given = users.create("dev", GROUP)
                others = users.create("dev"), users.create("dev", GROUP, user="carol")
                for number in range(3):
                    await client.create(namespace(f"oil-{number}", **{LABEL: "oil"}))
                full = users.create("dev", GROUP)
    paths = {operation["path"] for operation in given[2]}
    label = f"/metadata/labels/{LABEL.replace('/', '~1')}"
    assert (given[0], paths) == (True, {label, "/metadata/ownerReferences", "/metadata/annotations"})
    assert (others[0], others[1][0], full[0]) == ((True, "", ()), False, False)
    assert full[1] == "Tenant oil has 3 Namespaces, as many as its quota allows"
