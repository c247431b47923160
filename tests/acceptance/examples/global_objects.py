"""Rows A1 to A6: copies of an object of namespace `admin` in many namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from examples.global_objects.__main__ import PROGRAM
from scopedcache.errors import ForbiddenError, InvalidError
from scopedcache.testing import ControlPlane, FrontEnd, Process
from scopedcache.testing.resources import load_manifests

from ..clock import now, pause
from ..observations import Manifest
from ..program import Operator
from ..rows import Outcome, Row
from ..waiting import Failed, differs, eventually, first, never, require
from ..world import BOUND, CONVERGED, START
from .example import Example
from .global_objects_fleet import FLEET_ROWS
from .users import written
from .world import EVENTS, LEASES, ExampleWorld, condition_of, missing, present, unlike

GLOBAL_OBJECTS, SECRETS, CONFIG_MAPS, NAMESPACES = (
    "globalobjects.infra.einstein.ai",
    "secrets",
    "configmaps",
    "namespaces",
)
ADMIN, WISH, COPY = "admin", "global-secret", "my-secret"
MONITORING = {"infra.einstein.ai/namespace": "monitoring"}
NAMED, LABELLED = ("proxy", "app", "database"), ("logging", "metrics")
ALL = (*NAMED, *LABELLED)
VALUE = "d29ybGQ="
MANY, MANY_DENIED = 1000, 10
POLICIES = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies.admissionregistration.k8s.io",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings.admissionregistration.k8s.io",
}
LEASE_SECONDS = 15.0
# A candidate looks every two seconds, or up to 4.4; two of them may lead in turn before the best does.
ELECTED = LEASE_SECONDS + 15.0


def secret(name: str, **data: str) -> Manifest:
    """Return a Secret."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}


def wish(name: str = WISH, parent: str = "secret-sep-01-2020", **spec: Any) -> Manifest:
    """Return a GlobalObject, that of the documents unless told otherwise."""
    documented = {"targetName": COPY, "targetNamespaces": list(NAMED),
                  "matchLabels": [{"key": key, "value": value} for key, value in MONITORING.items()]}  # fmt: skip
    return {"apiVersion": "infra.einstein.ai/v1beta", "kind": "GlobalObject", "metadata": {"name": name},
            "spec": {"type": "Secret", "name": parent, **documented, **spec}}  # fmt: skip


def created(world: ExampleWorld) -> Outcome:
    """A1."""
    for name in ALL:
        world.namespace(name, allowed=True, labels=MONITORING if name in LABELLED else {"app": name})
    world.namespace("bystander", allowed=True, labels={"app": "bystander"})
    world.start_operator()
    world.apply(secret("secret-sep-01-2020", hello=VALUE), ADMIN)
    since = now()
    world.apply(wish(), ADMIN)
    took = world.see("five copies, equal to the parent", lambda: uneven(world, "hello"), since=since)
    require(differs("places", places(world), sorted(ALL)), "copies anywhere else")
    world.see("five Events tell of them", lambda: untold(world, "Created", "secret-sep-01-2020"))
    world.see("it says so itself", unlike(world, GLOBAL_OBJECTS, WISH, ADMIN, "Replicated", "True", "5 of 5"))
    return Outcome(took, {"columns": ", ".join(world.table(GLOBAL_OBJECTS, ADMIN)[0])})


def rotated(world: ExampleWorld) -> Outcome:
    """A2."""
    world.apply(secret("secret-oct-01-2020", world=VALUE), ADMIN)
    since = now()
    world.patch(GLOBAL_OBJECTS, WISH, {"spec": {"name": "secret-oct-01-2020"}}, ADMIN)
    took = world.see("all copies are those of the new parent, whole", lambda: uneven(world, "world"), since=since)
    world.see("five Events name the new parent", lambda: untold(world, "Updated", "secret-oct-01-2020"))
    since = now()
    world.patch(SECRETS, "secret-oct-01-2020", {"data": {"more": VALUE}}, ADMIN)
    edited = world.see("an edit of the parent reaches all copies", lambda: uneven(world, "world", "more"),
                       since=since)  # fmt: skip
    world.patch(SECRETS, "secret-oct-01-2020", {"data": {"more": None}}, ADMIN)
    world.see("so does what is taken out", lambda: uneven(world, "world"))
    return Outcome(took, {"edit after": edited})


