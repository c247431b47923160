"""The manifests of an account's rights, applied to a server: it may do what was said and nothing else."""

import pytest

from scopedcache.kit import Rights, Rule
from scopedcache.testing import EmbeddedCluster

RIGHTS = Rights(
    cluster=[Rule("namespaces", "list watch")],
    in_namespace=[Rule("configmaps deployments.apps/scale", "get patch")],
    home=[Rule("secrets", "get", "token")],
    default=[Rule("events.events.k8s.io", "create")],
)


@pytest.fixture(scope="module")
def cluster():
    with EmbeddedCluster.start() as cluster:
        cluster.create_namespace("app")
        cluster.apply(RIGHTS.manifests("robot", "robot-lease"))
        account = cluster.service_account("robot-system", "robot")
        cluster.bind(account, "robot-in-namespace", namespace="app")
        yield lambda *asked, **more: cluster.allowed(account, *asked, **more)


@pytest.mark.parametrize(
    ("verb", "resource", "namespace", "name", "subresource"),
    [
        ("list", "namespaces", None, None, None),
        ("patch", "configmaps", "app", None, None),
        ("get", "deployments.apps", "app", None, "scale"),
        ("get", "secrets", "robot-system", "token", None),
        ("create", "events.events.k8s.io", "default", None, None),
        ("create", "leases.coordination.k8s.io", "robot-system", None, None),
        ("update", "leases.coordination.k8s.io", "robot-system", "robot-lease", None),
    ],
)
def test_what_was_said_is_allowed(cluster, verb, resource, namespace, name, subresource):
    assert cluster(verb, resource, namespace, name, subresource)


@pytest.mark.parametrize(
    ("verb", "resource", "namespace", "name"),
    [
        ("delete", "namespaces", None, None),
        ("patch", "configmaps", "default", None),
        ("get", "deployments.apps", "app", None),
        ("get", "secrets", "robot-system", "other"),
        ("update", "leases.coordination.k8s.io", "robot-system", "other"),
        ("create", "events.events.k8s.io", "app", None),
    ],
)
def test_nothing_else_is(cluster, verb, resource, namespace, name):
    assert not cluster(verb, resource, namespace, name)


def test_what_is_done_in_namespaces_is_bound_nowhere():
    bound = [one["roleRef"]["name"] for one in RIGHTS.manifests("robot", "robot") if "roleRef" in one]

    assert "robot-in-namespace" not in bound
