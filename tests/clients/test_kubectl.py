"""kubectl does its ordinary jobs, on the embedded cluster as on a real one, by the same assertions."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from scopedcache.testing import ControlPlane, EmbeddedCluster
from scopedcache.testing.control_plane.binaries import find_kubectl
from tests.contract.objects import WIDGETS, deployment, widget

pytestmark = pytest.mark.real  # kubectl is one of the binaries
Cluster = EmbeddedCluster | ControlPlane
Kubectl = Callable[..., str]
_numbers = itertools.count(1)


@pytest.fixture(params=["embedded", "real"])
def either(request: pytest.FixtureRequest) -> Cluster:
    """Return the embedded cluster, then the real one."""
    found: Cluster = request.getfixturevalue({"embedded": "cluster", "real": "control_plane"}[request.param])
    return found


@pytest.fixture
def namespace(either: Cluster) -> str:
    """Return a new namespace, for the real cluster is shared."""
    name = f"kubectl-{next(_numbers)}"
    either.create_namespace(name)
    return name


@pytest.fixture
def kubectl(either: Cluster, namespace: str, tmp_path: Path) -> Kubectl:
    """Return a function that runs kubectl in the namespace and returns what it printed; it fails when kubectl does."""
    config = yaml.safe_load(either.admin.kubeconfig.read_text())
    for context in config["contexts"]:
        context["context"]["namespace"] = namespace
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    environ = {**os.environ, "HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "kubeconfig")}
    program = find_kubectl()

    def run(*words: str, stdin: object = None, status: int = 0) -> str:
        text = None if stdin is None else yaml.safe_dump(stdin)
        done = subprocess.run([program, *words], env=environ, input=text, capture_output=True, text=True, timeout=60)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def test_apply_server_side_and_again(kubectl: Kubectl) -> None:
    for _ in range(2):
        told = kubectl("apply", "--server-side", "-f", "-", stdin=deployment("web", 2))
        assert told == "deployment.apps/web serverside-applied\n"


def test_apply_on_the_client_side_and_again(kubectl: Kubectl) -> None:
    told = [kubectl("apply", "-f", "-", stdin=deployment("web", replicas)) for replicas in (1, 1, 2)]
    assert [line.split()[-1] for line in told] == ["created", "unchanged", "configured"]


def test_a_list_of_objects_is_applied_as_one_file(kubectl: Kubectl) -> None:
    several = {"apiVersion": "v1", "kind": "List", "items": [deployment("web", 1), deployment("api", 1)]}

    told = kubectl("apply", "-f", "-", stdin=several)

    assert told == "deployment.apps/web created\ndeployment.apps/api created\n"


def test_a_deployment_from_its_creation_to_its_end(kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "web", "--image=none", "--replicas=2")
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/web", "--timeout=10s")
    kubectl("scale", "deployment/web", "--replicas=3")
    kubectl("wait", "--for=jsonpath={.status.readyReplicas}=3", "deployment/web", "--timeout=10s")
    kubectl("wait", "--for=condition=Available", "deployment/web", "--timeout=10s")
    assert kubectl("get", "deployments").split()[5:9] == ["web", "3/3", "3", "3"]
    assert [line.split()[1:3] for line in kubectl("get", "pods").splitlines()[1:]] == [["1/1", "Running"]] * 3
    assert len(json.loads(kubectl("get", "pods", "-l", "app=web", "-o", "json"))["items"]) == 3
    kubectl("set", "image", "deployment/web", "none=other")
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/web", "--timeout=10s")
    kubectl("delete", "deployment", "web", "--timeout=10s")
    kubectl("wait", "--for=delete", "pods", "-l", "app=web", "--timeout=10s")
    assert "No resources found" in kubectl("get", "deployments")


def test_every_kind_is_created_by_its_own_command(kubectl: Kubectl) -> None:
    commands = {
        "serviceaccount one": "",
        "secret generic one": "--from-literal=a=b",
        "service clusterip one": "--tcp=80:8080",
        "role one": "--verb=get --resource=pods",
        "clusterrole one": "--verb=get --non-resource-url=/version",
        "rolebinding one": "--role=one --user=alice",
        "clusterrolebinding one": "--clusterrole=one --serviceaccount=default:one",
    }
    for command, options in commands.items():
        assert kubectl("create", *command.split(), *options.split()).endswith("created\n")
    assert json.loads(kubectl("get", "secret", "one", "-o", "json"))["data"] == {"a": "Yg=="}
    [port] = json.loads(kubectl("get", "service", "one", "-o", "json"))["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, 8080)
    assert kubectl("create", "token", "one")


def test_labels_annotations_and_patches(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "one", "--from-literal=a=b")
    kubectl("label", "configmap", "one", "colour=red")
    kubectl("annotate", "configmap", "one", "note=words")
    kubectl("patch", "configmap", "one", "-p", '{"data":{"a":"c"}}')
    found = json.loads(kubectl("get", "configmap", "one", "-o", "json"))
    assert (found["metadata"]["labels"], found["data"]) == ({"colour": "red"}, {"a": "c"})


def test_a_custom_resource_is_defined_written_and_shown(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=WIDGETS)
    kubectl("wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=10s")
    kubectl("apply", "-f", "-", stdin=widget("one", size=3))

    lines = kubectl("get", "wd").splitlines()

    assert lines[0].split() == ["NAME", "SIZE", "READY", "AGE"]
    assert lines[1].split()[:2] == ["one", "3"]
    refused = kubectl("apply", "-f", "-", stdin=widget("two", size=-1), status=1)
    assert "spec.size in body should be greater than or equal to 0" in refused


def test_what_somebody_may_do_is_listed(kubectl: Kubectl, either: Cluster, namespace: str) -> None:
    either.grant(either.user("alice"), ["get", "list"], ["pods"], namespace=namespace)
    either.wait_allowed(either.user("alice"), "list", "pods", namespace)

    told = kubectl("auth", "can-i", "--list", "--as", "alice")

    assert any(line.split()[0] == "pods" and "[get list]" in line for line in told.splitlines())
    assert kubectl("auth", "can-i", "list", "pods", "--as", "alice") == "yes\n"
    assert kubectl("auth", "can-i", "create", "pods", "--as", "alice", status=1).startswith("no")
    assert "alice" in kubectl("auth", "whoami", "--as", "alice")
    assert "Forbidden" in kubectl("get", "secrets", "--as", "alice", status=1)


def test_a_namespace_is_made_and_deleted(kubectl: Kubectl) -> None:
    kubectl("create", "namespace", "short")
    kubectl("create", "configmap", "one", "-n", "short")
    kubectl("delete", "namespace", "short", "--timeout=30s")
    assert "NotFound" in kubectl("get", "namespace", "short", status=1)


def test_the_kinds_and_the_version_are_told(kubectl: Kubectl) -> None:
    assert "deployments" in kubectl("api-resources")
    assert "Server Version" in kubectl("version")
    assert "Name:" in kubectl("describe", "namespace", "default")