def labelled(world: ExampleWorld) -> Outcome:
    """A3."""
    world.namespace("tracing", allowed=True)
    since = now()
    world.patch(NAMESPACES, "tracing", {"metadata": {"labels": MONITORING}})
    took = world.see("a namespace that is labelled gets one", missing(world, SECRETS, COPY, "tracing"), since=since)
    since = now()
    world.patch(NAMESPACES, "tracing", {"metadata": {"labels": dict.fromkeys(MONITORING)}})
    gone = world.see("one that is labelled no longer loses it", present(world, SECRETS, COPY, "tracing"), since=since)
    world.remove(NAMESPACES, "tracing")
    world.see("a namespace that goes is forgotten",
              lambda: differs("namespaces", status(world)["namespaces"], sorted(ALL)), within=BOUND)  # fmt: skip
    return Outcome(took, {"gone after": gone})


def put_right(world: ExampleWorld) -> Outcome:
    """A4: edits and deletions of copies, what somebody else has, a parent that is missing."""
    since = now()
    world.patch(SECRETS, COPY, {"data": {"world": "eA==", "more": "eA=="}}, "app")
    world.remove(SECRETS, COPY, "proxy")
    took = world.see("edited and deleted copies are put right", lambda: uneven(world, "world"), since=since)
    world.namespace("foreign", allowed=True)
    world.apply(secret(COPY, theirs=VALUE), "foreign")
    world.patch(GLOBAL_OBJECTS, WISH, {"spec": {"targetNamespaces": [*NAMED, "foreign"]}}, ADMIN)
    world.see("what somebody else has there is a conflict, and told",
              unlike(world, GLOBAL_OBJECTS, WISH, ADMIN, "Conflict", "True", "foreign"))  # fmt: skip
    require(differs("its data", world.find(SECRETS, COPY, "foreign")["data"], {"theirs": VALUE}), "foreign data")
    world.remove(SECRETS, COPY, "foreign")
    world.see("it is over when that is gone", lambda: first(
        missing(world, SECRETS, COPY, "foreign")(),
        unlike(world, GLOBAL_OBJECTS, WISH, ADMIN, "Conflict", "False")()))  # fmt: skip
    world.patch(GLOBAL_OBJECTS, WISH, {"spec": {"targetNamespaces": list(NAMED)}}, ADMIN)
    world.see("a namespace that is not named any more loses its copy", present(world, SECRETS, COPY, "foreign"))
    world.remove(SECRETS, "secret-oct-01-2020", ADMIN)
    world.see("without its parent it says so",
              unlike(world, GLOBAL_OBJECTS, WISH, ADMIN, "Replicated", "False", "SourceMissing"))  # fmt: skip
    require(uneven(world, "world"), "the copies stay")
    world.apply(secret("secret-oct-01-2020", world=VALUE), ADMIN)
    world.see("and heals", unlike(world, GLOBAL_OBJECTS, WISH, ADMIN, "Replicated", "True"))
    return Outcome(took)


def bad_input(world: ExampleWorld) -> Outcome:
    """Kinds that may not be copied, another kind or name than before, GlobalObjects elsewhere."""
    try:
        world.plane.create(wish("nameless", ""), ADMIN)
    except InvalidError:
        pass
    else:
        raise Failed("a GlobalObject without the name of a parent was accepted")
    since = now()
    world.apply(wish("odd", "any", type="Pod"), ADMIN)
    refused = unlike(
        world, GLOBAL_OBJECTS, "odd", ADMIN, "Replicated", "False", "UnsupportedType", "ConfigMap or Secret"
    )
    took = world.see("a kind that may not be copied is told", refused, since=since)
    world.remove(GLOBAL_OBJECTS, "odd", ADMIN)
    world.see("and it can be deleted", present(world, GLOBAL_OBJECTS, "odd", ADMIN))
    world.apply(wish("elsewhere", targetName="elsewhere"), "app")
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"colour": "red"}}
    world.apply(settings, ADMIN)
    world.apply(wish("mixed", "secret-oct-01-2020", targetName="first", matchLabels=[]), ADMIN)
    world.see("another object, other copies", lambda: differs("copies", where(world, SECRETS, "first"), sorted(NAMED)))
    world.patch(GLOBAL_OBJECTS, "mixed", {"spec": {"targetName": "second"}}, ADMIN)
    world.see("with another target name the copies of the old one go", lambda: first(
        differs("copies", where(world, SECRETS, "second"), sorted(NAMED)),
        differs("old ones", where(world, SECRETS, "first"), [])))  # fmt: skip
    world.patch(GLOBAL_OBJECTS, "mixed", {"spec": {"type": "ConfigMap", "name": "settings"}}, ADMIN)
    world.see("with another kind, those of the old kind", lambda: first(
        differs("copies", where(world, CONFIG_MAPS, "second"), sorted(NAMED)),
        differs("old ones", where(world, SECRETS, "second"), [])))  # fmt: skip
    world.remove(GLOBAL_OBJECTS, "mixed", ADMIN)
    world.see("all go with it", lambda: first(differs("copies", where(world, CONFIG_MAPS, "second"), []),
                                              present(world, GLOBAL_OBJECTS, "mixed", ADMIN)()))  # fmt: skip
    require(differs("copies", where(world, SECRETS, "elsewhere"), []), "a GlobalObject outside of namespace admin")
    return Outcome(took)


