"""Controllers: what becomes of objects without anybody asking."""

from __future__ import annotations

from typing import Any

import pytest

from scopedcache.testing import Identity
from tests.contract.objects import config_map, deployment, owned_by, pod, widget
from tests.contract.server import ALL, Server

MERGE = "application/merge-patch+json"


@pytest.fixture
def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


@pytest.fixture
def deployments(api: Server, ns: str) -> str:
    api.eventually(lambda: api.get("serviceaccounts", "default", ns))
    return f"/apis/apps/v1/namespaces/{ns}/deployments"


def gone(api: Server, path: str) -> bool:
    return api.call("GET", path).status == 404


def family(api: Server, maps: str, **reference: Any) -> None:
    owner = api.request("POST", maps, config_map("owner"))
    api.request("POST", maps, config_map("child", ownerReferences=owned_by(owner, **reference)))


def test_what_a_deleted_object_owned_is_collected(api: Server, maps: str) -> None:
    family(api, maps)
    api.request("DELETE", maps + "/owner")
    api.eventually(lambda: gone(api, maps + "/child"))


def test_an_orphaning_deletion_leaves_the_children_without_their_owner(api: Server, maps: str) -> None:
    family(api, maps)
    api.call("DELETE", maps + "/owner", {"propagationPolicy": "Orphan"})

    api.eventually(lambda: gone(api, maps + "/owner"))

    assert "ownerReferences" not in api.request("GET", maps + "/child")["metadata"]


def test_a_foreground_deletion_waits_for_the_children_that_block_it(api: Server, maps: str) -> None:
    owner = api.request("POST", maps, config_map("owner"))
    references = owned_by(owner, blockOwnerDeletion=True)
    held = config_map("child", ownerReferences=references, finalizers=["example.com/hold"])
    api.request("POST", maps, held)

    answer = api.call("DELETE", maps + "/owner", {"propagationPolicy": "Foreground"})

    assert answer.json["metadata"]["finalizers"] == ["foregroundDeletion"]
    api.eventually(lambda: "deletionTimestamp" in api.request("GET", maps + "/child")["metadata"])
    assert not gone(api, maps + "/owner")
    api.request("PATCH", maps + "/child", {"metadata": {"finalizers": None}}, content_type=MERGE)
    api.eventually(lambda: gone(api, maps + "/child") and gone(api, maps + "/owner"))


def test_a_child_of_nobody_is_collected(api: Server, maps: str) -> None:
    references = owned_by({**config_map("x"), "metadata": {"name": "never", "uid": "never-was"}})
    api.request("POST", maps, config_map("child", ownerReferences=references))
    api.eventually(lambda: gone(api, maps + "/child"))


def test_a_child_of_an_owner_in_another_namespace_is_collected_with_a_warning(api: Server, ns: str, maps: str) -> None:
    owner = api.create(config_map(api.new_name("owner")), "default")
    api.request("POST", maps, config_map("child", ownerReferences=owned_by(owner)))

    api.eventually(lambda: gone(api, maps + "/child"))

    events = f"/api/v1/namespaces/{ns}/events"
    [event] = api.eventually(
        lambda: api.call("GET", events, fieldSelector="reason=OwnerRefInvalidNamespace").json["items"]
    )
    assert (event["type"], event["involvedObject"]["name"]) == ("Warning", "child")
    assert event["message"].startswith(f"ownerRef [v1/ConfigMap, namespace: {ns}, name: {owner['metadata']['name']}")
    api.delete("configmaps", owner["metadata"]["name"], "default")


def test_a_child_with_a_second_owner_stays_without_the_first(api: Server, maps: str) -> None:
    owners = [api.request("POST", maps, config_map(name)) for name in ("first", "second")]
    references = owned_by(owners[0]) + owned_by(owners[1])
    api.request("POST", maps, config_map("child", ownerReferences=references))

    api.request("DELETE", maps + "/first")

    left = api.eventually(
        lambda: len(r := api.request("GET", maps + "/child")["metadata"]["ownerReferences"]) == 1 and r
    )
    assert left[0]["name"] == "second"


def test_a_cluster_scoped_owner_is_found(api: Server, ns: str, maps: str) -> None:
    namespace = api.request("GET", f"/api/v1/namespaces/{ns}")
    api.request("POST", maps, config_map("child", ownerReferences=owned_by(namespace)))
    api.pass_time(1.0)
    assert not gone(api, maps + "/child")


