"""What the fake kubelet reads, and what it does next for a pod."""

from __future__ import annotations

import pytest

from scopedcache.testing.control_plane.kubelet import Action, Relist, next_action, read_event
from scopedcache.testing.fake_node import Container, Metadata, Pod, Spec, Status, running_status


def pod(node: str = "", phase: str = "Pending", deleted: str | None = None, grace: int | None = None) -> Pod:
    metadata = Metadata(name="one", deletion_timestamp=deleted, deletion_grace_period_seconds=grace)
    return Pod(metadata, Spec(node, [Container("main", "image:1")]), Status(phase))


@pytest.mark.parametrize(
    ("seen", "action"),
    [
        (pod(), "bind"),
        (pod("mine"), "run"),
        (pod("mine", "Running"), None),
        (pod("mine", "Succeeded"), None),
        (pod("other"), None),
        (pod("mine", "Running", deleted="2026-01-01T00:00:00Z", grace=30), "delete"),
        (pod("mine", "Running", deleted="2026-01-01T00:00:00Z", grace=0), None),
        (pod("other", "Running", deleted="2026-01-01T00:00:00Z", grace=30), None),
    ],
)
def test_the_state_of_a_pod_decides_the_next_step(seen: Pod, action: Action | None) -> None:
    assert next_action(seen, "mine") == action


def test_a_running_pod_is_ready_with_all_its_containers() -> None:
    status = running_status(pod("mine"), "10.64.0.1", "2026-01-01T00:00:00Z")
    assert {c["type"]: c["status"] for c in status["conditions"]}["Ready"] == "True"
    assert [(c["name"], c["image"], c["ready"]) for c in status["containerStatuses"]] == [("main", "image:1", True)]


def test_a_bookmark_tells_a_version_and_no_pod() -> None:
    # As a kube-apiserver writes it: everything else of the object is null.
    line = (
        b'{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"7",'
        b'"creationTimestamp":null},"spec":{"containers":null},"status":{}}}'
    )
    assert read_event(line) == ("BOOKMARK", None, "7")


def test_an_event_tells_its_pod() -> None:
    line = b'{"type":"ADDED","object":{"metadata":{"uid":"u","resourceVersion":"8"},"spec":{"nodeName":"n"}}}'
    kind, seen, version = read_event(line)
    assert seen is not None
    assert (kind, seen.metadata.uid, seen.spec.node_name, version) == ("ADDED", "u", "n", "8")


def test_after_an_error_the_pods_are_listed_again() -> None:
    with pytest.raises(Relist):
        read_event(b'{"type":"ERROR","object":{"kind":"Status","code":410}}')
