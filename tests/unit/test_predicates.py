"""Which changes pass."""

import asyncio

import pytest

from scopedcache.controller.mapping import ContainedWatch, Watch, owner_mapper
from scopedcache.controller.request import Request
from scopedcache.kinds import GVK, GVR, ObjectKey, Resource
from scopedcache.objects import Object
from scopedcache.predicates import (
    Change,
    Predicate,
    by_annotation,
    by_label,
    by_name,
    by_owner,
    generation_changed,
    passes,
)

MEMCACHED = GVK("cache.example.com", "v1alpha1", "Memcached")


def pod(name="pod", *, labels=None, annotations=None, owners=(), **metadata):
    references = [
        {"apiVersion": api, "kind": kind, "name": n, "uid": f"u-{n}", **more} for api, kind, n, more in owners
    ]
    body = {"name": name, "namespace": "a", "labels": labels, "annotations": annotations, **metadata}
    return Object.from_dict(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {**body, "ownerReferences": references or None}}
    )


def owned(name, api="cache.example.com/v1alpha1", kind="Memcached", **more):
    return pod(owners=[(api, kind, name, more)])


@pytest.mark.parametrize(
    ("predicate", "passing", "failing"),
    [
        (by_name("x"), pod("x"), pod("y")),
        (by_name(["x", "y"]), pod("y"), pod("z")),
        (by_label("app=web"), pod(labels={"app": "web"}), pod(labels={"app": "db"})),
        (by_label({"app": "web"}), pod(labels={"app": "web", "more": "1"}), pod()),
        (by_annotation("paused"), pod(annotations={"paused": ""}), pod()),
        (by_annotation("paused", "yes"), pod(annotations={"paused": "yes"}), pod(annotations={"paused": "no"})),
        (by_owner(MEMCACHED), owned("m"), owned("m", kind="Other")),
        (by_owner(MEMCACHED), owned("m", api="cache.example.com/v2"), owned("m", api="other.example.com/v1alpha1")),
        (by_owner(MEMCACHED, "m"), owned("m"), owned("n")),
        (by_owner(MEMCACHED, controller_only=True), owned("m", controller=True), owned("m")),
    ],
    ids=lambda value: repr(value) if hasattr(value, "words") else "",
)
def test_a_predicate_passes_what_its_words_say(predicate, passing, failing):
    assert passes([predicate], Change.added(passing))
    assert passes([predicate], Change.deleted(passing))
    assert not passes([predicate], Change.added(failing))


def test_predicates_compose():
    x_but_not_web = by_name("x") & ~by_label("app=web")
    either = by_name("x") | by_label("app=web")

    assert passes([x_but_not_web], Change.added(pod("x")))
    assert not passes([x_but_not_web], Change.added(pod("x", labels={"app": "web"})))
    assert passes([either], Change.added(pod("y", labels={"app": "web"})))
    assert not passes([either], Change.added(pod("y")))


def test_all_predicates_of_a_list_must_pass():
    assert not passes([by_name("x"), by_name("y")], Change.added(pod("x")))
    assert passes([], Change.added(pod("x")))


def test_an_object_that_leaves_a_selection_passes_as_does_one_that_enters_it():
    web, db, other = pod(labels={"app": "web"}), pod(labels={"app": "db"}), pod(labels={"app": "x"})

    assert passes([by_label("app=web")], Change.updated(web, db))
    assert passes([by_label("app=web")], Change.updated(db, web))
    assert passes([~by_label("app=web")], Change.updated(db, web))
    assert not passes([by_label("app=web")], Change.updated(db, other))


def test_a_change_of_the_wish_passes_and_a_change_of_the_status_does_not():
    one, two = pod(generation=1), pod(generation=2)

    assert passes([generation_changed()], Change.updated(one, two))
    assert not passes([generation_changed()], Change.updated(two, two))
    assert passes([generation_changed()], Change.added(one))
    assert passes([generation_changed()], Change.deleted(one))


def test_an_object_whose_wishes_are_not_counted_always_passes():
    assert passes([generation_changed()], Change.updated(pod(), pod()))


