"""Rows U1 to U4: a User gets a Namespace, and what its groups may do in it."""

from __future__ import annotations

from typing import Any

from examples.users.__main__ import PROGRAM
from scopedcache.errors import InvalidError

from ..clock import now, pause
from ..observations import Manifest
from ..rows import Outcome, Row
from ..waiting import Failed, differs, eventually, never, require
from ..world import BOUND, CONVERGED
from .example import Example
from .world import BINDINGS, COLLECTED, ExampleWorld, missing, present, uncounted, untold, wrong_names

USERS = "users.example.com"
NAMESPACES = "namespaces"
CONFIG_MAPS = "configmaps"


def user(name: str, *groups: str) -> Manifest:
    """Return a User."""
    spec = {"display_name": name.title(), "groups": list(groups)}
    return {"apiVersion": "example.com/v1", "kind": "User", "metadata": {"name": name}, "spec": spec}


def groups(world: ExampleWorld, **roles: str) -> None:
    """Say what groups may do."""
    head = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "groups"}}
    world.apply({**head, "data": roles}, world.home)


def gets_a_namespace(world: ExampleWorld) -> Outcome:
    """U1."""
    world.start_operator()
    groups(world, readers="view")
    since = now()
    world.apply(user("ada"))
    took = world.see("Namespace ada is there", missing(world, NAMESPACES, "ada"), since=since)
    (owner,) = world.find(NAMESPACES, "ada")["metadata"]["ownerReferences"]
    require(differs("its owner", owner["uid"], world.find(USERS, "ada")["metadata"]["uid"]), "Namespace ada")
    served = world.plane.request("GET", "/apis/example.com/v1")["resources"]
    names = next(one.get("shortNames") for one in served if one["name"] == "users")
    require(differs("short names", names, ["usr"]), "kubectl get usr")
    return Outcome(took, {"columns": ", ".join(world.table(USERS, "")[0])})


def refused_by_the_schema(world: ExampleWorld) -> Outcome:
    """S4.15."""
    wrong: dict[str, dict[str, Any]] = {
        "no name": {"display_name": None},
        "an empty one": {"display_name": ""},
        "a group": {"groups": ["A b"]},
    }
    for what, spec in wrong.items():
        try:
            world.plane.create({**user("wrong"), "spec": {"display_name": "Wrong", **spec}})
        except InvalidError:
            continue
        raise Failed(f"a User with {what} was accepted")
    return Outcome(None, {"refused": ", ".join(wrong)})


def groups_become_bindings(world: ExampleWorld) -> Outcome:
    """Pyli, S4.11, in a namespace that was not granted yet."""
    since = now()
    world.patch(USERS, "ada", {"spec": {"groups": ["readers"]}})
    told = world.see("an Event says what is missing",
                     untold(world, "default", "ada", "ada: may not ", "rolebindings.rbac.authorization.k8s.io"),
                     within=BOUND, since=since)  # fmt: skip
    since = world.allow("ada")
    took = world.see("the RoleBinding is there", missing(world, BINDINGS, "group-readers", "ada"), within=BOUND,
                     since=since)  # fmt: skip
    found = world.find(BINDINGS, "group-readers", "ada")
    require(differs("the role", found["roleRef"]["name"], "view"), "group readers")
    require(differs("subjects", [(s["kind"], s["name"]) for s in found["subjects"]], [("User", "ada")]), "subject")
    return Outcome(took, {"told after": told})


def groups_are_taken_away(world: ExampleWorld) -> Outcome:
    """Pyli: a group, and what a group means."""
    groups(world, readers="view", writers="edit")
    world.patch(USERS, "ada", {"spec": {"groups": ["readers", "writers"]}})
    ours = ("group-readers", "group-writers")
    world.see("a RoleBinding for each group", wrong_names(world, BINDINGS, "ada", *ours, world.example.account[1]))
    groups(world, readers="edit", writers="edit")
    world.see("a group that means something else is bound anew", lambda: differs("the role", role_of(world), "edit"))
    since = now()
    world.patch(USERS, "ada", {"spec": {"groups": ["writers"]}})
    took = world.see("the RoleBinding goes with the group", present(world, BINDINGS, "group-readers", "ada"),
                     since=since)  # fmt: skip
    foreign = world.plane.get(BINDINGS, world.example.account[1], "ada")
    require(None if foreign else "it is gone", "the RoleBinding that is not ours")
    return Outcome(took)


