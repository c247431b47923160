"""Owner references: the legal ones are set, the others refused."""

import pytest

from scopedcache.kit import set_controller_reference, set_owner_reference
from scopedcache.objects import Object


def thing(name, namespace="a", uid="", kind="Deployment", references=None):
    metadata = {"name": name, "namespace": namespace, "uid": uid, "ownerReferences": references}
    return Object.from_dict({"apiVersion": "apps/v1", "kind": kind, "metadata": metadata})


def references(obj):
    return obj["metadata"]["ownerReferences"]


def test_an_owner_reference_names_the_owner():
    child = thing("child")
    set_owner_reference(thing("owner", uid="u1"), child)

    assert references(child) == [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "owner", "uid": "u1"}]


def test_a_controller_reference_says_so():
    child = thing("child")
    set_controller_reference(thing("owner", uid="u1"), child)

    assert references(child)[0]["controller"] is True
    assert references(child)[0]["blockOwnerDeletion"] is True


def test_setting_it_twice_changes_nothing():
    child, owner = thing("child"), thing("owner", uid="u1")
    set_controller_reference(owner, child)
    set_controller_reference(owner, child)

    assert len(references(child)) == 1


def test_an_object_may_have_several_owners_but_one_controller():
    child = thing("child")
    set_controller_reference(thing("first", uid="u1"), child)
    set_owner_reference(thing("second", uid="u2"), child)

    assert [ref["name"] for ref in references(child)] == ["first", "second"]
    with pytest.raises(ValueError, match="is controlled by Deployment first"):
        set_controller_reference(thing("third", uid="u3"), child)


def test_a_cluster_scoped_owner_may_own_anything():
    for child in (thing("child"), thing("child", namespace="")):
        set_owner_reference(thing("owner", namespace="", uid="u1"), child)

        assert len(references(child)) == 1


@pytest.mark.parametrize("set_reference", [set_owner_reference, set_controller_reference])
def test_an_owner_in_another_namespace_is_refused(set_reference):
    child = thing("child", namespace="b")

    with pytest.raises(ValueError, match="the garbage collector would delete it"):
        set_reference(thing("owner", uid="u1"), child)
    assert not references(child)


@pytest.mark.parametrize("set_reference", [set_owner_reference, set_controller_reference])
def test_a_namespaced_owner_of_a_cluster_scoped_object_is_refused(set_reference):
    with pytest.raises(ValueError, match="is namespaced and cannot own"):
        set_reference(thing("owner", uid="u1"), thing("child", namespace="", kind="Namespace"))


def test_an_owner_that_does_not_exist_yet_is_refused():
    with pytest.raises(ValueError, match="has no uid"):
        set_owner_reference(thing("owner"), thing("child"))
