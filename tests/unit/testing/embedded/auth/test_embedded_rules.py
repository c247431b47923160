"""Rights: what one rule allows, and what a request asks for."""

from __future__ import annotations

from typing import Any

import pytest

from scopedcache.testing.embedded.auth.rbac_authorizer import allows
from scopedcache.testing.embedded.wire.messages import Request
from scopedcache.testing.embedded.wire.request_attributes import Attributes, attributes_of

POD = Attributes("get", "", True, "", "v1", "pods", "", "a", "one")
SCALE = Attributes("update", "", True, "apps", "v1", "deployments", "scale", "a", "web")
HEALTH = Attributes("get", "/healthz/etcd")


def rule(verbs: str = "*", groups: str = "*", resources: str = "*", **more: Any) -> dict[str, Any]:
    return {"verbs": verbs.split(), "apiGroups": [groups], "resources": resources.split(), **more}


@pytest.mark.parametrize(
    ("given", "asked", "expected"),
    [
        (rule(), POD, True),
        (rule("list watch"), POD, False),
        (rule("get", "", "pods"), POD, True),
        (rule("get", "apps", "pods"), POD, False),
        (rule("get", "", "pods", resourceNames=["one"]), POD, True),
        (rule("get", "", "pods", resourceNames=["two"]), POD, False),
        (rule("update", "apps", "deployments"), SCALE, False),
        (rule("update", "apps", "deployments/scale"), SCALE, True),
        (rule("update", "apps", "*/scale"), SCALE, True),
        (rule("update", "apps", "deployments/*"), SCALE, False),
        (rule(), HEALTH, False),
        ({"verbs": ["get"], "nonResourceURLs": ["/healthz/*"]}, HEALTH, True),
        ({"verbs": ["get"], "nonResourceURLs": ["/healthz"]}, HEALTH, False),
    ],
)
def test_a_rule_allows_what_it_names(given: dict[str, Any], asked: Attributes, expected: bool) -> None:
    assert allows(given, asked) is expected


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v1/pods", "list pods"),
        ("GET", "/api/v1/namespaces/a/pods?watch=true", "watch pods in a"),
        ("GET", "/api/v1/namespaces/a/pods?watch=false", "list pods in a"),
        ("GET", "/api/v1/namespaces/a/pods/one", "get pods in a named one"),
        ("GET", "/api/v1/pods?fieldSelector=metadata.name=one", "list pods named one"),
        ("GET", "/api/v1/namespaces/a", "get namespaces in a named a"),
        ("PUT", "/api/v1/namespaces/a/finalize", "update namespaces/finalize in a named a"),
        ("PATCH", "/apis/apps/v1/namespaces/a/deployments/web/scale", "patch deployments.apps/scale in a named web"),
        ("DELETE", "/api/v1/namespaces/a/pods", "deletecollection pods in a"),
        ("POST", "/apis/x.io/v1/things", "create things.x.io"),
        ("GET", "/apis/apps/v1", "get /apis/apps/v1"),
        ("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Aview",
         "get clusterroles.rbac.authorization.k8s.io named system:view"),
    ],
)  # fmt: skip
def test_a_request_is_read_as_the_authoriser_sees_it(method: str, path: str, expected: str) -> None:
    path, _, query = path.partition("?")
    parameters = [tuple(query.split("=", 1))] if query else []
    asked = attributes_of(Request(method, path, parameters))  # type: ignore[arg-type]

    words = asked.verb + " " + (asked.subject if asked.is_resource else asked.path)
    words += f"/{asked.subresource}" if asked.subresource else ""
    words += f" in {asked.namespace}" if asked.namespace else ""
    assert words + (f" named {asked.name}" if asked.name else "") == expected
