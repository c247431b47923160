"""Whatever is sent is answered: with an object, or with a Status that says what is wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scopedcache.testing import EmbeddedCluster
from scopedcache.testing.embedded.wire.messages import Answer, Request

JUNK: list[Any] = [None, 5, "x", True, [], {}, [1], {"a": 1}, [[]], -1, 1.5, "", [{}], [None], {"": None}]
POD_SPEC = {"nodeName": "n", "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 1}]}]}
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "y"}
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
MANIFESTS: dict[str, dict[str, Any]] = {
    "/apis/apps/v1/namespaces/default/deployments": {
        "metadata": {"name": "one", "labels": {"a": "b"}, "finalizers": [], "ownerReferences": [OWNER]},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"}},
            "selector": {"matchLabels": {"x": "y"}},
            "template": {"metadata": {"labels": {"x": "y"}}, "spec": POD_SPEC},
        },
    },
    "/api/v1/namespaces/default/pods": {"metadata": {"name": "one"}, "spec": POD_SPEC},
    "/api/v1/namespaces/default/secrets": {"metadata": {"name": "one"}, "data": {"a": "b"}, "stringData": {"x": "y"}},
    "/api/v1/namespaces": {"metadata": {"name": "one"}, "spec": {"finalizers": []}},
    f"{RBAC}/roles": {"metadata": {"name": "one"}, "rules": [{"verbs": ["get"], "resources": ["pods"]}]},
    f"{RBAC}/rolebindings": {
        "metadata": {"name": "one"},
        "roleRef": {"kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "name": "u"}],
    },
    "/apis/events.k8s.io/v1/namespaces/default/events": {"metadata": {"name": "one"}, "note": "x", "regarding": {}},
}
PATCHES = ["merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml"]


def places(value: Any, so_far: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield so_far
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, found in inner:
        yield from places(found, (*so_far, key))


def replaced(manifest: Any, place: tuple[Any, ...], junk: Any) -> Any:
    if not place:
        return junk
    changed = copy.deepcopy(manifest)
    holder = changed
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = junk
    return changed


def send(cluster: EmbeddedCluster, method: str, path: str, body: Any, media: str) -> int:
    headers = {"authorization": f"Bearer {cluster.admin.token}", "content-type": f"application/{media}"}
    request = Request(method, path, (("fieldManager", "x"), ("force", "true")), headers, json.dumps(body).encode())
    answer = cluster.finish(cluster.begin(request)[1])
    assert isinstance(answer, Answer)
    return answer.code


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_junk_anywhere_in_a_manifest_is_answered(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(MANIFESTS)))
    manifest = MANIFESTS[path]
    body = replaced(manifest, data.draw(st.sampled_from(list(places(manifest)))), data.draw(st.sampled_from(JUNK)))
    with EmbeddedCluster.start() as cluster:
        assert 200 <= send(cluster, "POST", path, body, "json") <= 500
        cluster.advance(2.0)
    with EmbeddedCluster.start() as cluster:
        send(cluster, "POST", path, manifest, "json")
        assert 200 <= send(cluster, "PATCH", f"{path}/one", body, data.draw(st.sampled_from(PATCHES))) <= 500
        cluster.advance(2.0)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"null", b'"x"'])
def test_what_is_no_object_is_400(embedded_cluster: EmbeddedCluster, body: bytes) -> None:
    headers = {"authorization": f"Bearer {embedded_cluster.admin.token}", "content-type": "application/json"}
    request = Request("POST", "/api/v1/namespaces/default/configmaps", (), headers, body)
    answer = embedded_cluster.finish(embedded_cluster.begin(request)[1])
    assert isinstance(answer, Answer)
    assert answer.code == 400
