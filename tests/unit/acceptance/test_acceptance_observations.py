"""What the harness reads out of objects, audit lines, metrics and logs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scopedcache.testing import AuditRequest
from tests.acceptance.observations import (
    Memcached,
    is_child_write,
    is_review,
    is_waiting,
    is_work,
    kinds_in,
    moving,
    rollout,
    slope,
    timeout_of,
    told,
    unscaled,
)
from tests.acceptance.program import JSONLog, parse_metrics

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def memcached(*, status: str = "True", reason: str = "ReconcileSucceeded", stale: str = "", **changes) -> Memcached:
    conditions = [{"type": "Successful", "status": status, "reason": reason}]
    conditions += [{"type": "Stale", "status": stale}] if stale else []
    state = {"status": "Succeeded" if status == "True" else "Failed", "message": changes.pop("message", "")}
    body = {"nodes": ["a", "b"], "state": state, "conditions": conditions, "observedGeneration": 3, **changes}
    return Memcached({"metadata": {"name": "m", "uid": "u", "generation": 3, "resourceVersion": "7"}, "status": body})


def request(verb: str, resource: str, **changes) -> AuditRequest:
    fields = {
        "id": "1", "user": "operator", "subresource": None, "namespace": None, "name": None, "code": 200,
        "stage": "ResponseComplete", "uri": "/", "user_agent": "", "received": NOW, "ended": NOW, "server": 0,
    }  # fmt: skip
    return AuditRequest(verb=verb, resource=resource, **{**fields, **changes})


def test_a_complete_success_has_no_problem():
    assert memcached().not_succeeded(2) is None


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"nodes": ["b", "a"]}, "status.nodes"),
        ({"nodes": ["a"]}, "len(status.nodes)"),
        ({"observedGeneration": 2}, "observedGeneration"),
        ({"stale": "True"}, "Stale"),
        ({"reason": "Progressing"}, "reason"),
        ({"status": "False"}, "status.state.status"),
    ],
)
def test_each_missing_part_of_a_success_is_named(wrong, named):
    assert named in (memcached(**wrong).not_succeeded(2) or "")


def test_a_failure_of_an_older_generation_is_not_the_one_waited_for():
    old = memcached(status="False", reason="NotPermitted", observedGeneration=2)
    assert "observedGeneration" in (old.not_failed("NotPermitted") or "")


def test_a_message_names_a_namespace_only_as_a_word_of_its_own():
    found = memcached(message="may not list deployments.apps in namespace denied, for memcached-sample-denied")
    other = memcached(message="may not list deployments.apps/status, for memcached-sample-denied")
    assert found.unnamed("deployments.apps", "denied", "list") is None
    assert "denied" in (other.unnamed("denied") or "")


def test_a_message_without_a_verb_is_a_problem():
    assert memcached(message="not allowed here").names_no_verb()
    assert memcached(message="may not watch pods").names_no_verb() is None


def deployment(**status):
    figures = {"replicas": 2, "readyReplicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "observedGeneration": 3}
    return {"metadata": {"generation": 3}, "spec": {"replicas": 2}, "status": figures | status}


def test_a_rollout_counts_spec_present_ready_updated_and_available():
    assert rollout(deployment(), 2) is None
    assert "(2, 2, 2, 2, 1)" in (rollout(deployment(availableReplicas=1), 2) or "")
    assert rollout(None, 2) == "there is no Deployment"


def test_a_rollout_is_not_over_while_the_controller_has_seen_an_older_spec():
    assert "observedGeneration is 2, expected 3" in (rollout(deployment(observedGeneration=2), 2) or "")


def test_a_replicaset_is_behind_until_its_controller_has_seen_the_latest_spec():
    seen = {"metadata": {"name": "web", "generation": 4}, "spec": {"replicas": 1}}
    assert unscaled([{**seen, "status": {"observedGeneration": 4, "replicas": 1}}]) is None
    assert "(3, 1), expected (4, 1)" in (unscaled([{**seen, "status": {"observedGeneration": 3, "replicas": 1}}]) or "")
    assert "(4, 2), expected (4, 1)" in (unscaled([{**seen, "status": {"observedGeneration": 4, "replicas": 2}}]) or "")
    assert unscaled([]) is None


def test_a_child_scaled_by_hand_and_back_moves_still_where_its_figures_fit_already():
    # As seen on a real cluster: 2, then 4, then 2 again, before the ReplicaSet's controller had seen the 4.
    behind = {"observedGeneration": 1, "replicas": 2, "availableReplicas": 2}
    replicaset = {"metadata": {"name": "web", "generation": 3}, "spec": {"replicas": 2}, "status": behind}
    assert rollout(deployment(), 2) is None
    assert "is (1, 2), expected (3, 2)" in (moving([replicaset], 2, 2) or "")
    replicaset["status"] = {**behind, "observedGeneration": 3}
    assert "the number of Pods is 4, expected 2" in (moving([replicaset], 4, 2) or "")
    assert moving([replicaset], 2, 2) is None


def test_reviews_and_lease_renewals_are_no_work():
    lease = request("update", "leases.coordination.k8s.io")
    review = request("create", "selfsubjectrulesreviews.authorization.k8s.io")
    child = request("create", "deployments.apps")
    own = request("patch", "memcacheds.cache.example.com", subresource="status")
    assert [is_work(r) for r in (lease, review, child, own)] == [False, False, True, True]
    assert [is_child_write(r) for r in (lease, review, child, own)] == [False, False, True, False]
    assert [is_review(r) for r in (lease, review, child, own)] == [False, True, False, False]


def test_requests_are_told_with_alike_ones_counted():
    found = [request("list", "pods", namespace="a", code=403)] * 2 + [request("get", "", uri="/version")]
    assert told(found) == "2× list pods in a 403; 1× get /version 200"


def test_the_timeout_of_a_watch_is_read_from_its_address():
    assert timeout_of(request("watch", "pods", uri="/api/v1/pods?watch=true&timeoutSeconds=5")) == 5.0
    assert timeout_of(request("watch", "pods", uri="/api/v1/pods?watch=true")) is None


def test_a_snapshot_tells_what_is_cached_and_who_waits():
    snapshot = {"namespaces": {"a": {"u1": ["Pod"]}}, "waiting": [{"namespace": "b", "owner": "Memcached b/m"}]}
    assert kinds_in(snapshot, "a") == {"u1": ["Pod"]}
    assert kinds_in(snapshot, "b") == {}
    assert (is_waiting(snapshot, "a"), is_waiting(snapshot, "b")) == (False, True)


def test_a_slope_is_the_growth_per_step():
    assert slope([5.0, 7.0, 9.0, 11.0]) == pytest.approx(2.0)
    assert slope([5.0]) == 0.0


def test_metrics_are_summed_over_their_labels():
    text = '# HELP x y\nopen_watches{namespace="a}b"} 2\nopen_watches{namespace="c"} 3\ntasks 4\nbroken\nbound 1e+01\n'
    assert parse_metrics(text) == {"open_watches": 5.0, "tasks": 4.0, "bound": 10.0}


def test_a_log_is_read_line_by_line_as_it_grows(tmp_path: Path):
    path = tmp_path / "log"
    log = JSONLog(path)
    assert log.events() == []
    path.write_text(json.dumps({"event": "a", "namespace": "x"}) + '\nTraceback …\n{"event": "b"')
    assert [line["event"] for line in log.events()] == ["a"]
    mark = log.mark()
    path.write_text(path.read_text() + ', "namespace": "y"}\n')
    assert log.events(since=mark) == [{"event": "b", "namespace": "y"}]
    assert log.events("a", namespace="y") == []
    assert log.other == ["Traceback …"]
