"""The log of a container, as rows read it; and what rows there are where the operator runs in a Pod."""

from __future__ import annotations

from pathlib import Path

import pytest

from scopedcache.errors import ScopedCacheError
from tests.acceptance.catalogue import groups
from tests.acceptance.in_pod import ContainerLog
from tests.acceptance.starting import check_cluster

PREFIX = "2026-01-01T00:00:00.000000000Z"


def log_of(*paths: Path) -> ContainerLog:
    return ContainerLog(Path(), find=lambda: [path for path in paths if path.exists()])


def test_lines_come_without_the_prefix_of_the_runtime(tmp_path):
    file = tmp_path / "0.log"
    file.write_text(f'{PREFIX} stdout F {{"event": "a"}}\n{PREFIX} stderr F words\n')
    log = log_of(file)
    assert [line["event"] for line in log.events()] == ["a"]
    assert log.other == ["words"]


def test_a_long_line_is_put_together(tmp_path):
    file = tmp_path / "0.log"
    file.write_text(f'{PREFIX} stderr P {{"event":\n{PREFIX} stderr F "long"}}\n')
    assert [line["event"] for line in log_of(file).events()] == ["long"]


def test_a_log_grows_and_an_unfinished_line_waits(tmp_path):
    file = tmp_path / "0.log"
    log = log_of(file)
    assert log.mark() == 0
    file.write_text(f'{PREFIX} stderr F {{"event": "a"}}\n{PREFIX} stderr F {{"ev')
    mark = log.mark()
    with file.open("a") as more:
        more.write('ent": "b"}\n')
    assert [line["event"] for line in log.events(since=mark)] == ["b"]


def test_in_a_pod_the_ten_steps_are_run_and_then_what_only_a_pod_has(monkeypatch):
    monkeypatch.setenv("CLUSTER", "node")
    (story,) = groups(None)
    ids = [row.id for row in story.rows]
    assert ids[-3:] == ["10", "2.token", "2.user"]
    assert {"2.pod", "3", "6"} < set(ids)


def test_what_runs_nothing_in_a_pod_refuses_a_cluster_with_a_node(monkeypatch, tmp_path):
    for program in ("etcd", "kube-apiserver", "kube-controller-manager"):
        (tmp_path / program).touch(mode=0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    monkeypatch.setenv("CLUSTER", "node")
    with pytest.raises(ScopedCacheError, match="nothing here runs in a Pod"):
        check_cluster()