def one_namespace_denied(world: ExampleWorld) -> Outcome:
    """S5.13: one namespace is revoked, the rest goes on, and it heals."""
    since = world.revoke("app")
    told = world.see("the condition names the namespace, the verb and the resource",
                     unlike(world, GLOBAL_OBJECTS, WISH, ADMIN, "Permitted", "False", "app: may not list secrets"),
                     within=BOUND, since=since)  # fmt: skip
    since = now()
    world.patch(SECRETS, "secret-oct-01-2020", {"data": {"rest": VALUE}}, ADMIN)
    others = world.see("the other four go on", lambda: uneven(world, "world", "rest", but="app"), since=since)
    require(differs("its data", world.find(SECRETS, COPY, "app")["data"], {"world": VALUE}), "the denied copy")
    since = world.allow("app")
    took = world.see("it heals", lambda: uneven(world, "world", "rest"), within=BOUND, since=since)
    world.see("and says so", unlike(world, GLOBAL_OBJECTS, WISH, ADMIN, "Permitted", "True"))
    return Outcome(took, {"told after": told, "others after": others})


def quiet(world: ExampleWorld) -> Outcome:
    """A run on what is right sends nothing, foreign annotations included."""
    world.patch(SECRETS, COPY, {"metadata": {"annotations": {"theirs": "1"}}}, "app")
    pause(2.0)
    mark = world.plane.audit.mark()
    world.patch(SECRETS, COPY, {"metadata": {"annotations": {"theirs": "2"}}}, "app")
    never("a write while nothing changes", lambda: written(world, mark), during=10.0, interval=1.0)
    return Outcome(None, {"quiet for": 10})


def deleted_while_denied(world: ExampleWorld) -> Outcome:
    """Deleting a GlobalObject removes every copy; where that is denied it waits, as in M6."""
    world.revoke("database")
    world.see("it is denied", unlike(world, GLOBAL_OBJECTS, WISH, ADMIN, "Permitted", "False", "database: may not "),
              within=BOUND)  # fmt: skip
    since = now()
    world.remove(GLOBAL_OBJECTS, WISH, ADMIN)
    copies = world.see("the copies go where that is allowed",
                       lambda: differs("places", places(world), ["database"]), since=since)  # fmt: skip
    world.see("it says which namespace blocks", unlike(
        world, GLOBAL_OBJECTS, WISH, ADMIN, "Permitted", "False", "database: may not "))  # fmt: skip
    never("the finalizer goes", missing(world, GLOBAL_OBJECTS, WISH, ADMIN), during=BOUND, interval=1.0)
    since = world.allow("database")
    took = world.see("with the grant everything is gone", lambda: first(
        present(world, GLOBAL_OBJECTS, WISH, ADMIN)(), present(world, SECRETS, COPY, "database")()),
        within=BOUND, since=since)  # fmt: skip
    return Outcome(took, {"copies gone after": copies})


