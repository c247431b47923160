"""The blocking facade against a real API server: a right comes, goes, and comes back."""

import queue

import pytest

import scopedcache as sc
from scopedcache import sync

pytestmark = pytest.mark.real

POD = sc.GVK("", "v1", "Pod")
NAMESPACE = "sync-facade"
OWNER = sc.OwnerId(sc.GVK("cache.example.com", "v1alpha1", "Memcached"), sc.ObjectKey(NAMESPACE, "m"), "uid-m")


def test_an_open_scope_follows_its_rights(control_plane):
    account = control_plane.service_account(NAMESPACE, "reader")
    changes: queue.Queue[sc.OwnerChanged] = queue.Queue()
    with sync.ScopedCache.connect(kubeconfig=account.kubeconfig, timeout=30, detection_bound=3.0) as cache:
        cache.subscribe(changes.put)
        with pytest.raises(sc.ForbiddenError, match=f"may not list pods in namespace {NAMESPACE}"):
            cache.open(OWNER, POD)
        grant = control_plane.grant(account, ["list", "watch"], ["pods"], namespace=NAMESPACE)
        assert changes.get(timeout=15).cause == "granted"
        scope = cache.open(OWNER, POD)
        assert list(scope.list(POD)) == []
        grant.revoke()
        assert changes.get(timeout=15).cause == "denied"
        with pytest.raises(sc.ForbiddenError):
            scope.list(POD)
    control_plane.delete_namespace(NAMESPACE)
