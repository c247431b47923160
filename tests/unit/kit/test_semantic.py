"""When two writings mean the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.kit.semantic import equal, quantity

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": None}, {}),
        ({"a": []}, {}),
        ({"metadata": {"labels": {}}}, {"metadata": {}}),
        ({"limits": {"cpu": "1000m"}}, {"limits": {"cpu": "1"}}),
        ({"requests": {"memory": "1Gi"}}, {"requests": {"memory": "1024Mi"}}),
        ({"requests": {"cpu": 1}}, {"requests": {"cpu": "1"}}),
    ],
)
def test_the_same_written_differently_is_equal(one, other):
    assert equal(one, other)
    assert equal(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"namespaceSelector": {}}, {}),
        ({"ingress": [{}]}, {"ingress": []}),
        ({"a": False}, {}),
        ({"a": 0}, {"a": False}),
        ({"a": ""}, {}),
        ({"args": ["1000m"]}, {"args": ["1"]}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "2"}}),
        ({"limits": {"cpu": "1"}}, {"limits": {}}),
    ],
)
def test_what_may_mean_something_else_is_not_equal(one, other):
    assert not equal(one, other)
    assert not equal(other, one)


@given(JSON)
def test_everything_equals_itself(value):
    assert equal(value, value)


@pytest.mark.parametrize(
    ("text", "amount"), [("100m", "0.1"), ("1.5Gi", "1610612736"), ("1e3", "1000"), ("2M", "2000000"), ("x", "None")]
)
def test_quantities_are_read_with_their_suffix(text, amount):
    found = quantity(text)
    assert str(found.normalize().__format__("f") if found is not None else None) == amount
