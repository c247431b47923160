"""A copy that shares nothing that can be changed."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scopedcache.kit.json_copy import json_copy

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def parts(value):
    """Return the identities of everything in a value that can be changed."""
    if isinstance(value, dict):
        return {id(value)}.union(*map(parts, value.values()))
    if isinstance(value, list):
        return {id(value)}.union(*map(parts, value))
    return set()


@given(JSON)
def test_a_copy_is_equal_and_shares_no_dict_and_no_list(value):
    copied = json_copy(value)

    assert (copied, repr(copied)) == (value, repr(value))
    assert parts(copied).isdisjoint(parts(value))


def test_what_is_no_json_is_copied_as_python_does():
    class Text(dict[str, object]):
        pass

    value: dict[str, Any] = {"sets": [{1, 2}], "mine": Text(a=[1])}
    copied = json_copy(value)

    assert copied == copy.deepcopy(value)
    assert type(copied["mine"]) is Text
    assert copied["mine"]["a"] is not value["mine"]["a"]