def as_its_creator(world: ExampleWorld) -> Outcome:
    """With `--as-creator` a GlobalObject copies only what its creator may read, and where its creator may write."""
    world.operator.process.stop(grace=6.0)
    for name in ("hers", "his"):
        world.namespace(name, labels={"app": name})
    writer = world.plane.service_account("hers", "writer")
    reads = world.plane.grant(writer, ("list", "watch"), [SECRETS], namespace=ADMIN)
    world.plane.bind(writer, world.example.role_in_namespace, namespace="hers")
    world.plane.grant(writer, ("create", "delete"), [GLOBAL_OBJECTS], namespace=ADMIN)
    world.apply(world.example.folder / "as-creator.yaml")
    if isinstance(world.plane, ControlPlane):  # the embedded cluster runs no policies
        world.apply(world.example.folder / "creator-policy.yaml")
    world.start_operator("--as-creator")
    mark = world.plane.audit.mark()
    theirs = wish("theirs", "secret-oct-01-2020", targetName="theirs", targetNamespaces=["hers", "his"], matchLabels=[])
    theirs["metadata"]["annotations"] = {PROGRAM.creator: writer.username}
    path = f"{world.plane.path(GLOBAL_OBJECTS, '', ADMIN).rstrip('/')}"
    if isinstance(world.plane, ControlPlane):
        eventually("nobody makes one in the name of another", lambda: forged(world, theirs), within=CONVERGED)
    since = now()
    world.plane.request("POST", path, theirs, user=writer)
    took = world.see("a copy where its creator may write", missing(world, SECRETS, "theirs", "hers"), since=since)
    world.see("where not, it says so in its creator's name",
              unlike(world, GLOBAL_OBJECTS, "theirs", ADMIN, "Permitted", "False", "his: may not list secrets",
                     "secrets as " + writer.username))  # fmt: skip
    writers = {one.user for one in world.plane.audit.requests(mark, resource=SECRETS, verb="create", namespace="hers")}
    require(differs("who wrote the copy", writers, {writer.username}), "the copy is its creator's")
    require(present(world, SECRETS, "theirs", "his")(), "no copy where its creator may not write")
    reads.revoke()
    since = now()
    told = world.see("a creator who may not read the parent any more is told so", unlike(
        world, GLOBAL_OBJECTS, "theirs", ADMIN, "Permitted", "False",
        "hers: may not list secrets in namespace admin", writer.username), within=BOUND, since=since)  # fmt: skip
    reads.restore()
    world.patch(SECRETS, "secret-oct-01-2020", {"data": {"late": VALUE}}, ADMIN)
    world.see("and goes on with the grant", lambda: differs(
        "the data", "late" in world.find(SECRETS, "theirs", "hers")["data"], True), within=BOUND)  # fmt: skip
    world.patch(SECRETS, "secret-oct-01-2020", {"data": {"late": None}}, ADMIN)
    world.plane.bind(writer, world.example.role_in_namespace, namespace="his")
    world.see("and writes where that is granted", missing(world, SECRETS, "theirs", "his"), within=BOUND)
    world.remove(GLOBAL_OBJECTS, "theirs", ADMIN)
    world.see("all copies go with it", lambda: first(present(world, GLOBAL_OBJECTS, "theirs", ADMIN)(), differs(
        "copies", where(world, SECRETS, "theirs"), [])))  # fmt: skip
    if isinstance(world.plane, ControlPlane):
        for one in load_manifests(world.example.folder / "creator-policy.yaml"):
            world.plane.delete(POLICIES[one["kind"]], one["metadata"]["name"])
    world.operator.process.stop(grace=6.0)
    world.start_operator()
    return Outcome(took, {"told after": told})


def forged(world: ExampleWorld, theirs: Manifest) -> str | None:
    """Tell that somebody could make a GlobalObject in another's name."""
    try:
        world.plane.create({**theirs, "metadata": {**theirs["metadata"], "name": "forged"}}, ADMIN)
    except (InvalidError, ForbiddenError):
        return None
    world.plane.delete(GLOBAL_OBJECTS, "forged", ADMIN)
    return "it was accepted"