def test_a_deployment_becomes_available_through_a_replica_set_and_its_pods(
    api: Server, ns: str, deployments: str
) -> None:
    api.request("POST", deployments, deployment("web", replicas=3))
    found = api.eventually(
        lambda: (d := api.request("GET", deployments + "/web"))["status"].get("readyReplicas") == 3 and d
    )

    status = found["status"]
    counts = {field: value for field, value in status.items() if field != "conditions"}
    assert counts == {
        "observedGeneration": 1,
        "replicas": 3,
        "updatedReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "terminatingReplicas": 0,
    }
    status = api.eventually(
        lambda: (
            (s := api.request("GET", deployments + "/web")["status"])["conditions"][-1]["reason"]
            == "NewReplicaSetAvailable"
            and s
        )
    )
    conditions = {entry["type"]: (entry["status"], entry["reason"]) for entry in status["conditions"]}
    assert conditions == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    [replica_set] = api.list("replicasets.apps", ns)
    assert replica_set["metadata"]["ownerReferences"] == owned_by(found, controller=True, blockOwnerDeletion=True)
    assert replica_set["metadata"]["name"].startswith("web-")
    pods = api.list("pods", ns, selector="app=web")
    assert len(pods) == 3
    for one in pods:
        [reference] = one["metadata"]["ownerReferences"]
        assert reference["uid"] == replica_set["metadata"]["uid"]
        assert one["metadata"]["generateName"] == replica_set["metadata"]["name"] + "-"
        assert set(one["metadata"]["labels"]) == {"app", "pod-template-hash"}


def test_a_deployment_is_scaled_up_and_down(api: Server, ns: str, deployments: str) -> None:
    def counts() -> tuple[int, int]:
        status = api.request("GET", deployments + "/web")["status"]
        return len(api.list("pods", ns, selector="app=web")), status.get("readyReplicas", 0)

    api.request("POST", deployments, deployment("web", replicas=1))
    for replicas in (3, 1, 0):
        api.request("PATCH", deployments + "/web", {"spec": {"replicas": replicas}}, content_type=MERGE)
        api.eventually(lambda: counts() == (replicas, replicas))  # noqa: B023 - asked within this turn


def test_a_new_template_is_rolled_out_to_a_new_replica_set(api: Server, ns: str, deployments: str) -> None:
    api.request("POST", deployments, deployment("web", replicas=2))
    api.eventually(lambda: api.request("GET", deployments + "/web")["status"].get("readyReplicas") == 2)
    api.request("PUT", deployments + "/web", deployment("web", replicas=2, image="new"))

    def images() -> list[str]:
        return [one["spec"]["containers"][0]["image"] for one in api.list("pods", ns, selector="app=web")]

    api.eventually(lambda: images() == ["new", "new"])
    api.eventually(lambda: sorted(one["spec"]["replicas"] for one in api.list("replicasets.apps", ns)) == [0, 2])
    annotations = api.request("GET", deployments + "/web")["metadata"]["annotations"]
    assert annotations["deployment.kubernetes.io/revision"] == "2"


def test_a_deleted_pod_is_replaced(api: Server, ns: str, deployments: str) -> None:
    api.request("POST", deployments, deployment("web", replicas=1))
    [first] = api.eventually(lambda: api.list("pods", ns, selector="app=web"))
    api.delete("pods", first["metadata"]["name"], ns)

    def others() -> list[str]:
        found = [one["metadata"]["uid"] for one in api.list("pods", ns, selector="app=web")]
        return [uid for uid in found if uid != first["metadata"]["uid"]]

    assert len(api.eventually(others)) == 1


def test_a_deleted_deployment_takes_its_replica_sets_and_pods_along(api: Server, ns: str, deployments: str) -> None:
    api.request("POST", deployments, deployment("web", replicas=2))
    api.eventually(lambda: len(api.list("pods", ns, selector="app=web")) == 2)
    api.request("DELETE", deployments + "/web")
    api.eventually(lambda: not api.list("replicasets.apps", ns) and not api.list("pods", ns))


def test_the_defaults_of_a_deployment_are_filled_in(api: Server, deployments: str) -> None:
    body = deployment("web")
    del body["spec"]["replicas"]
    spec = api.request("POST", deployments, body)["spec"]

    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    assert spec["template"]["spec"]["restartPolicy"] == "Always"


def test_the_selector_of_a_deployment_fits_its_template_and_never_changes(api: Server, deployments: str) -> None:
    wrong = deployment("web")
    wrong["spec"]["selector"]["matchLabels"] = {"app": "other"}
    answer = api.call("POST", deployments, wrong)
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "spec.template.metadata.labels")])

    api.request("POST", deployments, deployment("web", replicas=0))
    changed = deployment("web", replicas=0)
    changed["spec"]["selector"]["matchLabels"] = changed["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    answer = api.call("PUT", deployments + "/web", changed)
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "spec.selector")])
    assert "field is immutable" in answer.message


