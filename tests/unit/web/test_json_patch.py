"""The JSON patch between two values."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scopedcache.testing.embedded.patching.patches import json_patched
from scopedcache.web import json_patch

NAMES = st.text(alphabet="ab/~", max_size=3)
LEAVES = st.none() | st.booleans() | st.integers(0, 2) | st.text(alphabet="xy", max_size=2)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3))
OBJECTS = st.dictionaries(NAMES.filter(bool), VALUES, max_size=4)


@given(OBJECTS, OBJECTS)
def test_what_is_patched_is_what_was_wanted(before: dict[str, Any], after: dict[str, Any]) -> None:
    operations = json_patch(before, after)
    assert (json_patched(before, operations) if operations else before) == after


def test_only_what_differs_is_sent() -> None:
    before = {"metadata": {"name": "a", "labels": {"x": "1"}}, "spec": {"n": 1}}
    after = {"metadata": {"name": "a", "labels": {"x": "1", "a/b": "2"}}, "spec": {"n": 1}}
    assert json_patch(before, after) == [{"op": "add", "path": "/metadata/labels/a~1b", "value": "2"}]
