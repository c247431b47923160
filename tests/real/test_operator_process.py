"""The Memcached operator as a process against a real API server: bad input, and its end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import certifi
import pytest

from scopedcache.errors import InvalidError
from scopedcache.testing import ControlPlane, Identity
from scopedcache.testing.identities import kubeconfig
from tests.unit.examples.operator import ROOT, Operator

pytestmark = pytest.mark.real

CONFIG = ROOT / "examples" / "memcached_operator" / "config"
SYSTEM = "scoped-memcached-operator-system"
ACCOUNT = "scoped-memcached-operator-controller-manager"
LEASE = "86f835c3.example.com"
MEMCACHEDS = "memcacheds.cache.example.com"
LEASES = "leases.coordination.k8s.io"


@pytest.fixture
def account(control_plane: ControlPlane) -> Identity:
    """Return the operator's account, with the rights it always has. The CRD is for the test to install."""
    control_plane.apply([CONFIG / "rbac" / "operator.yaml", CONFIG / "rbac" / "scoped-operator-needs.yaml"])
    return control_plane.service_account(SYSTEM, ACCOUNT)


@pytest.fixture
def installed(control_plane: ControlPlane, account: Identity) -> Identity:
    """Return the account of an operator whose CRD is installed."""
    control_plane.apply(CONFIG / "crd.yaml")
    return account


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Callable[..., Operator]]:
    started: list[Operator] = []

    def start(*arguments: object) -> Operator:
        started.append(Operator.start(tmp_path / f"operator-{len(started)}.log", *map(str, arguments)))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def memcached(namespace: str, size: int, name: str = "m") -> dict[str, object]:
    metadata = {"name": name, "namespace": namespace}
    return {
        "apiVersion": "cache.example.com/v1alpha1",
        "kind": "Memcached",
        "metadata": metadata,
        "spec": {"size": size},
    }


def holder(control_plane: ControlPlane) -> str | None:
    found = control_plane.get(LEASES, LEASE, SYSTEM)
    return found["spec"].get("holderIdentity") if found else None


@pytest.mark.parametrize(
    ("ca", "token", "error", "advice"),
    [
        (
            certifi.where(),
            None,
            "showed a certificate that the CA of the kubeconfig did not sign",
            "its address and CA",
        ),
        (None, "expired", "401 Unauthorized", "put a new token or certificate into the kubeconfig"),
    ],
    ids=["wrong CA", "invalid token"],
)
def test_a_server_that_does_not_fit_the_kubeconfig_ends_the_start_with_one_line(
    control_plane, account, operator, tmp_path, ca, token, error, advice
):
    path = tmp_path / "kubeconfig"
    path.write_text(kubeconfig(control_plane.url, ca or control_plane.ca_file, "operator", token or account.token))
    run = operator("--kubeconfig", path)
    assert run.end() == 3
    (line,) = map(json.loads, run.lines)

    assert error in line["error"]
    assert advice in line["advice"]
    assert account.token not in run.log.read_text()


def test_it_waits_for_its_CRD_and_works_once_that_is_installed(control_plane, account, operator, namespace):
    control_plane.delete("customresourcedefinitions.apiextensions.k8s.io", MEMCACHEDS)
    control_plane.wait_for(
        lambda: control_plane.get("customresourcedefinitions.apiextensions.k8s.io", MEMCACHEDS) is None, timeout=20
    )
    control_plane.apply(CONFIG / "rbac" / "rolebinding.yaml", namespace)
    run = operator("--kubeconfig", account.kubeconfig, "--no-leader-elect")
    said = run.await_event("kind.not_served")
    run.await_readiness(503)
    control_plane.apply(CONFIG / "crd.yaml")
    run.await_event("kind.served")
    run.await_readiness(200)
    control_plane.create(memcached(namespace, 1), namespace)
    run.until(lambda: control_plane.get("deployments.apps", "m", namespace), "the Deployment")

    assert "check that its CRD is installed" in said["error"]
    assert len(run.events("kind.not_served")) == 1
    assert [line for line in map(json.loads, run.lines) if line["level"] == "error"] == []


def test_a_CRD_that_is_removed_while_it_runs_and_installed_again_heals(control_plane, installed, operator, namespace):
    control_plane.apply(CONFIG / "rbac" / "rolebinding.yaml", namespace)
    run = operator("--kubeconfig", installed.kubeconfig, "--no-leader-elect", "--detection-bound", "3")
    run.await_readiness(200)
    control_plane.delete("customresourcedefinitions.apiextensions.k8s.io", MEMCACHEDS)
    run.until(
        lambda: control_plane.get("customresourcedefinitions.apiextensions.k8s.io", MEMCACHEDS) is None, "it is gone"
    )
    control_plane.apply(CONFIG / "crd.yaml")
    control_plane.create(memcached(namespace, 1), namespace)
    run.until(lambda: control_plane.get("deployments.apps", "m", namespace), "the Deployment")

    errors = [line for line in map(json.loads, run.lines) if line["level"] == "error"]
    assert errors == [], errors


def test_a_negative_size_is_refused_by_the_schema(control_plane, installed, namespace):
    with pytest.raises(InvalidError, match=r"spec\.size.*greater than or equal to 0"):
        control_plane.create(memcached(namespace, -1), namespace)


def test_SIGTERM_ends_it_with_its_Lease_released(control_plane, installed, operator):
    run = operator("--kubeconfig", installed.kubeconfig)
    led = run.await_event("leader.elected")
    assert holder(control_plane) == led["identity"]
    status = run.terminate()

    assert (status, holder(control_plane)) == (0, "")


def test_SIGTERM_ends_it_though_the_server_hangs(control_plane, installed, operator):
    run = operator("--kubeconfig", installed.kubeconfig)
    run.await_event("leader.elected")
    control_plane.apiserver.pause()
    try:
        status = run.terminate()
    finally:
        control_plane.apiserver.resume()

    assert status == 0


def test_SIGTERM_ends_it_while_the_server_does_not_answer_its_first_question(control_plane, installed, operator):
    control_plane.apiserver.pause()
    try:
        run = operator("--kubeconfig", installed.kubeconfig)
        run.until(lambda: run.listens_for_signals, "its handler of SIGTERM")
        status = run.terminate()
    finally:
        control_plane.apiserver.resume()

    assert (status, run.lines) == (0, [])


def test_an_account_that_is_gone_makes_it_unready_and_a_new_token_heals(control_plane, installed, operator, namespace):
    control_plane.apply(CONFIG / "rbac" / "rolebinding.yaml", namespace)
    run = operator("--kubeconfig", installed.kubeconfig, "--no-leader-elect", "--detection-bound", "3")
    run.await_readiness(200)
    control_plane.delete("serviceaccounts", ACCOUNT, SYSTEM)
    run.await_readiness(503)
    control_plane.service_account(SYSTEM, ACCOUNT)  # writes its new token where the old one was
    run.await_readiness(200)
    control_plane.create(memcached(namespace, 1), namespace)
    run.until(lambda: control_plane.get("deployments.apps", "m", namespace), "the Deployment")

    assert installed.token not in run.log.read_text()
    assert "Traceback" not in run.log.read_text()
