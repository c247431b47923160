"""Fields and their owners: paths there and back, and what an apply keeps, drops and fights over."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.testing.embedded.kinds.list_keys import merge_keys
from scopedcache.testing.embedded.patching.field_paths import from_tree, leaves, spelled, to_tree
from scopedcache.testing.embedded.patching.server_side_apply import Manager, applied, tracked
from scopedcache.testing.embedded.wire.status_errors import StatusError

NOW = 1_800_000_000.0
ONE, TWO = Manager("one", "Apply", "v1"), Manager("two", "Apply", "v1")
WRITER = Manager("writer", "Update", "v1")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=3), inner, max_size=3),
    max_leaves=8,
)


def body(data: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a"}, "data": data, **more}


def apply(live: dict[str, Any] | None, config: dict[str, Any], who: Manager, *, force: bool = False) -> dict[str, Any]:
    return applied(live, config, who, NOW, merge_keys, force=force)


@given(st.dictionaries(st.text(min_size=1, max_size=4), JSON, max_size=4))
def test_paths_survive_being_written_down(data: dict[str, Any]) -> None:
    paths = set(leaves(body(data), merge_keys))
    assert from_tree(to_tree(paths)) == paths


def test_a_path_reads_like_one() -> None:
    found = leaves({"spec": {"containers": [{"name": "web", "image": "i"}]}, "metadata": {}}, merge_keys)
    assert [spelled(path) for path in found] == [
        '.spec.containers[name="web"]',
        '.spec.containers[name="web"].name',
        '.spec.containers[name="web"].image',
    ]


def test_what_a_manager_no_longer_applies_is_dropped() -> None:
    live = apply(None, body({"x": "1", "y": "2"}), ONE)
    assert apply(live, body({"x": "1"}), ONE)["data"] == {"x": "1"}


def test_what_two_managers_apply_stays_until_both_drop_it() -> None:
    live = apply(apply(None, body({"x": "1", "y": "1"}), ONE), body({"x": "1"}), TWO)

    live = apply(live, body({"y": "1"}), ONE)
    assert live["data"] == {"x": "1", "y": "1"}
    assert apply(live, body({"z": "1"}), TWO)["data"] == {"y": "1", "z": "1"}


def test_a_plain_write_takes_a_field_over() -> None:
    live = apply(None, body({"x": "1"}), ONE)
    changed = tracked(live, {**live, "data": {"x": "2"}}, WRITER, NOW, merge_keys)

    with pytest.raises(StatusError) as refused:
        apply(changed, body({"x": "3"}), ONE)
    assert refused.value.message == 'Apply failed with 1 conflict: conflict with "writer" using v1: .data.x'
    assert apply(changed, body({"x": "3"}), ONE, force=True)["data"] == {"x": "3"}


def test_an_apply_of_the_same_value_is_no_conflict() -> None:
    live = apply(None, body({"x": "1"}), ONE)
    shared = apply(live, body({"x": "1"}), TWO)
    assert [entry["manager"] for entry in shared["metadata"]["managedFields"]] == ["one", "two"]


def test_applying_twice_is_applying_once() -> None:
    config = body({"x": "1"}, spec={"containers": [{"name": "web", "env": [{"name": "a", "value": "b"}]}]})
    once = apply(None, config, ONE)
    assert applied(once, config, ONE, NOW + 60, merge_keys, force=False) == once
