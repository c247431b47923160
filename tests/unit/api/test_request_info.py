"""What a request asks for: its path."""

import pytest

from scopedcache.api.request_info import RequestInfo
from scopedcache.kinds import GVK, GVR, Resource

PODS = Resource(GVR("", "v1", "pods"), GVK("", "v1", "Pod"), namespaced=True)
NODES = Resource(GVR("", "v1", "nodes"), GVK("", "v1", "Node"), namespaced=False)
DEPLOYMENTS = Resource(GVR("apps", "v1", "deployments"), GVK("apps", "v1", "Deployment"), namespaced=True)
ROLES = Resource(
    GVR("rbac.authorization.k8s.io", "v1", "clusterroles"),
    GVK("rbac.authorization.k8s.io", "v1", "ClusterRole"),
    namespaced=False,
)


@pytest.mark.parametrize(
    ("info", "path"),
    [
        (RequestInfo("list", PODS), "/api/v1/pods"),
        (RequestInfo("list", PODS, "a"), "/api/v1/namespaces/a/pods"),
        (RequestInfo("list", PODS, "a", "named-by-selector"), "/api/v1/namespaces/a/pods"),
        (RequestInfo("watch", DEPLOYMENTS, "a"), "/apis/apps/v1/namespaces/a/deployments"),
        (RequestInfo("get", DEPLOYMENTS, "a", "web"), "/apis/apps/v1/namespaces/a/deployments/web"),
        (RequestInfo("create", DEPLOYMENTS, "a", "web"), "/apis/apps/v1/namespaces/a/deployments"),
        (RequestInfo("create", PODS, "a", "web", "eviction"), "/api/v1/namespaces/a/pods/web/eviction"),
        (RequestInfo("patch", DEPLOYMENTS, "a", "web", "status"), "/apis/apps/v1/namespaces/a/deployments/web/status"),
        (RequestInfo("get", NODES, None, "n1"), "/api/v1/nodes/n1"),
        (RequestInfo("deletecollection", PODS, "a"), "/api/v1/namespaces/a/pods"),
        (RequestInfo("get", ROLES, None, "system:node"), "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node"),
        (
            RequestInfo("get", PODS, "a", "../secrets/x?y#z%20"),
            "/api/v1/namespaces/a/pods/..%2Fsecrets%2Fx%3Fy%23z%2520",
        ),
        (RequestInfo("get", PODS, "a/../b", "x"), "/api/v1/namespaces/a%2F..%2Fb/pods/x"),
    ],
)
def test_a_request_knows_its_path(info, path):
    assert info.path == path
