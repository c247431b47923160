"""What a permission is about, and what the authoriser never sees of it."""

from __future__ import annotations

import pytest

from scopedcache import ForbiddenError
from scopedcache.api.permission import Permission, permission_of


@pytest.mark.parametrize("verb", ["create", "deletecollection"])
def test_what_names_no_object_in_its_path_is_not_given_by_name(verb: str) -> None:
    named = Permission(verb, "", "configmaps", "a", name="one")

    assert named == Permission(verb, "", "configmaps", "a")
    assert hash(named) == hash(Permission(verb, "", "configmaps", "a"))


def test_a_create_of_a_subresource_names_its_object() -> None:
    assert Permission("create", "", "pods", "a", "eviction", "one").name == "one"


@pytest.mark.parametrize("verb", ["get", "list", "watch", "update", "patch", "delete"])
def test_every_other_verb_may_be_given_by_name(verb: str) -> None:
    assert Permission(verb, "", "configmaps", "a", name="one").name == "one"


def test_a_refused_create_is_about_no_name() -> None:
    error = ForbiddenError(verb="create", resource="deployments.apps", namespace="a", name="web")

    assert permission_of(error) == Permission("create", "apps", "deployments", "a")


def test_a_refused_call_on_a_subresource_is_about_it() -> None:
    error = ForbiddenError(verb="patch", resource="deployments.apps/status", namespace="a", name="web")

    assert permission_of(error) == Permission("patch", "apps", "deployments", "a", "status", "web")
