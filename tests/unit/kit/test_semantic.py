"""When two writings mean the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.kit.quantity import amount as quantity
from scopedcache.kit.semantic import contains, equal

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


@pytest.mark.parametrize(
    ("live", "wanted"),
    [
        ({"a": 1, "default": 2}, {"a": 1}),
        ({"ports": [{"port": 80, "protocol": "TCP"}]}, {"ports": [{"port": 80}]}),
        ({"limits": [{"type": "Pod", "max": {"cpu": "4"}}]}, {"limits": [{"type": "Pod", "max": {"cpu": "4000m"}}]}),
        ({"spec": {"hard": {"pods": "10", "count/x": "1"}}}, {"spec": {"hard": {"pods": 10}}}),
        ({}, {"data": {}, "note": None, "list": []}),
        ({"finalizers": ["theirs", "ours"]}, {"finalizers": ["ours"]}),
        (
            {"containers": [{"name": "sidecar"}, {"name": "c", "image": "i", "resources": {}}]},
            {"containers": [{"name": "c", "image": "i"}]},
        ),
        ({"size": 1.0}, {"size": 1}),
        ({"namespaceSelector": {}}, {"namespaceSelector": {}}),
    ],
)
def test_what_is_wanted_is_there_whatever_else_is(live, wanted):
    assert contains(live, wanted)


@pytest.mark.parametrize(
    ("live", "wanted"),
    [
        ({}, {"namespaceSelector": {}}),
        ({"a": 1}, {"a": 2}),
        ({"a": True}, {"a": 1}),
        ({"a": "1"}, {"a": 1}),
        ({"ingress": [{}, {}]}, {"ingress": [{}]}),
        ({"ingress": [{}]}, {"ingress": []}),
        ({"containers": [{"name": "other"}]}, {"containers": [{"name": "c"}]}),
        ({"containers": "odd"}, {"containers": [{"name": "c"}]}),
        ({"hard": {"pods": "10"}}, {"hard": {"pods": "11"}}),
        (None, {"a": {"b": 1}}),
    ],
)
def test_what_is_wanted_and_not_there_is_seen(live, wanted):
    assert not contains(live, wanted)


@given(JSON)
def test_everything_contains_itself(value):
    assert contains(value, value)
