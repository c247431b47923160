"""The controllers of the embedded cluster: what a test can set, and what holds on the way from state to state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopedcache.testing import EmbeddedCluster
from scopedcache.testing.embedded import Event
from scopedcache.testing.embedded.controllers.kubelet import Kubelet
from scopedcache.testing.embedded.controllers.namespace_lifecycle import NamespaceLifecycle
from tests.contract.objects import config_map, deployment, owned_by, pod

NAMES = (
    "serviceaccount-controller",
    "clusterrole-aggregation-controller",
    "deployment-controller",
    "replicaset-controller",
    "kubelet",
    "garbage-collector-controller",
    "namespace-controller",
)


@pytest.fixture
def cluster() -> Iterator[EmbeddedCluster]:
    with EmbeddedCluster.start() as running:
        yield running


def part(cluster: EmbeddedCluster, kind: type[Any]) -> Any:
    return next(controller for controller in cluster.controllers if isinstance(controller, kind))


def phase(cluster: EmbeddedCluster, name: str) -> str:
    found = cluster.get("pods", name, "default")
    return str(found["status"]["phase"]) if found else "gone"


def test_a_pod_becomes_ready_after_the_time_it_was_given(cluster: EmbeddedCluster) -> None:
    part(cluster, Kubelet).ready_after = 3.0
    cluster.create(pod("one"), "default")

    cluster.advance(2.9)
    before = phase(cluster, "one")
    cluster.advance(0.2)

    assert (before, phase(cluster, "one")) == ("Pending", "Running")


def test_each_pod_may_take_its_own_time(cluster: EmbeddedCluster) -> None:
    part(cluster, Kubelet).ready_after = lambda body: 10.0 if body["metadata"]["name"] == "slow" else 0.0
    cluster.create(pod("slow"), "default")
    cluster.create(pod("fast"), "default")
    assert (phase(cluster, "slow"), phase(cluster, "fast")) == ("Pending", "Running")


def test_a_failing_pod_says_why_and_its_deployment_is_not_available(cluster: EmbeddedCluster) -> None:
    part(cluster, Kubelet).failing = lambda _: "ImagePullBackOff"
    cluster.create(deployment("web", 2), "default")
    cluster.advance(60)

    pods = cluster.list("pods", "default")
    reasons = [one["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] for one in pods]
    found = cluster.get("deployments.apps", "web", "default")
    assert found is not None
    conditions = {entry["type"]: entry["status"] for entry in found["status"]["conditions"]}
    assert (reasons, conditions["Available"]) == (["ImagePullBackOff"] * 2, "False")
    assert found["status"]["unavailableReplicas"] == 2


def test_a_deleted_pod_takes_the_time_it_was_given(cluster: EmbeddedCluster) -> None:
    part(cluster, Kubelet).stops_after = 5.0
    cluster.create(pod("one"), "default")
    cluster.delete("pods", "one", "default")

    cluster.advance(4.9)
    before = phase(cluster, "one")
    cluster.advance(0.2)

    assert (before, phase(cluster, "one")) == ("Running", "gone")


def test_a_namespace_may_be_swept_at_once(cluster: EmbeddedCluster) -> None:
    part(cluster, NamespaceLifecycle).grace = 0.0
    cluster.create_namespace("short")
    cluster.create(config_map("one"), "short")
    cluster.delete_namespace("short")
    assert cluster.get("namespaces", "short") is None


def test_all_controllers_have_names_and_can_be_switched_off_one_by_one() -> None:
    with EmbeddedCluster.start() as cluster:
        assert {controller.name for controller in cluster.controllers} > set(NAMES)


@pytest.mark.parametrize(
    ("without", "works"),
    [
        ("serviceaccount-controller", lambda c: c.get("serviceaccounts", "default", "default") is not None),
        ("deployment-controller", lambda c: c.list("replicasets.apps", "default") != []),
        ("replicaset-controller", lambda c: c.list("pods", "default") != []),
        ("kubelet", lambda c: [p for p in c.list("pods", "default") if p["status"]["phase"] == "Running"] != []),
        ("garbage-collector-controller", lambda c: c.get("configmaps", "child", "default") is None),
        ("namespace-controller", lambda c: c.get("namespaces", "short") is None),
    ],
    ids=["accounts", "deployments", "replica-sets", "kubelet", "garbage", "namespaces"],
)
def test_what_is_switched_off_does_nothing(without: str, works: Callable[[EmbeddedCluster], bool]) -> None:
    done = []
    for names in (NAMES, [name for name in NAMES if name != without]):
        with EmbeddedCluster.start(controllers=names) as cluster:
            cluster.create(deployment("web", 1), "default")
            owner = cluster.create(config_map("owner"), "default")
            cluster.create(config_map("child", ownerReferences=owned_by(owner)), "default")
            cluster.delete("configmaps", "owner", "default")
            cluster.create_namespace("short")
            cluster.delete_namespace("short")
            cluster.advance(30)
            done.append(works(cluster))
    assert done == [True, False]


@settings(max_examples=25, deadline=None)
@given(
    before=st.integers(0, 6),
    after=st.integers(1, 6),
    surge=st.integers(0, 3),
    unavailable=st.integers(0, 3),
    slow=st.booleans(),
)
def test_a_roll_out_keeps_within_surge_and_availability(
    before: int, after: int, surge: int, unavailable: int, slow: bool
) -> None:
    with EmbeddedCluster.start() as cluster:
        part(cluster, Kubelet).ready_after = 1.0 if slow else 0.0
        first = deployment("web", before)
        first["spec"]["strategy"] = {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable if surge else max(1, unavailable)},
        }
        cluster.create(first, "default")
        cluster.advance(30)
        template = {"template": {"spec": {"containers": [{"name": "one", "image": "new"}]}}}
        second = {"spec": {**first["spec"], "replicas": before}}
        second["spec"]["template"] = {**first["spec"]["template"], **template["template"]}
        seen: list[tuple[int, int]] = []

        def note(event: Event) -> None:
            if event.kind.resource == "pods":
                pods = [one for one in cluster.storage.list(event.kind, "default") if not one.deleting]
                ready = [one for one in pods if (one.body.get("status") or {}).get("phase") == "Running"]
                seen.append((len(pods), len(ready)))

        cluster.storage.subscribe(note)
        cluster.patch("deployments.apps", "web", second, "default")
        cluster.advance(60)

        assert all(total <= before + max(surge, 0) for total, _ in seen)
        least = before - (unavailable if surge else max(1, unavailable))
        assert all(ready >= least for _, ready in seen)
        cluster.patch("deployments.apps", "web", {"spec": {"replicas": after}}, "default")
        cluster.advance(60)
        found = cluster.get("deployments.apps", "web", "default")
        assert found is not None
        assert found["status"].get("readyReplicas", 0) == after
        images = {one["spec"]["containers"][0]["image"] for one in cluster.list("pods", "default")}
        assert images == {"new"}


def test_a_deployment_that_recreates_has_no_old_pod_beside_a_new_one(cluster: EmbeddedCluster) -> None:
    body = deployment("web", 2)
    body["spec"]["strategy"] = {"type": "Recreate"}
    cluster.create(body, "default")
    mixed: list[set[str]] = []

    def note(event: Event) -> None:
        if event.kind.resource == "pods":
            found = cluster.storage.list(event.kind, "default")
            mixed.append({one.body["spec"]["containers"][0]["image"] for one in found})

    cluster.storage.subscribe(note)
    containers = {"containers": [{"name": "one", "image": "new"}]}
    template = {"metadata": body["spec"]["template"]["metadata"], "spec": containers}
    cluster.patch("deployments.apps", "web", {"spec": {"template": template}}, "default")
    cluster.advance(10)

    assert {one["spec"]["containers"][0]["image"] for one in cluster.list("pods", "default")} == {"new"}
    assert all(len(images) <= 1 for images in mixed)


def test_a_chain_of_owners_goes_from_the_top(cluster: EmbeddedCluster) -> None:
    above = cluster.create(config_map("level-0"), "default")
    for level in range(1, 6):
        references = owned_by(above)
        above = cluster.create(config_map(f"level-{level}", ownerReferences=references), "default")
    cluster.delete("configmaps", "level-0", "default")
    assert [one["metadata"]["name"] for one in cluster.list("configmaps", "default")] == []


def test_owners_in_a_circle_stay(cluster: EmbeddedCluster) -> None:
    first = cluster.create(config_map("first"), "default")
    second = cluster.create(config_map("second", ownerReferences=owned_by(first)), "default")
    cluster.patch("configmaps", "first", {"metadata": {"ownerReferences": owned_by(second)}}, "default")
    assert len(cluster.list("configmaps", "default")) == 2