def the_lowest_leads(world: ExampleWorld) -> Outcome:
    """A5."""
    world.operator.process.stop(grace=6.0)
    world.namespace("led", allowed=True)
    world.apply(wish(targetNamespaces=["led"], matchLabels=[], parent="secret-oct-01-2020"), ADMIN)
    replicas = {priority: Replica.start(world, priority) for priority in (2, 1, 0)}
    first_one = replicas[0]
    try:
        eventually("the one with priority 0 leads", lambda: not_led_by(world, first_one.operator), within=ELECTED)
        killed = first_one.crash()
        second = world.see("when it is killed, the next one leads", lambda: not_led_by(world, replicas[1].operator),
                           within=ELECTED, since=killed)  # fmt: skip
        works(world)
        replicas[0] = Replica.start(world, 0)
        back = now()
        took = world.see("when it is back, it leads again", lambda: not_led_by(world, replicas[0].operator),
                         within=ELECTED, since=back)  # fmt: skip
        works(world)
        survivors = [one.operator for one in replicas.values()]
        require(overlap(*survivors), "who hands over has stopped before the other begins")
    finally:
        for one in replicas.values():
            one.operator.process.stop(grace=6.0)
        if world.inside is not None:
            world.inside.servers = ()
    world.start_operator()
    return Outcome(took, {"next one after": second})


