"""Patches: the examples of their specifications."""

from __future__ import annotations

from typing import Any

import pytest

from scopedcache.testing.embedded.patching.patches import json_patched, merged, strategic
from scopedcache.testing.embedded.wire.status_errors import StatusError


@pytest.mark.parametrize(
    ("body", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge(body: Any, patch: Any, expected: Any) -> None:
    assert merged(body, patch) == expected


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"op": "add", "path": "/b", "value": 1}, {"a": [1, 2], "b": 1}),
        ({"op": "add", "path": "/a/1", "value": 9}, {"a": [1, 9, 2]}),
        ({"op": "add", "path": "/a/-", "value": 9}, {"a": [1, 2, 9]}),
        ({"op": "remove", "path": "/a/0"}, {"a": [2]}),
        ({"op": "replace", "path": "/a", "value": 1}, {"a": 1}),
        ({"op": "move", "from": "/a", "path": "/x~1y"}, {"x/y": [1, 2]}),
        ({"op": "copy", "from": "/a/0", "path": "/b"}, {"a": [1, 2], "b": 1}),
        ({"op": "test", "path": "/a/0", "value": 1}, {"a": [1, 2]}),
    ],
)
def test_json_patch(operation: dict[str, Any], expected: Any) -> None:
    body = {"a": [1, 2]}
    assert json_patched(body, [operation]) == expected
    assert body == {"a": [1, 2]}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/nothing"},
        {"op": "replace", "path": "/nothing", "value": 1},
        {"op": "test", "path": "/a", "value": 1},
        {"op": "add", "path": "/a/7", "value": 1},
        {"op": "dance", "path": "/a"},
    ],
)
def test_a_json_patch_that_cannot_be_done_is_422(operation: dict[str, Any]) -> None:
    with pytest.raises(StatusError) as refused:
        json_patched({"a": [1, 2]}, [operation])
    assert refused.value.code == 422


def test_strategic_merges_lists_by_their_keys() -> None:
    body = {"containers": [{"name": "a", "image": "1"}, {"name": "b"}], "finalizers": ["x"], "args": ["1"]}
    patch = {
        "containers": [{"name": "a", "image": "2"}, {"$patch": "delete", "name": "b"}],
        "finalizers": ["y"],
        "args": ["2"],
    }
    expected = {"containers": [{"name": "a", "image": "2"}], "finalizers": ["x", "y"], "args": ["2"]}
    assert strategic(body, patch) == expected
