"""What is held, and what each change to it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.informer.delta import Delta, Key
from scopedcache.informer.own_writes import OWN_WRITES_REMEMBERED
from scopedcache.informer.store import Store
from scopedcache.kinds import ObjectKey
from scopedcache.objects import Entry, is_newer
from tests.unit.informer.events import entry

A, B, C = (("a", name) for name in "xyz")


def snapshot(*entries):
    return {(one.metadata.namespace, one.metadata.name): one for one in entries}


def replace(store, *entries, version="100", seen=""):
    return list(store.replace(snapshot(*entries), version, seen))


def words(deltas):
    """Return deltas in short: `+x@1`, `x@1→2`, `-x@2`, with `?` where nobody saw the removal."""
    return [word(delta) for delta in deltas if delta is not None]


def word(delta):
    old, new = delta.old and delta.old.metadata, delta.new and delta.new.metadata
    if old is None:
        return f"+{new.name}@{new.resource_version}"
    if new is None:
        return f"-{old.name}@{old.resource_version}" + "?" * delta.final_state_unknown
    return f"{old.name}@{old.resource_version}→{new.resource_version}"


def held(store):
    return {key[1]: one.metadata.resource_version for key, one in store.entries.items()}


# -- events ----------------------------------------------------------------------------------------------------------


def test_an_event_says_what_it_changed():
    store = Store()
    deltas = [store.put(entry("x", 1)), store.put(entry("x", 2)), store.remove(entry("x", 3))]
    assert (words(deltas), len(store)) == (["+x@1", "x@1→2", "-x@2"], 0)


def test_a_removal_carries_the_state_it_was_announced_with():
    store = Store()
    store.put(entry("x", 1))
    assert store.remove(entry("x", 3, labels={"last": "words"})) == Delta(
        entry("x", 1), None, entry("x", 3, labels={"last": "words"})
    )


@pytest.mark.parametrize("version", [5, 4, 1])
def test_an_event_that_is_not_newer_changes_nothing(version):
    store = Store()
    store.put(entry("x", 5))
    assert (store.put(entry("x", version)), held(store)) == (None, {"x": "5"})


def test_opaque_versions_are_taken_in_the_order_they_come():
    store = Store()
    deltas = [store.put(entry("x", version)) for version in ("b", "a", "a", "c")]
    assert words(deltas) == ["+x@b", "x@b→a", "x@a→c"]


def test_the_removal_of_what_is_not_held_changes_nothing():
    assert Store().remove(entry("x", 1)) is None


def test_a_late_removal_leaves_the_newer_object_of_the_same_name():
    store = Store()
    store.put(entry("x", 5, uid="second"))
    assert (store.remove(entry("x", 4, uid="first")), held(store)) == (None, {"x": "5"})


def test_an_object_recreated_under_the_same_name_replaces_the_old_one():
    store = Store()
    store.put(entry("x", 1, uid="first"))
    delta = store.put(entry("x", 5, uid="second"))
    assert delta is not None
    assert [one and one.metadata.uid for one in (delta.old, delta.new)] == ["first", "second"]


names = st.sampled_from("xyz")
events = st.lists(st.tuples(st.sampled_from(["put", "remove", "write"]), names, st.integers(1, 30)), max_size=40)


@given(events)
def test_no_order_of_events_brings_an_object_back_in_time(steps):
    store = Store()
    for step, name, version in steps:
        before = store.get(("a", name))
        if step == "put":
            store.put(entry(name, version))
        elif step == "write":
            store.put_own(entry(name, version), "10")
        else:
            store.remove(entry(name, version))
        after = store.get(("a", name))
        if before is not None and after is not None and before is not after:
            assert is_newer(after.metadata.resource_version, before.metadata.resource_version)


@given(events)
def test_the_deltas_of_events_add_up_to_what_is_held(steps):
    store = Store()
    told: dict[Key, Entry] = {}
    for step, name, version in steps:
        delta = store.remove(entry(name, version)) if step == "remove" else store.put(entry(name, version))
        apply(told, delta)
    assert told == store.entries


def apply(told, delta):
    """Do what a listener does; a delta that does not fit what was told before is an error."""
    if delta is None:
        return
    subject = delta.new or delta.old
    key = (subject.metadata.namespace, subject.metadata.name)
    assert told.get(key) == delta.old
    if delta.new is None:
        del told[key]
    else:
        told[key] = delta.new


# -- our own writes --------------------------------------------------------------------------------------------------


def test_our_own_write_is_seen_at_once_and_its_event_brings_nothing_new():
    store = Store()
    store.put(entry("x", 5))
    deltas = [
        store.put_own(entry("x", 7), "5"),
        store.put(entry("x", 6)),
        store.put(entry("x", 7)),
        store.put(entry("x", 8)),
    ]
    assert words(deltas) == ["x@5→7", "x@7→8"]


def test_the_late_answer_to_a_write_does_not_bring_back_what_was_deleted_after_it():
    """MODIFIED 6, DELETED 7 came first, then the answer 6: no event would ever remove it again."""
    store = Store()
    store.put(entry("x", 5))
    store.put(entry("x", 6))
    store.remove(entry("x", 7))
    assert (store.put_own(entry("x", 6), seen="7"), len(store)) == (None, 0)


def test_the_answer_to_a_write_that_comes_while_a_list_is_applied_brings_back_nothing_that_the_list_shows_as_gone():
    store = Store()
    store.put(entry("x", version=1))
    store.put(entry("y", version=2))
    applying = store.replace(snapshot(entry("y", version=9)), "10", "2")
    assert word(next(applying)) == "-x@1?"

    assert store.put_own(entry("x", version=5), "2") is None  # written at 5, gone by 10: its event came before the list

    assert words(applying) == ["y@2→9"]
    assert held(store) == {"y": "9"}


def test_the_answer_to_a_write_that_comes_while_a_list_is_applied_is_read_at_once_where_the_list_has_the_object():
    store = Store()
    store.put(entry("x", version=1))
    applying = store.replace(snapshot(entry("y", version=9)), "10", "2")
    next(applying)

    assert word(store.put_own(entry("y", version=5), "2")) == "+y@5"
    assert word(store.put_own(entry("z", version=11), "2")) == "+z@11"

    assert words(applying) == ["y@5→9"]
    assert held(store) == {"y": "9", "z": "11"}


def test_after_a_list_was_applied_writes_are_measured_by_events_again():
    store = Store()
    replace(store, version="10")
    assert word(store.put_own(entry("x", version=11), "10")) == "+x@11"


def test_what_our_own_delete_removed_no_late_event_brings_back():
    store = Store()
    store.put(entry("x", 5))
    gone = store.remove_own(ObjectKey("a", "x"), "uid-x")
    late = store.put(entry("x", 6))
    told = store.remove(entry("x", 7))
    again = store.put(entry("x", 9, uid="second"))
    assert words([gone, late, told, again]) == ["-x@5", "+x@9"]


@pytest.mark.parametrize(("key", "uid"), [(ObjectKey("a", "x"), "another"), (ObjectKey("a", "y"), "uid-y")])
def test_a_delete_of_something_else_removes_nothing(key, uid):
    store = Store()
    store.put(entry("x", 5))
    assert (store.remove_own(key, uid), held(store), store.put(entry("x", 6)) is not None) == (None, {"x": "5"}, True)


def test_writes_that_events_have_passed_are_forgotten():
    store = Store()
    for number in range(1, 3 * OWN_WRITES_REMEMBERED):
        store.put_own(entry(f"x{number}", number), str(number - 1))
    assert len(store.own_writes) <= OWN_WRITES_REMEMBERED


# -- lists -----------------------------------------------------------------------------------------------------------


def test_a_list_yields_what_changed_and_nothing_else():
    store = Store()
    replace(store, entry("x", 1), entry("y", 2), entry("z", 3))
    assert words(replace(store, entry("x", 1), entry("y", 5), entry("new", 6))) == ["-z@3?", "y@2→5", "+new@6"]


def test_each_change_of_a_list_is_made_as_it_is_told():
    store = Store()
    replace(store, entry("x", 1))
    seen = []
    for _ in store.replace(snapshot(entry("y", 2), entry("z", 3)), "3"):
        seen.append(sorted(held(store)))
    assert seen == [[], ["y"], ["y", "z"]]


_contents = st.dictionaries(names, st.integers(1, 50), max_size=3)


@given(_contents, _contents)
def test_a_list_leaves_exactly_what_it_shows(before, after):
    store = Store()
    told: dict[Key, Entry] = {}
    for delta in replace(store, *(entry(name, version) for name, version in before.items())):
        apply(told, delta)
    for delta in replace(store, *(entry(name, version) for name, version in after.items())):
        apply(told, delta)
    assert held(store) == {name: str(version) for name, version in after.items()}
    assert told == store.entries


def test_a_list_of_a_restored_server_is_right_although_it_is_older():
    """etcd was restored from a backup: versions start again lower, and what is held would never be replaced."""
    store = Store()
    replace(store, entry("x", 80), entry("y", 90), version="100")
    assert words(replace(store, entry("x", 50), version="60", seen="100")) == ["-y@90?", "x@80→50"]


def test_what_we_wrote_after_a_list_was_taken_stays():
    store = Store()
    replace(store, entry("x", 5), version="10")
    store.put_own(entry("x", 12), "10")
    store.put_own(entry("new", 13), "10")
    deltas = replace(store, entry("x", 5), version="11", seen="10")
    assert (words(deltas), held(store)) == ([], {"x": "12", "new": "13"})


def test_what_we_wrote_before_a_list_was_taken_is_as_the_list_says():
    store = Store()
    replace(store, entry("x", 5), version="10")
    store.put_own(entry("x", 12), "10")
    store.put_own(entry("new", 13), "10")
    assert words(replace(store, entry("x", 14), version="20", seen="10")) == ["-new@13?", "x@12→14"]


def test_what_we_wrote_before_a_server_was_restored_does_not_stay():
    store = Store()
    replace(store, entry("x", 5), version="10")
    store.put_own(entry("x", 12), "10")
    assert words(replace(store, entry("x", 5), version="7", seen="12")) == ["x@12→5"]


def test_a_list_taken_before_our_delete_does_not_show_the_object_again():
    store = Store()
    replace(store, entry("x", 5), entry("y", 6), version="10")
    store.remove_own(A, "uid-x")
    deltas = replace(store, entry("x", 5), entry("y", 6), version="11", seen="10")
    told = store.remove(entry("x", 12))
    assert (words([*deltas, told]), held(store)) == ([], {"y": "6"})


def test_a_list_without_it_ends_what_a_delete_left():
    store = Store()
    replace(store, entry("x", 5), version="10")
    store.remove_own(A, "uid-x")
    replace(store, version="20")
    assert store.own_writes.gone == {}


def test_what_is_written_and_deleted_between_the_slices_of_a_list_stays_so():
    store = Store()
    replace(store, entry("x", 5), entry("y", 6), version="10")
    slices = store.replace(snapshot(entry("x", 11), entry("y", 12), entry("z", 13)), "20", "10")
    first = next(slices)
    store.put_own(entry("y", 21), "10")
    store.put_own(entry("new", 22), "10")
    rest = list(slices)
    assert words([first, *rest]) == ["x@5→11", "+z@13"]
    assert held(store) == {"x": "11", "y": "21", "z": "13", "new": "22"}


# -- what was lost ---------------------------------------------------------------------------------------------------


def test_a_purge_keeps_only_who_was_there():
    store = Store({C: "uid-z"})
    store.put(entry("x", 1))
    purged_keys, left = store.purge(), len(store)
    before = dict(purged_keys)
    for _ in purged_keys.bury():
        pass
    assert (before, left, dict(store.purge())) == ({A: "uid-x", C: "uid-z"}, 0, {})
    assert (dict(purged_keys), purged_keys.take()) == (before, before)


def test_what_does_not_come_back_after_a_loss_is_told_as_deleted_with_its_name_alone():
    store = Store({A: "uid-x", B: "first", C: "uid-z"})
    deltas = replace(store, entry("z", 3), entry("y", 9, uid="second"))
    purged_keys = [delta for delta in deltas if delta.final_state_unknown]
    assert sorted(words(deltas)) == ["+y@9", "+z@3", "-x@?", "-y@?"]
    assert {(ghost.old.metadata.name, ghost.old.metadata.uid) for ghost in purged_keys} == {
        ("x", "uid-x"),
        ("y", "first"),
    }
    assert b'"name":"x"' in next(ghost.old.raw for ghost in purged_keys if ghost.old.metadata.name == "x")


def test_what_was_lost_is_told_once():
    store = Store({A: "uid-x"})
    assert (words(replace(store)), words(replace(store))) == (["-x@?"], [])


def test_a_list_that_was_broken_off_goes_on_where_it_stopped():
    store = Store({A: "uid-x", B: "uid-y"})
    first = next(store.replace({}, "10"))
    rest = replace(store)
    assert sorted(words([first, *rest])) == ["-x@?", "-y@?"]


# -- what could not be passed on -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.put(entry("new", 5)),
        lambda store: store.put(entry("x", 5)),
        lambda store: store.remove(entry("x", 5)),
    ],
)
def test_a_reverted_change_comes_again_with_the_next_list(change):
    store = Store()
    replace(store, entry("x", 1))
    before = held(store)
    delta = change(store)
    listed = list(store.entries.values())

    store.revert(delta)

    assert held(store) == before
    again = replace(store, *listed)
    assert [(one.old, one.new) for one in again] == [(delta.old, delta.new)]
