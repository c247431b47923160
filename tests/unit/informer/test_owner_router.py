"""Whom a change concerns."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.event_logger import event_of
from scopedcache.informer.delta import Delta
from scopedcache.informer.owner_router import OwnerRouter
from scopedcache.informer.ownership_chain import GONE_REMEMBERED, OwnershipChain
from scopedcache.kinds import GVK, ObjectKey
from scopedcache.objects import Object
from scopedcache.selectors import LabelSelector
from tests.unit.informer.events import entry

POD = GVK("", "v1", "Pod")


class Owner:
    """Notes what it is told. Counts how often it is compared."""

    compared = 0

    def __init__(self, uid, name="", namespace="a"):
        self.uid = uid
        self.key = ObjectKey(namespace, name or uid)
        self.told = []

    def concerned(self, gvk, delta, initial):
        subject = delta.new or delta.old
        self.told.append(subject.metadata.name)

    def __eq__(self, other):
        Owner.compared += 1
        return self is other

    __hash__ = object.__hash__

    def __repr__(self):
        return f"<{self.uid}>"


def told(router, delta, *owners):
    """Return which of the owners are told of a change, and that each is told once."""
    for owner in owners:
        owner.told.clear()
    router.route(delta, False)
    assert all(len(owner.told) <= 1 for owner in owners)
    return [owner for owner in owners if owner.told]


@pytest.fixture
def a():
    return Owner("ua")


@pytest.fixture
def b():
    return Owner("ub")


@pytest.fixture
def router():
    return OwnerRouter(POD)


def test_an_owner_reference_leads_to_its_owner(router, a, b):
    router.add(a)
    router.add(b)
    assert told(router, Delta(None, entry("x", 1, owner="ua")), a, b) == [a]
    assert told(router, Delta(None, entry("x", 1, owner="nobody")), a, b) == []
    assert told(router, Delta(None, entry("x", 1)), a, b) == []


def test_both_owners_hear_of_an_object_that_moves(router, a, b):
    router.add(a)
    router.add(b)
    old, new = entry("x", 1, owner="ua"), entry("x", 2, owner="ub")
    assert told(router, Delta(old, new), a, b) == [a, b]
    assert told(router, Delta(new, entry("x", 3)), a, b) == [b]
    assert told(router, Delta(entry("x", 4), entry("x", 5, owner="ua")), a, b) == [a]


def test_the_last_owner_hears_of_a_removal(router, a):
    router.add(a)
    assert told(router, Delta(entry("x", 1, owner="ua"), None), a) == [a]


def test_several_owners_of_one_object_all_hear(router, a, b):
    references = [{"uid": "ua"}, {"uid": "ub"}, {"uid": "ua"}]
    router.add(a)
    router.add(b)
    assert told(router, Delta(None, entry("x", 1, ownerReferences=references)), a, b) == [a, b]


def test_one_custom_resource_may_be_open_in_several_namespaces(router):
    """With an informer for all namespaces they share one router: closing one must not silence the other."""
    here, there = Owner("ua"), Owner("ua")
    router.add(here)
    router.add(there)
    change = Delta(None, entry("x", 1, owner="ua"))
    assert told(router, change, here, there) == [here, there]
    router.remove(there)
    assert told(router, change, here, there) == [here]
    router.remove(here)
    assert (told(router, change, here, there), len(router)) == ([], 0)


def test_what_was_added_twice_ends_with_the_second_removal(router, a):
    router.add(a, selector=LabelSelector.parse("app=x"))
    router.add(a, selector=LabelSelector.parse("app=y"))
    router.remove(a, selector=LabelSelector.parse("app=y"))
    assert told(router, Delta(None, entry("x", 1, owner="ua")), a) == [a]
    router.remove(a, selector=LabelSelector.parse("app=x"))
    assert told(router, Delta(None, entry("x", 1, owner="ua", labels={"app": "x"})), a) == []


def test_removing_a_stranger_removes_nothing(router, a):
    router.add(a)
    router.remove(Owner("ua"), selector=LabelSelector.parse("app=x"), route=lambda obj: None)
    assert told(router, Delta(None, entry("x", 1, owner="ua")), a) == [a]


# -- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("selector", ["app=x", "app=x,tier=y", "app in (x,z)", "app,!missing", "tier!=other,app=x"])
def test_labels_lead_to_whoever_asked_for_them(router, a, b, selector):
    router.add(a, selector=LabelSelector.parse(selector))
    router.add(b, selector=LabelSelector.parse("app=other"))
    matching, other = {"app": "x", "tier": "y"}, {"tier": "y"}
    assert router.by_content
    assert told(router, Delta(None, entry("x", 1, labels=matching)), a, b) == [a]
    assert told(router, Delta(None, entry("x", 1, labels=other)), a, b) == []
    assert told(router, Delta(entry("x", 1, labels=matching), entry("x", 2, labels=other)), a, b) == [a]
    router.remove(a, selector=LabelSelector.parse(selector))
    router.remove(b, selector=LabelSelector.parse("app=other"))
    assert (told(router, Delta(None, entry("x", 1, labels=matching)), a, b), router.by_content) == ([], False)


_labels = st.dictionaries(st.sampled_from(["p", "q"]), st.sampled_from(["1", "22"]), max_size=2)
_selectors = st.sampled_from(["p=1", "p=22", "q=1", "p=1,q=22", "p in (1,22)", "!q", "p!=1", "p=22,q"])


@given(st.lists(_selectors, max_size=5), _labels, _labels)
def test_routing_by_labels_is_the_same_as_asking_every_selector(selectors, before, after):
    router = OwnerRouter(POD)
    owners = [(LabelSelector.parse(text), Owner(f"u{n}")) for n, text in enumerate(selectors)]
    for selector, owner in owners:
        router.add(owner, selector=selector)
    change = Delta(entry("x", 1, labels=before), entry("x", 2, labels=after))
    expected = {owner.uid for selector, owner in owners if selector.matches(before) or selector.matches(after)}
    if before == after:
        expected = {owner.uid for selector, owner in owners if selector.matches(after)}
    assert {owner.uid for owner in told(router, change, *(owner for _, owner in owners))} == expected


def test_ten_thousand_owners_are_not_searched():
    """Counted are comparisons, not seconds."""
    router = OwnerRouter(POD)
    owners = [Owner(f"u{n}") for n in range(10_000)]
    for n, owner in enumerate(owners):
        router.add(owner, selector=LabelSelector.parse({"app": "memcached", "instance": f"instance-{n}"}))
    Owner.compared = 0

    concerned = told(
        router,
        Delta(None, entry("x", 1, owner="u77", labels={"app": "memcached", "instance": "instance-4711"})),
        owners[77],
        owners[4711],
    )

    assert concerned == [owners[77], owners[4711]]
    assert Owner.compared < 10


# -- functions -------------------------------------------------------------------------------------------------------


def test_a_function_names_its_owner_by_key_or_by_uid(router, a, b):
    def by_key(obj):
        return ObjectKey("a", obj.annotations["belongs-to"]) if "belongs-to" in obj.annotations else None

    def by_uid(obj):
        return obj.annotations.get("uid")

    router.add(a, route=by_key)
    router.add(b, route=by_uid)
    assert told(router, Delta(None, entry("x", 1, annotations={"belongs-to": "ua"})), a, b) == [a]
    assert told(router, Delta(None, entry("x", 1, annotations={"uid": "ub"})), a, b) == [b]
    assert told(router, Delta(None, entry("x", 1)), a, b) == []
    moved = Delta(entry("x", 1, annotations={"uid": "ub"}), entry("x", 2, annotations={"uid": "ua"}))
    assert told(router, moved, a, b) == [a, b]


def test_a_function_ends_with_the_last_owner_that_brought_it(router, a, b):
    asked: list[Object] = []
    router.add(a, route=asked.append)
    router.add(b, route=asked.append)
    router.remove(a, route=asked.append)
    router.route(Delta(None, entry("x", 1)), False)
    router.remove(b, route=asked.append)
    router.route(Delta(None, entry("x", 1)), False)
    assert (len(asked), router.by_content) == (1, False)


@pytest.mark.parametrize("wrong", [lambda obj: 1 / 0, lambda obj: [["a", "list"]], lambda obj: obj["spec"]["missing"]])
def test_a_function_that_fails_names_nobody_and_is_reported_once(router, a, b, wrong, caplog):
    router.add(a, route=wrong)
    router.add(b)
    change = Delta(None, entry("x", 1, owner="ub"))
    assert told(router, change, a, b) == told(router, change, a, b) == [b]
    assert [event_of(record) for record in caplog.records] == ["route.failed"]


def test_each_function_reads_an_object_of_its_own(router, a, b):
    def vandal(obj):
        obj["metadata"].clear()

    router.add(a, route=vandal)
    router.add(b, route=lambda obj: obj["metadata"]["annotations"]["uid"])
    one = entry("x", 1, annotations={"uid": "ub"})
    assert told(router, Delta(None, one), a, b) == [b]


# -- chains ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def chain():
    return OwnershipChain()


@pytest.fixture
def sets(chain, a):
    """The router of ReplicaSets, which belong to `a`."""
    router = OwnerRouter(GVK("apps", "v1", "ReplicaSet"), chain)
    router.add(a)
    return router


@pytest.fixture
def pods(chain, a):
    router = OwnerRouter(POD, chain)
    router.add(a)
    return router


SET = entry("set", 1, uid="rs", owner="ua")
POD_OF_SET = entry("x", 2, owner="rs")


def test_a_chain_of_owners_leads_to_the_first(sets, pods, a, chain):
    assert told(pods, Delta(None, POD_OF_SET), a) == []
    sets.route(Delta(None, SET), True)
    assert told(pods, Delta(None, POD_OF_SET), a) == [a]
    assert set(pods.chained(a)) == {"rs", "uid-x"}


def test_what_outlives_its_owner_still_concerns_the_first(sets, pods, a):
    """The garbage collector deletes the ReplicaSet first, and its Pods after that."""
    sets.route(Delta(None, SET), True)
    sets.route(Delta(SET, None), False)
    assert told(pods, Delta(POD_OF_SET, None), a) == [a]


def test_an_object_that_changes_hands_takes_its_children_along(sets, pods, a, b):
    sets.add(b)
    pods.add(b)
    sets.route(Delta(None, SET), True)
    sets.route(Delta(SET, entry("set", 3, uid="rs", owner="ub")), False)
    assert told(pods, Delta(None, POD_OF_SET), a, b) == [b]


def test_an_object_that_loses_its_owner_leads_nowhere(sets, pods, a):
    sets.route(Delta(None, SET), True)
    sets.route(Delta(SET, entry("set", 3, uid="rs")), False)
    assert told(pods, Delta(None, POD_OF_SET), a) == []


def test_what_several_owners_share_is_nobodys_chain(sets, pods, a, b):
    sets.add(b)
    pods.add(b)
    sets.route(Delta(None, entry("set", 1, uid="rs", ownerReferences=[{"uid": "ua"}, {"uid": "ub"}])), True)
    assert told(pods, Delta(None, POD_OF_SET), a, b) == []


def test_a_chain_leads_to_every_namespace_of_one_custom_resource(sets, pods, a):
    there = Owner("ua")
    sets.add(there)
    pods.add(there)
    sets.route(Delta(None, SET), True)
    assert told(pods, Delta(None, POD_OF_SET), a, there) == [a, there]


def test_an_object_recreated_under_its_name_begins_a_new_chain(sets, pods, a):
    sets.route(Delta(None, SET), True)
    sets.route(Delta(SET, entry("set", 9, uid="rs2", owner="ua")), False)
    assert told(pods, Delta(None, entry("y", 10, owner="rs2")), a) == [a]


def test_dropping_an_owner_forgets_all_that_leads_to_it(sets, pods, a, chain):
    sets.route(Delta(None, SET), True)
    pods.route(Delta(None, POD_OF_SET), True)
    sets.route(Delta(SET, None), False)
    chain.drop(a)
    chain.drop(a)
    assert (len(chain), list(chain.owned(a)), chain.gone_uids) == (0, [], set())


def test_dropping_one_of_two_leaves_the_other(chain, a):
    there = Owner("ua")
    chain.link("rs", (a, there))
    chain.drop(a)
    assert (chain.find("rs"), list(chain.owned(there))) == ((there,), ["rs"])


def test_only_so_many_of_the_deleted_are_remembered(sets, a, chain):
    for number in range(GONE_REMEMBERED + 10):
        one = entry("set", number + 1, uid=f"rs{number}", owner="ua")
        sets.route(Delta(None, one), False)
        sets.route(Delta(one, None), False)
    assert (len(chain), len(chain.gone_uids), chain.find("rs0"), chain.find(f"rs{GONE_REMEMBERED + 9}")) == (
        GONE_REMEMBERED,
        GONE_REMEMBERED,
        (),
        (a,),
    )


_steps: st.SearchStrategy[list[Any]] = st.lists(
    st.one_of(
        st.tuples(st.just("link"), st.sampled_from("xyz"), st.sets(st.integers(0, 2), min_size=1)),
        st.tuples(st.sampled_from(["unlink", "gone"]), st.sampled_from("xyz"), st.just(frozenset())),
        st.tuples(st.just("drop"), st.just(""), st.sets(st.integers(0, 2), min_size=1, max_size=1)),
    ),
    max_size=30,
)


@given(_steps)
def test_both_directions_of_a_chain_always_agree(steps):
    chain, owners = OwnershipChain(), [Owner(f"u{n}") for n in range(3)]
    for step, uid, chosen in steps:
        if step == "drop":
            chain.drop(owners[next(iter(chosen))])
        elif step == "link":
            chain.link(uid, tuple(owners[n] for n in sorted(chosen)))
        else:
            getattr(chain, step)(uid)
        forward = {(uid, owner.uid) for uid in "xyz" for owner in chain.find(uid)}
        backward = {(uid, owner.uid) for owner in owners for uid in chain.owned(owner)}
        assert forward == backward
        assert chain.gone_uids <= {uid for uid, _ in forward}


def test_a_route_may_name_several_owners_by_key_and_by_UID(router, a, b):
    c = Owner("uc")
    for owner in (a, b, c):
        router.add(owner, route=shared)

    assert told(router, Delta(None, entry("p", 1)), a, b, c) == [a, b]


def shared(obj):
    return ["ua", ObjectKey("a", "ub"), "nobody"]


def test_a_route_may_name_a_set_or_nobody(router, a, b):
    router.add(a, route=lambda obj: {"ua"})
    router.add(b, route=lambda obj: [])

    assert told(router, Delta(None, entry("p", 1)), a, b) == [a]


def test_who_asked_for_a_name_hears_of_it_and_does_not_own_it(router, a, b):
    router.add(a, name="p")
    router.add(b)
    named, other = entry("p", 1), entry("q", 1)

    assert told(router, Delta(None, named), a, b) == [a]
    assert told(router, Delta(named, None), a, b) == [a]
    assert told(router, Delta(None, other), a, b) == []
    assert router.owners_of(named) == {}
    router.remove(a, name="p")
    assert told(router, Delta(None, named), a, b) == []