def bad_input(world: ExampleWorld) -> Outcome:
    """A group that nobody knows, a role that may not be given, a Namespace of somebody else's."""
    world.apply(user("bob", "strangers"))
    world.see("an unknown group is told", untold(world, "default", "bob", "strangers"))
    world.namespace("taken")
    world.apply(user("taken"))
    world.see("a Namespace of somebody else's is left alone", untold(world, "default", "taken", "not this User's"))
    require("it is" if world.find(NAMESPACES, "taken")["metadata"].get("ownerReferences") else None, "owned now")
    groups(world, readers="view", writers="edit", gods="cluster-admin")
    world.patch(USERS, "ada", {"spec": {"groups": ["gods", "writers"]}})
    since = now()
    took = world.see("a role that may not be given is told", untold(world, "default", "ada", "ada: "), since=since)
    require(present(world, BINDINGS, "group-gods", "ada")(), "the role cluster-admin")
    world.patch(USERS, "ada", {"spec": {"groups": ["writers"]}})
    return Outcome(took)


def revoked_and_healed(world: ExampleWorld) -> Outcome:
    """One namespace denied, the rest goes on."""
    world.apply(user("eve", "readers"))
    eventually("Namespace eve", missing(world, NAMESPACES, "eve"), within=CONVERGED)
    world.allow("eve")
    eventually("its RoleBinding", missing(world, BINDINGS, "group-readers", "eve"), within=BOUND)
    world.revoke("ada")
    since = now()
    world.patch(USERS, "eve", {"spec": {"groups": ["readers", "writers"]}})
    world.patch(USERS, "ada", {"spec": {"groups": ["readers", "writers"]}})
    others = world.see("others go on", missing(world, BINDINGS, "group-writers", "eve"), since=since)
    world.see("an Event says what is missing", untold(world, "default", "ada", "ada: may not "), within=BOUND)
    world.see("as the same Event, counted", uncounted(world, "default", "ada"))
    require(present(world, BINDINGS, "group-readers", "ada")(), "nothing is written in ada")
    since = world.allow("ada")
    took = world.see("it heals", missing(world, BINDINGS, "group-readers", "ada"), within=BOUND, since=since)
    return Outcome(took, {"others after": others})


def made_anew_and_collected(world: ExampleWorld) -> Outcome:
    """U2."""
    first = world.find(NAMESPACES, "eve")["metadata"]["uid"]
    since = now()
    world.remove(NAMESPACES, "eve")
    took = world.see("a deleted Namespace is made anew", lambda: same(world, "eve", first), within=BOUND, since=since)
    require("there is one" if world.find(USERS, "eve")["metadata"].get("finalizers") else None, "finalizers of a User")
    world.remove(USERS, "eve")
    gone = world.see("the Namespace of a deleted User is collected", present(world, NAMESPACES, "eve"),
                     within=COLLECTED)  # fmt: skip
    return Outcome(took, {"collected after": gone})


def quiet(world: ExampleWorld) -> Outcome:
    """A run on what is right sends nothing."""
    pause(1.0)
    mark = world.plane.audit.mark()
    never("a write while nothing changes", lambda: written(world, mark), during=10.0, interval=1.0)
    return Outcome(None, {"quiet for": 10})


def role_of(world: ExampleWorld) -> object:
    found = world.plane.get(BINDINGS, "group-readers", "ada")
    return found and found["roleRef"]["name"]


def same(world: ExampleWorld, name: str, uid: str) -> str | None:
    """Tell that a Namespace is not another one by now."""
    found = world.plane.get(NAMESPACES, name)
    return None if found and found["metadata"]["uid"] != uid else f"Namespace {name} is {found and found['status']}"


def written(world: ExampleWorld, mark: Any) -> str | None:
    """Tell what the program wrote since a mark; reviews and its Lease do not count."""
    verbs = ("create", "update", "patch", "delete")
    seen = [f"{one.verb} {one.resource}" for verb in verbs for one in world.requests(mark, verb=verb)
            if one.resource != "leases.coordination.k8s.io" and "review" not in one.resource]  # fmt: skip
    return ", ".join(seen) or None


ROWS = (
    Row("U1", "a User gets a Namespace that it owns; kubectl knows `usr`", CONVERGED, gets_a_namespace),
    Row("U1.schema", "what makes no sense is refused by the schema", None, refused_by_the_schema),
    Row("U1.groups", "each group is a RoleBinding, once the namespace is granted", BOUND, groups_become_bindings),
    Row("U1.prune", "a RoleBinding goes with its group, and follows what the group means", CONVERGED,
        groups_are_taken_away),
    Row("U1.bad", "an unknown group, a role too high, a Namespace taken: told, nothing harmed", CONVERGED, bad_input),
    Row("U1.denied", "one namespace revoked: named, the rest goes on, heals", BOUND, revoked_and_healed),
    Row("U2", "a deleted Namespace is made anew; a deleted User's is collected", BOUND, made_anew_and_collected),
    Row("U2.quiet", "nothing to do: nothing is written", None, quiet),
)  # fmt: skip
EXAMPLE = Example("users", PROGRAM, ROWS, told=("U1", "U1.groups", "U1.prune", "U1.denied"))