def test_a_pod_gets_a_node_an_address_and_becomes_ready(api: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    api.eventually(lambda: api.get("serviceaccounts", "default", ns))
    assert api.request("POST", path, pod("one"))["status"]["phase"] == "Pending"

    found = api.eventually(lambda: (p := api.request("GET", path + "/one"))["status"]["phase"] == "Running" and p)

    assert found["spec"]["nodeName"]
    assert found["status"]["podIP"]
    assert {c["type"]: c["status"] for c in found["status"]["conditions"]}["Ready"] == "True"
    assert [c["ready"] for c in found["status"]["containerStatuses"]] == [True]
    assert found["metadata"].get("generation", 1) == 1


def test_every_namespace_has_a_default_service_account(api: Server, ns: str) -> None:
    api.eventually(lambda: api.get("serviceaccounts", "default", ns))
    api.delete("serviceaccounts", "default", ns)
    api.eventually(lambda: api.get("serviceaccounts", "default", ns))


def test_a_new_namespace_is_active_and_labelled_with_its_name(api: Server, ns: str) -> None:
    found = api.request("GET", f"/api/v1/namespaces/{ns}")
    assert found["metadata"]["labels"] == {"kubernetes.io/metadata.name": ns}
    assert (found["spec"], found["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})


def test_a_deleted_namespace_is_terminating_takes_nothing_new_and_goes(api: Server, maps: str, ns: str) -> None:
    api.request("POST", maps, config_map("one"))

    answer = api.call("DELETE", f"/api/v1/namespaces/{ns}")

    assert answer.json["status"]["phase"] == "Terminating"
    refused = api.call("POST", maps, config_map("late"))
    assert (refused.status, refused.reason) == (403, "Forbidden")
    assert refused.message == (
        f'configmaps "late" is forbidden: unable to create new content in namespace {ns} because it is being terminated'
    )
    [cause] = refused.details["causes"]
    assert cause == {
        "reason": "NamespaceTerminating",
        "message": f"namespace {ns} is being terminated",
        "field": "metadata.namespace",
    }
    changed = api.call("PATCH", maps + "/one", {"data": {"a": "b"}}, content_type=MERGE)
    assert changed.status == 200
    api.eventually(lambda: gone(api, f"/api/v1/namespaces/{ns}"), timeout=30)
    assert api.request("GET", maps)["items"] == []


def test_finalizers_hold_a_namespace_and_its_conditions_say_so(api: Server, ns: str, widgets: str) -> None:
    held = widget("one")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    api.request("POST", widgets, held)
    path = f"/api/v1/namespaces/{ns}"
    api.request("DELETE", path)

    def conditions() -> dict[str, tuple[str, str, str]]:
        found = api.request("GET", path)["status"].get("conditions") or []
        return {entry["type"]: (entry["status"], entry["reason"], entry["message"]) for entry in found}

    told = api.eventually(lambda: (c := conditions()).get("NamespaceFinalizersRemaining", ("",))[0] == "True" and c)

    assert told["NamespaceFinalizersRemaining"][1:] == (
        "SomeFinalizersRemain",
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
    )
    assert told["NamespaceContentRemaining"][1:] == (
        "SomeResourcesRemain",
        "Some resources are remaining: widgets.example.com has 1 resource instances",
    )
    api.request("PATCH", widgets + "/one", {"metadata": {"finalizers": None}}, content_type=MERGE)
    api.eventually(lambda: gone(api, path), timeout=40)


def test_who_is_bound_in_a_namespace_loses_its_rights_before_the_finalizers_in_it_are_gone(
    api: Server, ns: str, widgets: str, person: Identity
) -> None:
    held = widget("one")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    version = api.request("POST", widgets, held)["metadata"]["resourceVersion"]
    api.may(person, ALL, "widgets.example.com", namespace=ns)

    with api.watch(widgets, who=person, resourceVersion=version) as watch:
        api.request("DELETE", f"/api/v1/namespaces/{ns}")
        event = watch.next()

    assert event is not None
    assert (event["type"], "deletionTimestamp" in event["object"]["metadata"]) == ("MODIFIED", True)
    patch = {"metadata": {"finalizers": None}}
    api.eventually(lambda: api.call("GET", widgets, who=person).status == 403)
    refused = api.call("PATCH", widgets + "/one", patch, who=person, content_type=MERGE)
    assert refused.status == 403
    assert "NamespaceTerminating" not in refused.text
    api.request("PATCH", widgets + "/one", patch, content_type=MERGE)
