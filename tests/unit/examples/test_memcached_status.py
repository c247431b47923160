"""What a status says, from what was seen: reasons, nodes, times, generations."""

import pytest

from examples.memcached_operator.status import name_taken_status, refusal_status, success_status
from scopedcache import ForbiddenError
from scopedcache.controller.reporting.status import merge_patch
from tests.unit.examples.objects import deployment, memcached

LONG_AGO = "2020-01-01T00:00:00Z"
LOST = ForbiddenError(verb="list", resource="pods", namespace="a", by="authorizer")


def after(owner, patch):
    """Return the Memcached as it is once a patch of its status was written."""
    status = merge_patch(owner.at("status", default={}), patch)
    return memcached(owner.name, size=owner.at("spec", "size"), generation=owner.generation, status=status)


def ready(size=2, *, since=None):
    """Return a Memcached whose servers are all there."""
    owner = memcached(size=size)
    made = after(owner, success_status(owner, deployment(owner, available=size), [f"p{n}" for n in range(size)]))
    return aged(made) if since else made


def aged(owner):
    """Return it as if its conditions had been written long ago."""
    status = owner.at("status")
    for condition in status["conditions"]:
        condition["lastTransitionTime"] = LONG_AGO
    return memcached(owner.name, size=owner.at("spec", "size"), status=status)


def condition(owner, type_="Successful"):
    found = {c["type"]: c for c in owner.at("status", "conditions", default=[])}.get(type_)
    return found and (found["status"], found["reason"])


# -- success ---------------------------------------------------------------------------------------------------------


def test_all_servers_available_is_success_with_their_names():
    owner = ready(2)

    assert condition(owner) == ("True", "ReconcileSucceeded")
    assert owner.at("status", "nodes") == ["p0", "p1"]
    assert owner.at("status", "state") == {
        "status": "Succeeded",
        "message": "Deployment m has 2 of 2 servers available",
    }
    assert owner.at("status", "observedGeneration") == 1


def test_a_size_of_zero_is_reached_without_any_server():
    owner = memcached(size=0)

    assert condition(after(owner, success_status(owner, deployment(owner), []))) == ("True", "ReconcileSucceeded")


def test_a_Deployment_that_still_tells_of_servers_whose_pods_go_takes_no_success_back():
    # As seen on a real cluster after a scaling by hand to 4 was undone: 2 of 2, and later 4 of 2, and 2 of 2 again.
    owner = memcached(size=2)
    reasons = []
    for available in (2, 4, 2):
        owner = after(owner, success_status(owner, deployment(owner, available=available), ["p0", "p1"]))
        reasons.append(condition(owner))

    assert reasons == [("True", "ReconcileSucceeded")] * 3


@pytest.mark.parametrize(
    ("available", "nodes", "seen"),
    [
        (1, ["p", "q"], 1),
        (2, ["p"], 1),
        (2, ["p", "q", "old"], 1),
        (2, ["p", "q"], 0),
        (4, ["p", "q", "r", "s"], 1),
        (None, [], 1),
    ],
    ids=[
        "not available",
        "a pod is missing",
        "an old pod is there",
        "not seen by its controller",
        "too many, and none of them goes",
        "nothing yet",
    ],
)
def test_a_Deployment_that_is_on_its_way_is_no_success_yet(available, nodes, seen):
    owner = memcached(size=2)
    made = after(owner, success_status(owner, deployment(owner, available=available, seen=seen), nodes))

    assert (condition(made), made.at("status", "state")) == (("Unknown", "Progressing"), None)
    assert made.at("status", "nodes") == nodes


def test_writing_the_same_again_changes_nothing():
    owner = ready(2, since=LONG_AGO)
    again = success_status(owner, deployment(owner, available=2), ["p0", "p1"])

    assert merge_patch(owner.at("status"), again) == owner.at("status")


def test_the_generation_that_was_seen_is_told():
    owner = memcached(size=1, generation=4)
    status = success_status(owner, deployment(owner, available=1), ["p"])

    assert (status["observedGeneration"], status["conditions"][0]["observedGeneration"]) == (4, 4)


# -- refusals --------------------------------------------------------------------------------------------------------


def test_who_never_had_the_right_is_told_so_with_verb_kind_and_place():
    owner = memcached()
    made = after(owner, refusal_status(owner, LOST))

    assert condition(made) == ("False", "NotPermitted")
    assert condition(made, "Stale") is None
    assert made.at("status", "state", "status") == "Failed"
    message = made.at("status", "state", "message")
    assert message == "Forbidden: may not list pods in namespace a, which Memcached m needs (not permitted by RBAC)"


def test_a_refusal_names_everything_that_is_missing():
    owner = memcached()
    others = [ForbiddenError(verb=verb, resource="deployments.apps", namespace="a") for verb in ("create", "update")]
    error = ForbiddenError(verb="list", resource="pods", namespace="a", missing=others)
    message = after(owner, refusal_status(owner, error)).at("status", "state", "message")

    assert message.startswith(
        "Forbidden: may not list pods in namespace a, create deployments.apps in namespace a, "
        "update deployments.apps in namespace a, which Memcached m needs"
    )


def test_who_had_the_right_and_lost_it_keeps_its_nodes_marked_as_stale():
    owner = ready(2)
    made = after(owner, refusal_status(owner, LOST))

    assert condition(made) == ("False", "PermissionRevoked")
    assert condition(made, "Stale") == ("True", "PermissionRevoked")
    assert made.at("status", "nodes") == ["p0", "p1"]


def test_the_reason_comes_from_the_last_status_so_it_survives_restarts():
    lost, never = ready(1), memcached()
    for _ in range(3):
        lost, never = after(lost, refusal_status(lost, LOST)), after(never, refusal_status(never, LOST))

    assert (condition(lost), condition(never)) == (("False", "PermissionRevoked"), ("False", "NotPermitted"))


def test_one_who_was_progressing_had_the_right():
    owner = memcached(size=2)
    owner = after(owner, success_status(owner, deployment(owner), []))

    assert condition(after(owner, refusal_status(owner, LOST))) == ("False", "PermissionRevoked")


def test_the_time_of_staleness_is_written_once_at_the_loss():
    lost = aged(after(owner := ready(1), refusal_status(owner, LOST)))
    other = ForbiddenError(verb="watch", resource="deployments.apps", namespace="a", by="authorizer")
    again = after(lost, refusal_status(lost, other))

    times = {c["type"]: c["lastTransitionTime"] for c in again.at("status", "conditions")}
    assert times == {"Successful": LONG_AGO, "Stale": LONG_AGO}
    assert "watch deployments.apps" in again.at("status", "state", "message")


def test_the_same_refusal_again_changes_nothing():
    lost = aged(after(owner := ready(1), refusal_status(owner, LOST)))

    assert merge_patch(lost.at("status"), refusal_status(lost, LOST)) == lost.at("status")


def test_after_the_grant_nothing_is_stale_any_more():
    lost = after(owner := ready(1), refusal_status(owner, LOST))
    healed = after(lost, success_status(lost, deployment(lost, available=1), ["p0"]))

    assert condition(healed) == ("True", "ReconcileSucceeded")
    assert condition(healed, "Stale") == ("False", "Verified")


def test_one_that_never_was_stale_gets_no_such_condition():
    assert condition(ready(1), "Stale") is None


# -- a name that is taken --------------------------------------------------------------------------------------------


def test_a_name_that_is_taken_says_what_to_do():
    owner = memcached()
    made = after(owner, name_taken_status(owner))

    assert condition(made) == ("False", "NameTaken")
    assert "rename one of the two, or delete it" in made.at("status", "state", "message")
