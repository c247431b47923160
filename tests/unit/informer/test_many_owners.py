"""What thousands of owners and label keys cost an event: counted in what is looked at, not in seconds."""

import pytest

from scopedcache.informer.delta import Delta
from scopedcache.informer.indexed_store import IndexedStore
from scopedcache.informer.owner_router import OwnerRouter
from scopedcache.kinds import GVK, ObjectKey
from scopedcache.objects import Entry, Metadata
from scopedcache.selectors import LabelSelector
from tests.unit.informer.events import PODS, entry

MANY = 3000


class Owner:
    def __init__(self, number):
        self.uid, self.key = f"uid-{number}", ObjectKey("a", f"m{number}")
        self.heard = 0
        self.compared = 0

    def concerned(self, gvk, delta, initial):
        self.heard += 1

    def __eq__(self, other):
        self.compared += 1
        return self is other

    def __hash__(self):
        return id(self)


class CountedLabels(dict[str, str]):
    """Labels of an object, and how often they were looked at."""

    def __init__(self, *args):
        super().__init__(*args)
        self.looks = 0

    def get(self, key, default=None):
        self.looks += 1
        return super().get(key, default)


@pytest.mark.parametrize("same", [True, False], ids=["one selector", "a label key each"])
def test_owners_are_added_found_and_removed_without_a_look_at_the_others(same):
    router = OwnerRouter(GVK("", "v1", "Pod"))
    owners = [Owner(number) for number in range(MANY)]
    selectors = [LabelSelector.parse("app=x" if same else {f"own-{number}": "x"}) for number in range(MANY)]
    for owner, selector in zip(owners, selectors, strict=True):
        router.add(owner, selector=selector)
    labels = CountedLabels({"app": "x", "own-7": "x"})
    router.route(Delta(None, entry("one", 1, labels=labels)), False)
    for owner, selector in reversed(list(zip(owners, selectors, strict=True))):
        router.remove(owner, selector=selector)

    assert sum(owner.heard for owner in owners) == (MANY if same else 1)
    assert sum(owner.compared for owner in owners) <= MANY
    assert labels.looks <= 10
    assert (len(router), router.by_content) == (0, False)


def test_a_change_looks_at_the_labels_of_its_object_whatever_was_asked_for():
    store = IndexedStore(PODS, namespace="a")
    store.allow_reads()
    for number in range(MANY):
        store.list(labels={f"own-{number}": "x"})
    labels = CountedLabels({"own-7": "x"})
    store.put(Entry(Metadata(name="one", namespace="a", uid="uid-one", resource_version="1", labels=labels), b"{}"))
    looks = labels.looks

    assert looks <= 10
    assert [obj.name for obj in store.list(labels={"own-7": "x"})] == ["one"]
