"""The control plane that every other test against a real API server stands on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import urllib3

from scopedcache.errors import ForbiddenError, ScopedCacheError, TransportError, UnauthorizedError
from scopedcache.testing import ControlPlane, Identity, WaitTimeoutError, wait_for

pytestmark = pytest.mark.real

READ = ("get", "list", "watch")
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.testing.example.com"},
    "spec": {
        "group": "testing.example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


POD = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "one", "image": "none"}]}}


def config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


def deployment(name: str, replicas: int) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "one", "image": "none"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def open_watch(cp: ControlPlane, who: Identity, path: str, seconds: int) -> urllib3.BaseHTTPResponse:
    pool = urllib3.PoolManager(ca_certs=str(cp.ca_file))
    return pool.request(
        "GET",
        f"{cp.url}{path}?watch=1&timeoutSeconds={seconds}",
        headers={"Authorization": f"Bearer {who.token}", "User-Agent": "the-watcher"},
        preload_content=False,
    )


def events(answer: urllib3.BaseHTTPResponse) -> Iterator[dict[str, Any]]:
    rest = b""
    for chunk in answer.stream(amt=None):
        *complete, rest = (rest + chunk).split(b"\n")
        yield from (json.loads(line) for line in complete)


def test_the_server_is_ready_and_tells_its_version(control_plane: ControlPlane) -> None:
    assert control_plane.request("GET", "/readyz") == {"text": "ok"}
    assert control_plane.request("GET", "/version")["gitVersion"].startswith("v1.")


def test_a_granted_right_flips_the_review_and_a_revoked_one_flips_it_back(
    control_plane: ControlPlane, namespace: str
) -> None:
    alice = control_plane.user("alice")
    path = f"/api/v1/namespaces/{namespace}/pods"
    with pytest.raises(ForbiddenError):
        control_plane.request("GET", path, user=alice)

    grant = control_plane.grant(alice, READ, ["pods", "deployments.apps"], namespace=namespace)
    control_plane.wait_allowed(alice, "list", "deployments.apps", namespace)
    assert control_plane.request("GET", path, user=alice)["items"] == []

    grant.revoke()
    control_plane.wait_allowed(alice, "list", "pods", namespace, expected=False)
    with pytest.raises(ForbiddenError, match="alice"):
        control_plane.request("GET", path, user=alice)

    grant.restore()
    control_plane.wait_allowed(alice, "list", "pods", namespace)
    grant.change(verbs=["get"], resources=["pods"])
    control_plane.wait_allowed(alice, "list", "pods", namespace, expected=False)
    assert control_plane.allowed(alice, "get", "pods", namespace)


def test_a_right_at_the_cluster_scope_holds_in_every_namespace(control_plane: ControlPlane, namespace: str) -> None:
    bob = control_plane.user("bob")
    grant = control_plane.grant(bob, ["list"], ["secrets"])
    try:
        control_plane.wait_allowed(bob, "list", "secrets")
        assert control_plane.allowed(bob, "list", "secrets", namespace)
    finally:
        grant.revoke()


def test_waiting_for_a_right_that_does_not_come_ends_with_words(control_plane: ControlPlane, namespace: str) -> None:
    bob = control_plane.user("bob")
    with pytest.raises(WaitTimeoutError, match=f"may bob list pods in namespace {namespace}: still False"):
        control_plane.wait_allowed(bob, "list", "pods", namespace, timeout=0.1)


def test_a_watch_goes_on_after_its_right_was_revoked(control_plane: ControlPlane, namespace: str) -> None:
    who = control_plane.service_account(namespace, "watcher")
    grant = control_plane.grant(who, READ, ["configmaps"], namespace=namespace)
    control_plane.wait_allowed(who, "watch", "configmaps", namespace)
    stream = open_watch(control_plane, who, f"/api/v1/namespaces/{namespace}/configmaps", seconds=3)
    grant.revoke()
    control_plane.wait_allowed(who, "watch", "configmaps", namespace, expected=False)

    control_plane.create(config_map("written-after-the-revocation"), namespace)

    names = [event["object"]["metadata"]["name"] for event in events(stream)]
    assert "written-after-the-revocation" in names


def test_a_deployment_of_three_becomes_available(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.apply(deployment("three", 3), namespace)

    def status() -> dict[str, Any]:
        found = control_plane.get("deployments.apps", "three", namespace)
        return dict(found["status"]) if found else {}

    wait_for(lambda: status().get("availableReplicas") == 3, timeout=20)
    control_plane.patch("deployments.apps", "three", {"spec": {"replicas": 1}}, namespace)
    wait_for(lambda: len(control_plane.list("pods", namespace, selector="app=three")) == 1, timeout=20)


def test_the_audit_log_counts_exactly_and_names_the_open_watches(control_plane: ControlPlane, namespace: str) -> None:
    who = control_plane.service_account(namespace, "counted")
    control_plane.grant(who, READ, ["deployments.apps"], namespace=namespace)
    control_plane.wait_allowed(who, "list", "deployments.apps", namespace)
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    mark = control_plane.audit.mark()

    for _ in range(7):
        control_plane.request("GET", path, user=who)
    with pytest.raises(ForbiddenError):
        control_plane.request("GET", f"/api/v1/namespaces/{namespace}/pods", user=who)
    stream = open_watch(control_plane, who, path, seconds=1)

    audit = control_plane.audit
    assert audit.count(mark, user=who.username, verb="list", resource="deployments.apps", namespace=namespace) == 7
    assert [r.resource for r in audit.requests(mark, user=who.username, code=403)] == ["pods"]
    watches = audit.open_watches(user=who.username)
    assert [(w.resource, w.namespace, w.user_agent) for w in watches] == [
        ("deployments.apps", namespace, "the-watcher")
    ]
    list(events(stream))
    assert audit.open_watches(user=who.username) == []
    assert audit.count(mark, user=who.username) == 9


def test_a_service_account_works_and_gets_a_new_token(control_plane: ControlPlane, namespace: str) -> None:
    who = control_plane.service_account(namespace, "worker", expiration_seconds=600)
    control_plane.grant(who, ["list"], ["pods"], namespace=namespace)
    control_plane.wait_allowed(who, "list", "pods", namespace)
    first = who.token

    second = who.refresh()

    assert second != first
    assert who.token_file.read_text() == second
    assert second in who.kubeconfig.read_text()
    assert control_plane.request("GET", f"/api/v1/namespaces/{namespace}/pods", user=who)["items"] == []
    with pytest.raises(ScopedCacheError, match="fixed"):
        control_plane.user("alice").refresh()


def test_a_wrong_token_is_unauthorized(control_plane: ControlPlane, namespace: str) -> None:
    who = control_plane.service_account(namespace, "stranger")
    who.token = "no-such-token"
    with pytest.raises(UnauthorizedError):
        control_plane.request("GET", "/api/v1/namespaces", user=who)


def test_a_kind_can_be_used_as_soon_as_its_definition_was_applied(control_plane: ControlPlane, namespace: str) -> None:
    widget = {"apiVersion": "testing.example.com/v1", "kind": "Widget", "metadata": {"name": "one"}, "size": 3}

    control_plane.apply([CRD, widget], namespace)

    found = control_plane.get("widgets.testing.example.com", "one", namespace)
    assert found is not None
    assert found["size"] == 3
    assert control_plane.get("widgets.testing.example.com", "two", namespace) is None


def test_a_paused_server_answers_nobody_until_it_goes_on() -> None:
    with ControlPlane.start(kubelet=False, controllers=()) as cp:
        cp.apiserver.pause()
        with pytest.raises(TransportError):
            cp.request("GET", "/readyz", timeout=0.3)
        cp.apiserver.resume()
        assert cp.request("GET", "/readyz") == {"text": "ok"}


def test_a_killed_server_keeps_its_data_leaves_no_open_watch_and_is_found_again_by_the_kubelet() -> None:
    with ControlPlane.start(kubelet=True, controllers=()) as cp:
        cp.service_account("kept", "default")  # no controller makes it here, and a pod must have it
        stream = open_watch(cp, cp.admin, "/api/v1/namespaces", seconds=60)
        wait_for(lambda: cp.audit.open_watches(user="admin"), what="the watch in the audit log")

        cp.apiserver.kill()
        assert cp.audit.open_watches(user="admin") == []
        cp.apiserver.start()

        assert cp.get("namespaces", "kept") is not None
        assert cp.audit.open_watches(user="admin") == []
        stream.close()
        cp.create({**POD, "metadata": {"name": "late"}}, "kept")
        wait_for(lambda: (cp.get("pods", "late", "kept") or {})["status"]["phase"] == "Running")


def test_both_servers_of_a_pair_serve_the_same_data_with_the_same_credentials() -> None:
    with ControlPlane.start(ha=True, kubelet=False, controllers=(), users=["carol"]) as cp:
        carol = cp.user("carol")
        cp.create_namespace("shared")
        cp.grant(carol, ["list"], ["pods"], namespace="shared")
        wait_for(lambda: cp.allowed(carol, "list", "pods", "shared"))
        cp.apiservers[0].kill()

        def pods() -> bool:
            try:
                return "items" in cp.request("GET", "/api/v1/namespaces/shared/pods", user=carol, server=1)
            except ForbiddenError:  # the second server hears of the binding a moment later
                return False

        assert wait_for(pods)
        assert cp.urls[1] in cp.kubeconfig_for(carol, 1).read_text()


def test_nothing_runs_on_when_the_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from scopedcache.testing import ControlPlane\n"
        "cp = ControlPlane.start(kubelet=False, controllers=(), folder=sys.argv[1])\n"
        "print(*(p.pid for p in cp.processes), flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()

    assert len(pids) == 2
    wait_for(lambda: all(map(is_over, pids)), timeout=5)


def is_over(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


async def test_a_client_is_who_was_named(control_plane: ControlPlane, namespace: str) -> None:
    account = control_plane.service_account(namespace, "named")
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}

    async with control_plane.client() as admin, control_plane.client(account) as client:
        users = [(await one.create(review)).at("status", "userInfo", "username") for one in (admin, client)]

    assert users == ["admin", account.username]
    assert client.namespace == namespace