def a_thousand(world: ExampleWorld) -> Outcome:
    """A6."""
    labels = {"infra.einstein.ai/many": "true"}
    names = [f"many-{number:04}" for number in range(MANY)]
    denied = names[:: MANY // MANY_DENIED]

    def prepare(name: str) -> None:
        world.plane.create_namespace(name, labels)
        if name not in denied:
            world.allow_quietly(name)

    world.many(prepare, names)
    world.apply(wish("many", "secret-oct-01-2020", targetNamespaces=[],
                     matchLabels=[{"key": key, "value": value} for key, value in labels.items()]), ADMIN)  # fmt: skip
    mark, since = world.plane.audit.mark(), now()
    expected = sorted(set(names) - set(denied))
    took = world.see(f"{len(expected)} copies", lambda: differs(
        "the number of copies", len(set(where(world, SECRETS, COPY)) & set(names)), len(expected)),
        within=120.0, since=since)  # fmt: skip
    told = world.see(
        "the condition names those that are denied", lambda: unnamed(world, denied), within=60.0, since=since
    )
    creates = [one.received.timestamp() for one in world.requests(mark, verb="create", resource=SECRETS)]
    span = max(creates) - min(creates) or 1e-9
    requests = len(world.requests(mark))
    since = now()
    world.remove(GLOBAL_OBJECTS, "many", ADMIN)
    gone = world.see("all copies go", lambda: differs("copies", len(set(where(world, SECRETS, COPY)) & set(names)), 0),
                     within=120.0, since=since)  # fmt: skip
    world.many(world.allow_quietly, denied)
    # So many places are reviewed in turns, and the bound says so.
    bound = world.operator.effective_bound
    world.see(
        "and it, where it was denied too", present(world, GLOBAL_OBJECTS, "many", ADMIN), within=bound + CONVERGED
    )
    return Outcome(took, {"told after": told, "copies": len(expected), "copies/s": round(len(creates) / span),
                          "requests": requests, "all gone after": gone})  # fmt: skip


def copies(world: ExampleWorld, namespace: str) -> Manifest | None:
    return world.plane.get(SECRETS, COPY, namespace)


def uneven(world: ExampleWorld, *keys: str, but: str = "") -> str | None:
    """Tell which copy has other data than this value under each of the keys."""
    data = dict.fromkeys(keys, VALUE)
    for name in ALL:
        found = copies(world, name)
        if name != but and (found is None or found["data"] != data):
            return f"the copy in {name} is {found and found['data']}, expected {data}"
    return None


def where(world: ExampleWorld, resource: str, name: str) -> list[str]:
    """Return the namespaces in which an object of this name is, without that of parents."""
    found = [one["metadata"] for one in world.plane.list(resource)]
    return sorted(one["namespace"] for one in found if one["name"] == name and one["namespace"] != ADMIN)


def places(world: ExampleWorld) -> list[str]:
    return where(world, SECRETS, COPY)


def status(world: ExampleWorld, name: str = WISH) -> Manifest:
    found: Manifest = world.find(GLOBAL_OBJECTS, name, ADMIN).get("status", {})
    return found


def untold(world: ExampleWorld, reason: str, parent: str) -> str | None:
    """Tell that not each copy has its Event."""
    notes = [
        one["note"]
        for one in world.plane.list(EVENTS, ADMIN)
        if one["reason"] == reason and WISH in str(one["regarding"])
    ]
    wanted = [f"{ADMIN}/{parent} is copied to {name}/{COPY}" for name in ALL]
    return differs("the Events", sorted(note for note in notes if parent in note), sorted(wanted))


def unnamed(world: ExampleWorld, denied: list[str]) -> str | None:
    """Tell that the condition does not name exactly these namespaces."""
    found = condition_of(world.find(GLOBAL_OBJECTS, "many", ADMIN), "Permitted")
    named = [part.partition(":")[0] for part in found.get("message", "").split("; ") if part]
    return differs("what it names", (found.get("status"), named), ("False", denied))


@attrs.frozen
class Replica:
    """One of several; on the embedded cluster it has an API server of its own, which `crash` takes away."""

    operator: Operator
    server: FrontEnd | None

    @classmethod
    def start(cls, world: ExampleWorld, priority: int) -> Replica:
        """Start one, and wait until it is ready."""
        server = None
        if world.inside is not None:
            server = world.inside.cluster.front_end()
            world.inside.servers = [server]
        started = cls(world.launch_operator("--priority", str(priority)), server)
        eventually("it is ready", world.operator_unready, within=START)
        return started

    def crash(self) -> float:
        """End it without a chance to let its Lease go; return when."""
        process = self.operator.process
        if self.server is not None:
            self.server.restart(down=10_000.0)
        if isinstance(process, Process):
            process.kill()
        ended = now()
        process.stop(grace=0.1)
        return ended


def not_led_by(world: ExampleWorld, operator: Operator) -> str | None:
    """Tell that a replica does not hold the Lease."""
    lease = world.plane.get(LEASES, PROGRAM.lease, world.home)
    holder = lease and lease["spec"].get("holderIdentity")
    elected = [one["identity"] for one in operator.log.events("leader.elected")]
    return None if holder and holder in elected else f"the Lease is held by {holder!r}"


def works(world: ExampleWorld) -> None:
    """Delete a copy, and wait until it is put right."""
    eventually("there is a copy", missing(world, SECRETS, COPY, "led"), within=CONVERGED)
    world.plane.delete(SECRETS, COPY, "led")
    eventually("a copy is put right", missing(world, SECRETS, COPY, "led"), within=CONVERGED)


def overlap(*replicas: Operator) -> str | None:
    """Tell that somebody began to lead while another one led still."""
    names = ("leader.elected", "leader.released", "leader.lost")
    lines = sorted((one for operator in replicas for one in operator.log.events(*names)), key=lambda one: one["time"])
    return next(_overlaps(lines), None)


def _overlaps(lines: list[dict[str, Any]]) -> Iterator[str]:
    leading = ""
    for line in lines:
        if line["event"] != "leader.elected":
            leading = "" if leading == line["identity"] else leading
        elif leading:
            yield f"{line['identity']} began while {leading} led"
        else:
            leading = line["identity"]


ROWS = (
    Row("A1", "five copies, in the namespaces named and those labelled, and five Events", CONVERGED, created),
    Row("A2", "a new parent replaces them whole; Events name it", CONVERGED, rotated),
    Row("A3", "a copy comes with the label of a namespace and goes with it", CONVERGED, labelled),
    Row("A4", "edits put right, foreign objects left alone, a missing parent told", CONVERGED, put_right),
    Row("A.bad", "kinds that may not be copied, other names, other kinds, other places", CONVERGED, bad_input),
    Row("A.denied", "one namespace revoked: named, the rest goes on, heals", BOUND, one_namespace_denied),
    Row("A.quiet", "nothing to do: nothing is written", None, quiet),
    Row("A.delete", "deleted while denied: waits, says where, and ends with the grant", BOUND, deleted_while_denied),
    Row("A.creator", "as its creator: what that one may read, to where that one may write", CONVERGED, as_its_creator),
    Row("A5", "the lowest priority leads; the next one, when it is gone; and it again", ELECTED, the_lowest_leads),
    Row("A6", f"{MANY} namespaces, {MANY_DENIED} of them denied", None, a_thousand),
)  # fmt: skip
EXAMPLE = Example("global_objects", PROGRAM, ROWS, fleet_rows=FLEET_ROWS, told=("A1", "A2", "A3", "A4", "A.denied"))
