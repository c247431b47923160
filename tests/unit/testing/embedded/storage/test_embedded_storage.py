"""The storage: one sequence of versions, what holds an object back, and what is remembered."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.testing.embedded.kinds.builtin_kinds import KINDS
from scopedcache.testing.embedded.storage.storage import Event, Storage
from scopedcache.testing.embedded.wire.status_errors import StatusError

NOW = 1_800_000_000.0
MAPS = next(kind for kind in KINDS if kind.resource == "configmaps")
PODS = next(kind for kind in KINDS if kind.resource == "pods")
DEPLOYMENTS = next(kind for kind in KINDS if kind.resource == "deployments")


def config_map(name: str, data: str = "", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "a", **metadata}, "data": {"x": data}}


@pytest.fixture
def storage() -> Storage:
    return Storage(seed=1)


def test_every_change_has_a_version_of_its_own(storage: Storage) -> None:
    made = storage.create(MAPS, config_map("one"), NOW)
    changed = storage.update(MAPS, config_map("one", "1"), NOW)
    gone, _ = storage.delete(MAPS, "a", "one", NOW)

    assert made.version < changed.version < gone.version == storage.version
    assert changed.uid == made.uid


def test_a_write_that_changes_nothing_is_no_write(storage: Storage) -> None:
    made = storage.create(MAPS, config_map("one"), NOW)
    heard: list[Event] = []
    storage.subscribe(heard.append)

    assert storage.update(MAPS, config_map("one"), NOW + 1) is made
    assert heard == []


def test_a_stale_version_is_a_conflict(storage: Storage) -> None:
    made = storage.create(MAPS, config_map("one"), NOW)
    storage.update(MAPS, config_map("one", "1"), NOW)

    with pytest.raises(StatusError) as refused:
        storage.update(MAPS, config_map("one", "2", resourceVersion=str(made.version)), NOW)
    assert (refused.value.code, refused.value.reason) == (409, "Conflict")


def test_finalizers_hold_an_object_until_the_last_is_gone(storage: Storage) -> None:
    storage.create(MAPS, config_map("one", finalizers=["x/y"]), NOW)
    held, gone = storage.delete(MAPS, "a", "one", NOW)
    assert (held.deleting, gone) == (True, False)

    heard: list[Event] = []
    storage.subscribe(heard.append)
    storage.update(MAPS, config_map("one", finalizers=[]), NOW)

    assert [event.type for event in heard] == ["DELETED"]
    assert storage.get(MAPS, "a", "one") is None


def test_only_a_pod_on_a_node_has_a_grace_period(storage: Storage) -> None:
    for name, spec in (("waiting", {}), ("running", {"nodeName": "n"})):
        storage.create(PODS, {"metadata": {"name": name, "namespace": "a"}, "spec": spec}, NOW)

    assert storage.delete(PODS, "a", "waiting", NOW)[1]
    assert not storage.delete(PODS, "a", "running", NOW)[1]
    assert storage.delete(PODS, "a", "running", NOW, grace=0)[1]


def test_the_generation_counts_what_is_neither_metadata_nor_status(storage: Storage) -> None:
    body: dict[str, Any] = {"metadata": {"name": "d", "namespace": "a"}, "spec": {"replicas": 1}}
    storage.create(DEPLOYMENTS, body, NOW)
    labelled = storage.update(DEPLOYMENTS, {**body, "metadata": body["metadata"] | {"labels": {"a": "b"}}}, NOW)
    reported = storage.update(DEPLOYMENTS, {**body, "status": {"replicas": 1}}, NOW, part="status")
    scaled = storage.update(DEPLOYMENTS, {**body, "spec": {"replicas": 2}}, NOW, part="main")

    assert [stored.metadata["generation"] for stored in (labelled, reported, scaled)] == [1, 1, 2]
    assert scaled.body["status"] == {"replicas": 1}


def test_generated_names_and_uids_repeat_with_the_seed() -> None:
    def names(seed: int) -> list[str]:
        storage = Storage(seed=seed)
        body = {"metadata": {"generateName": "web-", "namespace": "a"}}
        return [stored.name + stored.uid for stored in (storage.create(MAPS, body, NOW) for _ in range(3))]

    assert names(1) == names(1) != names(2)


def test_a_rehearsal_changes_nothing(storage: Storage) -> None:
    with storage.rehearsal():
        assert storage.create(MAPS, config_map("one"), NOW).name == "one"
    assert (storage.list(MAPS), storage.version) == ([], 1)


def test_what_is_compacted_is_410(storage: Storage) -> None:
    made = storage.create(MAPS, config_map("one"), NOW)
    storage.compact()

    with pytest.raises(StatusError) as refused:
        storage.since(MAPS, made.version)
    assert (refused.value.code, refused.value.reason) == (410, "Expired")
    assert storage.since(MAPS, storage.version) == []


def test_the_history_ends_at_its_length() -> None:
    storage = Storage(history=2)
    versions = [storage.create(MAPS, config_map(f"n{n}"), NOW).version for n in range(4)]

    assert [event.version for event in storage.since(MAPS, versions[1])] == versions[2:]
    with pytest.raises(StatusError):
        storage.since(MAPS, versions[0])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("+-")), max_size=20))
def test_every_version_can_be_seen_again(steps: list[tuple[str, str]]) -> None:
    storage = Storage()
    seen: dict[int, list[tuple[str, str]]] = {}
    for number, (name, step) in enumerate(steps):
        known = storage.get(MAPS, "a", name)
        if step == "-" and known is not None:
            storage.delete(MAPS, "a", name, NOW)
        elif step == "+":
            (storage.update if known else storage.create)(MAPS, config_map(name, str(number)), NOW)
        seen[storage.version] = [(s.name, s.body["data"]["x"]) for s in storage.list(MAPS)]

    for version, objects in seen.items():
        assert [(s.name, s.body["data"]["x"]) for s in storage.list_at(MAPS, version)] == objects