def test_an_object_recreated_or_marked_for_deletion_has_a_new_wish():
    before = pod(generation=1, uid="1")
    marked = pod(generation=1, uid="1", deletionTimestamp="2026-01-01T00:00:00Z")

    assert passes([generation_changed()], Change.updated(before, pod(generation=1, uid="2")))
    assert passes([generation_changed()], Change.updated(before, marked))


def test_a_predicate_reads_as_words():
    assert repr(by_name("x") & ~by_label("app=web")) == "<Predicate (named x and not labelled app=web)>"


def resource(namespaced=True):
    return Resource(GVR("cache.example.com", "v1alpha1", "memcacheds"), MEMCACHED, namespaced)


def test_an_owned_object_maps_to_its_owners_of_the_kind_in_its_namespace():
    child = pod(owners=[("cache.example.com/v1", "Memcached", "m", {}), ("apps/v1", "ReplicaSet", "r", {})])

    assert list(owner_mapper(resource())(child)) == [ObjectKey("a", "m")]


def test_an_owned_object_maps_to_a_cluster_scoped_owner_without_namespace():
    assert list(owner_mapper(resource(namespaced=False))(owned("m"))) == [ObjectKey("", "m")]


def keys_of(watch, change):
    return ContainedWatch(watch, controller="web", kind="Pod").keys(change)


def test_an_update_concerns_the_owner_before_and_the_owner_after():
    watch = Watch("pods", owner_mapper(resource()))

    assert keys_of(watch, Change.updated(owned("old"), owned("new"))) == (ObjectKey("a", "new"), ObjectKey("a", "old"))


def test_each_key_is_named_once():
    watch = Watch("pods", lambda obj: [ObjectKey("a", "m"), Request(ObjectKey("a", "m"))])

    assert keys_of(watch, Change.updated(pod(), pod())) == (ObjectKey("a", "m"),)


def test_what_does_not_pass_concerns_nobody():
    watch = Watch("pods", lambda obj: [ObjectKey("a", "m")], predicates=[by_name("other")])

    assert keys_of(watch, Change.added(pod())) == ()


# -- functions that fail -----------------------------------------------------------------------------------------------

RAISED = [ValueError, asyncio.CancelledError, SystemExit, GeneratorExit, RecursionError]


def failures(caplog):
    fields = ("event", "controller", "kind", "object", "error")
    return [tuple(record.__dict__[field] for field in fields) for record in caplog.records]


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("late", [False, True])
def test_a_mapper_that_fails_for_one_object_names_nobody_for_it_and_is_named(raised, late, caplog):
    def mapper(obj):
        if obj.name == "odd":
            raise raised
        yield ObjectKey("a", "m")

    watch = ContainedWatch(
        Watch("pods", mapper if late else lambda obj: list(mapper(obj))), controller="web", kind="Pod"
    )
    odd, good = pod(name="odd"), pod(name="good")
    named = [watch.keys(Change.added(one)) for one in (odd, good, odd)]
    assert named == [(), (ObjectKey("a", "m"),), ()]
    assert watch.keys(Change.updated(good, odd)) == (ObjectKey("a", "m"),)
    assert failures(caplog) == [("mapper.failed", "web", "Pod", "a/odd", raised.__name__)]


@pytest.mark.parametrize("answer", [None, 7, ["m"], [("a", "m")], [None]])
def test_a_mapper_that_answers_with_no_keys_names_nobody(answer, caplog):
    assert keys_of(Watch("pods", lambda obj: answer), Change.added(pod())) == ()
    assert [failure[0] for failure in failures(caplog)] == ["mapper.failed"]


@pytest.mark.parametrize("raised", RAISED)
def test_a_predicate_that_fails_lets_the_change_through_and_is_named(raised, caplog):
    def broken(change):
        raise raised

    watch = Watch("pods", lambda obj: [ObjectKey("a", "m")], predicates=[Predicate(broken, "broken")])
    assert keys_of(watch, Change.added(pod())) == (ObjectKey("a", "m"),)
    (failure,) = failures(caplog)
    assert (failure[0], failure[1:3], failure[4]) == ("predicate.failed", ("web", "Pod"), raised.__name__)
