"""Indexes answer what a search through everything would."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.errors import NoSuchIndexError
from scopedcache.event_logger import event_of
from scopedcache.informer.delta import Delta
from scopedcache.informer.indexer import MAX_INDEX_VALUES, Indexer
from scopedcache.informer.store import Store
from scopedcache.kinds import GVK
from scopedcache.selectors import LabelSelector
from tests.unit.informer.events import entry

POD = GVK("", "v1", "Pod")


def names(keys):
    return sorted(key[1] for key in keys)


def colour(obj):
    return obj.labels.get("colour")


changes = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "remove"]),
        st.sampled_from("abcd"),
        st.sampled_from(["n1", "n2"]),
        st.sampled_from([None, "o1", "o2"]),
        st.dictionaries(st.sampled_from(["app", "colour"]), st.sampled_from(["x", "y", "z"]), max_size=2),
    ),
    max_size=30,
)


@given(changes, st.integers(0, 30))
def test_every_index_finds_what_a_search_through_everything_finds(steps, asked_at):
    """The indexes of labels, namespaces and functions begin in the middle of things, when they are first asked for."""
    store, indexer = Store(), Indexer(POD)
    entries = store.entries

    def ask():
        held = entries.values()
        indexer.add_function("colour", colour, held)
        for selector in ("app=x", "app=x,colour=y"):
            wanted = LabelSelector.parse(selector)
            found = indexer.candidates(wanted, held)
            assert found is not None
            assert names(k for k in found if wanted.matches(entries[k].metadata.labels or {})) == names(
                k for k, e in entries.items() if wanted.matches(e.metadata.labels or {})
            )
        for namespace in ("n1", "n2"):
            assert names(indexer.by_namespace(namespace, held)) == names(k for k in entries if k[0] == namespace)
        for owner in ("o1", "o2"):
            owned = [k for k, e in entries.items() if any(r.uid == owner for r in e.metadata.owner_references or ())]
            assert names(indexer.by_owner(owner)) == names(owned)
        for value in ("x", "y", "z"):
            coloured = [k for k, e in entries.items() if (e.metadata.labels or {}).get("colour") == value]
            assert names(indexer.by_function("colour", value)) == names(coloured)

    for number, (step, name, namespace, owner, labels) in enumerate(steps, 1):
        one = entry(name, number, namespace=namespace, owner=owner, labels=labels)
        delta = store.put(one) if step == "put" else store.remove(one)
        if delta is not None:
            indexer.update(delta)
        if number >= asked_at:
            ask()
    ask()
    indexer.clear()
    assert indexer.sizes() == {"colour": 0}
    assert names(indexer.by_owner("o1")) == []
    for _ in indexer.rebuild(entries.values()):
        pass
    ask()


def test_a_selector_without_exact_values_has_no_index():
    assert Indexer(POD).candidates(LabelSelector.parse("app,x!=y"), []) is None


def test_the_smallest_set_of_candidates_is_taken():
    indexer = Indexer(POD)
    held = [entry(str(n), 1, labels={"app": "all", "name": str(n)}) for n in range(9)]
    assert names(indexer.candidates(LabelSelector.parse("app=all,name=5"), held) or ()) == ["5"]


# -- functions of the user -------------------------------------------------------------------------------------------


def with_function(function, *held):
    indexer = Indexer(POD)
    indexer.add_function("f", function, held)
    return indexer


@pytest.mark.parametrize(
    ("answer", "values"),
    [(None, []), ("a", ["a"]), (["a", "b"], ["a", "b"]), (("a", "a"), ["a"]), ([], []), ("", [""])],
)
def test_a_function_names_none_one_or_several_values(answer, values):
    indexer = with_function(lambda obj: answer, entry("x", 1))
    assert [value for value in ("", "a", "b") if indexer.by_function("f", value)] == values


def test_an_index_nobody_added_names_those_that_are_there():
    indexer = with_function(colour)
    with pytest.raises(NoSuchIndexError, match="no index 'g' for Pod; there are: f"):
        indexer.by_function("g", "x")


def test_an_index_is_added_once():
    indexer = with_function(lambda obj: "first", entry("x", 1))
    indexer.add_function("f", lambda obj: "second", [entry("x", 1)])
    assert (names(indexer.by_function("f", "first")), names(indexer.by_function("f", "second"))) == (["x"], [])


@pytest.mark.parametrize(
    "answer", [[1], 5, [str(n) for n in range(MAX_INDEX_VALUES + 1)], [None], itertools.count(), {"a": 1}.items()]
)
def test_an_answer_that_is_no_few_strings_is_a_failure(answer, caplog):
    indexer = with_function(lambda obj: answer, entry("x", 1))
    assert indexer.sizes() == {"f": 0}
    assert [(record.levelname, event_of(record)) for record in caplog.records] == [("ERROR", "index.failed")]


@pytest.mark.parametrize("raised", [ZeroDivisionError(), asyncio.CancelledError(), SystemExit(1), GeneratorExit()])
def test_a_function_that_fails_for_one_object_finds_the_others(raised, caplog):
    def name(obj):
        if obj.name == "odd":
            raise raised
        return "named"

    indexer = with_function(name, entry("x", 1), entry("odd", 2), entry("y", 3))
    assert names(indexer.by_function("f", "named")) == ["x", "y"]
    (record,) = caplog.records
    said = {name: record.__dict__[name] for name in ("kind", "object", "error")}
    assert (event_of(record), said) == (
        "index.failed", {"kind": "Pod", "object": "a/odd", "error": type(raised).__name__},
    )  # fmt: skip


def test_an_object_that_a_function_fails_for_is_found_under_nothing_any_more_and_everywhere_else():
    indexer = Indexer(POD)
    old, new = entry("x", 1, owner="o1", labels={"colour": "red"}), entry("x", 2, owner="o2")
    indexer.update(Delta(None, old))
    indexer.add_function("colour", colour, [old])
    indexer.add_function("strict", lambda obj: obj.labels["colour"], [old])
    indexer.update(Delta(old, new))
    assert names(indexer.by_owner("o2")) == ["x"]
    assert names(indexer.by_owner("o1")) == names(indexer.by_function("strict", "red")) == []


def test_a_function_whose_answers_change_leaves_nothing_behind():
    answers = iter("abc")
    indexer = with_function(lambda obj: next(answers))
    first, second = entry("x", 1), entry("x", 2)
    indexer.update(Delta(None, first))
    indexer.update(Delta(first, second))
    assert [names(indexer.by_function("f", value)) for value in "ab"] == [[], ["x"]]
    indexer.update(Delta(second, None))
    assert indexer.sizes() == {"f": 0}


def test_a_function_is_asked_once_for_each_state_of_an_object():
    asked = []
    indexer = with_function(lambda obj: asked.append(obj.resource_version))
    first, second = entry("x", 1), entry("x", 2)
    for delta in (Delta(None, first), Delta(first, second), Delta(second, None)):
        indexer.update(delta)
    assert asked == ["1", "2"]


def test_a_function_cannot_reach_what_is_held():
    def vandal(obj):
        obj["metadata"]["labels"]["app"] = "mine"

    one = entry("x", 1, labels={"app": "x"})
    raw = one.raw
    with_function(vandal, one)
    assert (one.metadata.labels, one.raw) == ({"app": "x"}, raw)
