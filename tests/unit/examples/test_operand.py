"""What a Memcached becomes: plain functions of objects."""

import copy
import re

import pytest

from examples.memcached_operator.operand import (
    IMAGE,
    is_foreign,
    label_value,
    labels_of,
    namesake,
    new_deployment,
    selector_of,
    shape,
)
from scopedcache import Object
from scopedcache.kit.semantic import equal
from tests.unit.examples.objects import deployment, memcached

LABEL = re.compile(r"^[a-z0-9A-Z]([-a-z0-9A-Z_.]{0,61}[a-z0-9A-Z])?$")
# The longest name that a custom resource may have.
LONGEST = "a" * 253


def shaped(owner, found):
    made = Object.from_dict(copy.deepcopy(found.to_dict()))
    shape(owner, made)
    return made.to_dict()


def test_the_labels_name_the_custom_resource_as_the_demo_expects_them():
    assert labels_of(memcached("m")) == {"app": "memcached", "memcached_cr": "m", "memcachedLabel": "memcached-m"}
    assert selector_of(memcached("m")) == {"memcachedLabel": "memcached-m"}


@pytest.mark.parametrize("name", ["m", "m" * 53, "m" * 54, "m" * 64, LONGEST, "a" * 40 + "." * 20 + "b" * 30])
def test_labels_are_legal_for_every_name(name):
    assert [value for value in labels_of(memcached(name)).values() if not LABEL.match(value)] == []


def test_names_that_differ_only_at_their_end_have_different_labels():
    assert selector_of(memcached(LONGEST + "b")) != selector_of(memcached(LONGEST + "c"))
    assert label_value("x" * 63) == "x" * 63


def test_a_name_that_looks_like_a_cut_one_is_not_taken_for_it():
    long = "m" * 80
    assert label_value(label_value(long)) == label_value(long)
    assert selector_of(memcached(long)) != selector_of(memcached(label_value(long)))


def test_a_Deployment_has_the_name_the_size_and_the_owner_of_its_Memcached():
    made = shaped(owner := memcached(size=3), new_deployment(owner))

    assert (made["metadata"]["name"], made["metadata"]["namespace"], made["spec"]["replicas"]) == ("m", "a", 3)
    assert made["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "cache.example.com/v1alpha1",
            "kind": "Memcached",
            "name": "m",
            "uid": "uid-m",
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def test_the_selector_selects_the_pods_of_this_Memcached_alone():
    made = new_deployment(memcached("m")).to_dict()["spec"]

    assert made["selector"]["matchLabels"].items() <= made["template"]["metadata"]["labels"].items()
    assert made["selector"]["matchLabels"] == selector_of(memcached("m"))


def test_the_pods_are_admitted_where_the_restricted_standard_is_enforced():
    spec = new_deployment(memcached()).to_dict()["spec"]["template"]["spec"]
    (container,) = spec["containers"]

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] != 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert [port["containerPort"] for port in container["ports"]] == [11211]


def test_shaping_what_has_its_shape_changes_nothing_whatever_defaults_the_server_filled_in():
    owner = memcached(size=2)
    found = deployment(owner)

    assert equal(shaped(owner, found), found.to_dict())


def test_what_somebody_changed_is_set_right_and_the_rest_is_left_alone():
    owner = memcached(size=2)
    found = deployment(owner).to_dict()
    found["spec"]["replicas"] = 5
    found["metadata"]["labels"] = {"team": "blue"}
    found["metadata"]["annotations"] = {"note": "x"}
    found["spec"]["template"]["metadata"]["labels"].pop("app")
    found["spec"]["template"]["spec"]["containers"].insert(0, {"name": "sidecar", "image": "proxy:1"})
    found["spec"]["template"]["spec"]["containers"][1]["image"] = "other:1"
    made = shaped(owner, Object.from_dict(found))

    assert made["spec"]["replicas"] == 2
    assert made["metadata"]["labels"] == {"team": "blue", **labels_of(owner)}
    assert made["metadata"]["annotations"] == {"note": "x"}
    assert made["spec"]["template"]["metadata"]["labels"] == labels_of(owner)
    images = {c["name"]: c["image"] for c in made["spec"]["template"]["spec"]["containers"]}
    assert images == {"sidecar": "proxy:1", "memcached": IMAGE}


def test_the_selector_is_never_touched_since_it_cannot_be_changed():
    owner = memcached()
    found = deployment(owner).to_dict()
    found["spec"]["selector"] = {"matchLabels": {"made-by": "an older version"}}

    assert shaped(owner, Object.from_dict(found))["spec"]["selector"] == found["spec"]["selector"]


@pytest.mark.parametrize(("size", "replicas"), [(0, 0), (None, 0), (7, 7)])
def test_no_size_is_none_at_all(size, replicas):
    owner = memcached(size=size)

    assert shaped(owner, new_deployment(owner))["spec"]["replicas"] == replicas


@pytest.mark.parametrize(
    ("references", "foreign"),
    [
        ([], True),
        ([{"uid": "uid-m", "controller": True}], False),
        ([{"uid": "uid-m"}], True),
        ([{"uid": "an older one of the same name", "controller": True}], True),
        ([{"uid": "uid-m"}, {"uid": "somebody", "controller": True}], True),
    ],
    ids=["nobody's", "ours", "owned, not controlled", "recreated", "somebody's"],
)
def test_a_Deployment_is_ours_if_we_control_it(references, foreign):
    owner = memcached()
    found = deployment(owner).to_dict()
    found["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "K", "name": "m"} | ref for ref in references]

    assert is_foreign(owner, Object.from_dict(found)) is foreign


def test_a_Deployment_concerns_the_Memcached_of_its_name_whoever_made_it():
    assert namesake(deployment(memcached("m"))) == memcached("m").key
