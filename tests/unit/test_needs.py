"""What an owner may say that it needs."""

from __future__ import annotations

import pytest

from scopedcache import Need, OwnerId


@pytest.mark.parametrize(("verb", "meant"), [("crate", "create"), ("Update", "update"), ("lists", "list")])
def test_a_mistyped_verb_is_refused_with_the_one_that_was_meant(verb: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"'{verb}' of pods is no verb; did you mean '{meant}'"):
        Need("pods", verbs=verb)


@pytest.mark.parametrize("verb", ["create,update,patch", "get and list them all", ""])
def test_several_verbs_in_one_string_are_refused(verb: str) -> None:
    with pytest.raises(ValueError, match="is no verb"):
        Need("pods", verbs=verb)


@pytest.mark.parametrize("verb", ["create", "deletecollection", "escalate", "publish"])
def test_verbs_of_the_server_and_those_of_a_cluster_of_its_own_are_taken(verb: str) -> None:
    assert Need("pods", verbs=verb).verbs == (verb,)


@pytest.mark.parametrize("nobody", ["x", None, ("team-a", "web")])
def test_who_hands_over_something_else_is_told_what_an_owner_is(nobody: object) -> None:
    with pytest.raises(TypeError, match="an owner is the object that needs what is opened"):
        OwnerId.of(nobody)
