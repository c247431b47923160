"""Rows M1 to M6: Meteors, and their Comas in other namespaces."""

from __future__ import annotations

from typing import Any

from examples.meteor.__main__ import PROGRAM
from scopedcache.errors import InvalidError

from ..clock import now, pause
from ..observations import Manifest
from ..rows import Outcome, Row
from ..waiting import Failed, differs, eventually, never, require
from ..world import BOUND, CONVERGED
from .example import Example
from .users import written
from .world import EVENTS, ExampleWorld, missing, present, unlike

METEORS, SHOWERS, COMAS = "meteors.meteor.zone", "showers.meteor.zone", "comas.meteor.zone"
CONFIG_MAPS = "configmaps"
HOME, ONE, TWO = "our-namespace", "external-one", "external-two"
# What the garbage collector and a chain of finalizers may take.
GONE = 10.0
NAME = "meteor-2n7rk"


def shower(*namespaces: str, name: str = "perseids") -> Manifest:
    """Return a Shower with an external service in each namespace."""
    services = [{"name": f"in-{one}", "namespace": one} for one in namespaces]
    return {"apiVersion": "meteor.zone/v1alpha1", "kind": "Shower", "metadata": {"name": name},
            "spec": {"externalServices": [{"name": "elsewhere"}, *services]}}  # fmt: skip


def meteor(name: str = NAME, **spec: Any) -> Manifest:
    """Return a Meteor."""
    return {"apiVersion": "meteor.zone/v1alpha1", "kind": "Meteor", "metadata": {"name": name},
            "spec": {"url": "https://example.com/book.git", **spec}}  # fmt: skip


def gets_a_coma(world: ExampleWorld) -> Outcome:
    """M1."""
    world.namespace(HOME)
    world.namespace(ONE, allowed=True)
    world.start_operator()
    world.apply(shower(ONE), HOME)
    since = now()
    world.apply(meteor(), HOME)
    took = world.see("the Coma is there, and each names the other", lambda: unmatched(world, NAME, ONE), since=since)
    found = world.find(METEORS, NAME, HOME)
    (owner,) = found["metadata"]["ownerReferences"]
    require(differs("its owner", owner["uid"], world.find(SHOWERS, "perseids", HOME)["metadata"]["uid"]), "Meteor")
    coma = world.find(COMAS, NAME, ONE)
    require(differs("owner references", coma["metadata"].get("ownerReferences"), None), "none crosses namespaces")
    eventually("it is Ready", lambda: differs("phase", phase(world), "Ready"), within=CONVERGED)
    return Outcome(took, {"columns": ", ".join(world.table(METEORS, HOME)[0])})


def lost_coma(world: ExampleWorld) -> Outcome:
    """M3."""
    before = world.find(COMAS, NAME, ONE)["metadata"]["uid"]
    since = now()
    world.remove(COMAS, NAME, ONE)
    took = world.see("a Coma deleted by hand is made anew", lambda: unmatched(world, NAME, ONE, unlike_uid=before),
                     since=since)  # fmt: skip
    require(differs("references", len(comas(world)), 1), "no entry twice")
    return Outcome(took)


def lost_status(world: ExampleWorld) -> Outcome:
    """M4: the operator ends between the Coma and the status that tells of it; meanwhile its service goes, too."""
    world.namespace(TWO, allowed=True)
    world.operator.process.stop(grace=6.0)
    status(world, NAME, {"comas": None, "phase": None})
    world.start_operator()
    took = world.see("what the lost status said is there again", lambda: unmatched(world, NAME, ONE))
    world.apply(shower(ONE, TWO), HOME)
    world.see("another service, another Coma", lambda: unmatched(world, NAME, TWO))
    world.operator.process.stop(grace=6.0)
    status(world, NAME, {"comas": [one for one in comas(world) if one["namespace"] == ONE]})
    world.apply(shower(ONE), HOME)
    world.start_operator()
    orphan = world.see("a Coma that no status and no Shower names is found and taken away",
                       present(world, COMAS, NAME, TWO))  # fmt: skip
    return Outcome(took, {"orphan after": orphan})


def service_removed(world: ExampleWorld) -> Outcome:
    """M5, beside a Meteor of another name and one of another Shower."""
    world.apply(shower(ONE, TWO), HOME)
    world.apply(meteor("meteor-other"), HOME)
    world.see("two Meteors, four Comas", lambda: unmatched(world, NAME, TWO) or unmatched(world, "meteor-other", TWO))
    world.namespace("their-namespace")
    world.apply(shower(TWO), "their-namespace")
    world.apply(meteor("meteor-theirs"), "their-namespace")
    world.see("a Meteor elsewhere", lambda: unmatched(world, "meteor-theirs", TWO, home="their-namespace"))
    since = now()
    world.apply(shower(ONE), HOME)
    took = world.see("a service that is removed takes its Coma along", present(world, COMAS, NAME, TWO), since=since)
    world.see("and its reference", lambda: differs("references", [one["namespace"] for one in comas(world)], [ONE]))
    require(missing(world, COMAS, "meteor-theirs", TWO)(), "the Coma of another Meteor")
    world.see("of the other Meteor too", present(world, COMAS, "meteor-other", TWO))
    world.remove(METEORS, "meteor-other", HOME)
    world.see("which goes with all that it has", lambda: present(world, METEORS, "meteor-other", HOME)()
              or present(world, COMAS, "meteor-other", ONE)(), within=GONE)  # fmt: skip
    return Outcome(took)


def taken_name(world: ExampleWorld) -> Outcome:
    """Bad input: a Coma of the name is somebody else's; no Shower; a Meteor that the schema refuses."""
    for wrong in ({"url": "ftp://example.com"}, {"ttl": 0}):
        try:
            world.plane.create(meteor("wrong", **wrong), HOME)
        except InvalidError:
            continue
        raise Failed(f"a Meteor with {wrong} was accepted")
    foreign = {"apiVersion": "meteor.zone/v1alpha1", "kind": "Coma", "metadata": {"name": "taken"}, "spec": {}}
    world.apply(foreign, ONE)
    before = world.find(COMAS, "taken", ONE)["metadata"]["resourceVersion"]
    since = now()
    world.apply(meteor("taken"), HOME)
    took = world.see("a Coma of somebody else's is left alone, and the Meteor fails",
                     lambda: differs("phase", phase(world, "taken"), "Failed"), since=since)  # fmt: skip
    require(differs("its version", world.find(COMAS, "taken", ONE)["metadata"]["resourceVersion"], before), "foreign")
    world.remove(METEORS, "taken", HOME)
    world.see("the Meteor goes", present(world, METEORS, "taken", HOME), within=GONE)
    require(missing(world, COMAS, "taken", ONE)(), "the foreign Coma")
    world.namespace("no-shower")
    world.apply(meteor("alone"), "no-shower")
    world.see("without a Shower it fails", lambda: differs("phase", phase(world, "alone", "no-shower"), "Failed"))
    world.apply(shower(name="first"), "no-shower")
    world.see("and heals with one", lambda: differs("phase", phase(world, "alone", "no-shower"), "Ready"))
    return Outcome(took)


def expires(world: ExampleWorld) -> Outcome:
    """S2.10: a Meteor deletes itself when its time is over."""
    world.apply(meteor("brief", ttl=6), HOME)
    since = now()
    world.see("a Meteor that lives for six seconds is there", lambda: unmatched(world, "brief", ONE))
    took = world.see("it goes by itself", present(world, METEORS, "brief", HOME), within=6 + GONE, since=since)
    require(present(world, COMAS, "brief", ONE)(), "its Coma")
    require("it went too early" if took < 5 else None, "after six seconds")  # its birth is told in whole seconds
    return Outcome(took)


def one_namespace_denied(world: ExampleWorld) -> Outcome:
    """S2.14: one external namespace is revoked, the rest goes on, and it heals."""
    world.apply(shower(ONE, TWO), HOME)
    world.see("both Comas", lambda: unmatched(world, NAME, TWO))
    since = world.revoke(TWO)
    told = world.see("the condition names the namespace, the verb and the resource",
                     unlike(world, METEORS, NAME, HOME, "Permitted", "False", f"{TWO}: may not list {COMAS}"),
                     within=BOUND, since=since)  # fmt: skip
    world.apply(meteor("newcomer"), HOME)
    others = world.see("others go on", lambda: unmatched(world, "newcomer", ONE))
    require(differs("references", {one["namespace"] for one in comas(world)}, {ONE, TWO}), "what was known is kept")
    require(present(world, COMAS, "newcomer", TWO)(), "nothing is made where it is denied")
    since = world.allow(TWO)
    took = world.see("it heals", lambda: unmatched(world, "newcomer", TWO), within=BOUND, since=since)
    world.see("and says so", unlike(world, METEORS, NAME, HOME, "Permitted", "True"))
    world.remove(METEORS, "newcomer", HOME)
    return Outcome(took, {"told after": told, "others after": others})


def deleted_while_denied(world: ExampleWorld) -> Outcome:
    """M6."""
    since = world.revoke(TWO)
    world.see("it is denied", unlike(world, METEORS, NAME, HOME, "Permitted", "False", f"{TWO}: may not "),
              within=BOUND, since=since)  # fmt: skip
    world.remove(METEORS, NAME, HOME)
    world.see("what may go goes", present(world, COMAS, NAME, ONE))
    runs = world.operator.log.mark()
    never("the finalizer goes", lambda: missing(world, METEORS, NAME, HOME)(), during=BOUND, interval=1.0)
    require(unlike(world, METEORS, NAME, HOME, "Permitted", "False", f"{TWO}: may not ")(), "it says what blocks")
    mark = world.plane.audit.mark()
    never("a write while it waits", lambda: written(world, mark), during=10.0, interval=1.0)
    since = world.allow(TWO)
    took = world.see("with the grant it goes", lambda: present(world, METEORS, NAME, HOME)()
                     or present(world, COMAS, NAME, TWO)(), within=BOUND, since=since)  # fmt: skip
    failed = [one["event"] for one in world.operator.log.events("reconcile.failed", since=runs)]
    require(differs("failed reconciles", failed, []), "no rate above back-off")
    return Outcome(took)


def collected(world: ExampleWorld) -> Outcome:
    """M2."""
    world.apply(meteor(), HOME)
    world.see("the Coma is there", lambda: unmatched(world, NAME, ONE))
    uid = world.find(COMAS, NAME, ONE)["metadata"]["uid"]
    owner = {"apiVersion": "meteor.zone/v1alpha1", "kind": "Coma", "name": NAME, "uid": uid}
    world.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "result", "ownerReferences": [owner]}},
                ONE)  # fmt: skip
    pause(1.0)
    require(missing(world, CONFIG_MAPS, "result", ONE)(), "an object that the Coma owns")
    since = now()
    world.remove(METEORS, NAME, HOME)
    took = world.see("Meteor, Coma, and what the Coma owns are gone", lambda: present(world, METEORS, NAME, HOME)()
                     or present(world, COMAS, NAME, ONE)() or present(world, CONFIG_MAPS, "result", ONE)(),
                     within=GONE, since=since)  # fmt: skip
    reasons = {one["reason"] for one in world.plane.list(EVENTS)}
    require("there is one" if "OwnerRefInvalidNamespace" in reasons else None, "Events OwnerRefInvalidNamespace")
    return Outcome(took)


def quiet(world: ExampleWorld) -> Outcome:
    """A run on what is right sends nothing."""
    world.apply(meteor("lasting"), HOME)
    world.see("a Meteor is Ready", lambda: differs("phase", phase(world, "lasting"), "Ready"))
    pause(2.0)
    mark = world.plane.audit.mark()
    never("a write while nothing changes", lambda: written(world, mark), during=10.0, interval=1.0)
    return Outcome(None, {"quiet for": 10})


def unmatched(world: ExampleWorld, name: str, namespace: str, *, home: str = HOME, unlike_uid: str = "") -> str | None:
    """Tell that a Meteor and its Coma in a namespace do not name each other."""
    coma = world.plane.get(COMAS, name, namespace)
    if coma is None or coma["metadata"]["uid"] == unlike_uid or "deletionTimestamp" in coma["metadata"]:
        return f"the Coma {namespace}/{name} is {coma and coma['metadata']}"
    found = world.find(METEORS, name, home)
    forward = [one["uid"] for one in found.get("status", {}).get("comas", []) if one["namespace"] == namespace]
    back = coma.get("status", {}).get("owner", {}).get("uid")
    return differs("uids", (forward, back), ([coma["metadata"]["uid"]], found["metadata"]["uid"]))


def comas(world: ExampleWorld, name: str = NAME) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.find(METEORS, name, HOME).get("status", {}).get("comas", [])
    return found


def phase(world: ExampleWorld, name: str = NAME, namespace: str = HOME) -> object:
    return world.find(METEORS, name, namespace).get("status", {}).get("phase")


def status(world: ExampleWorld, name: str, patch: Manifest) -> None:
    """Change what a Meteor's status says, as a write that was lost would have left it."""
    world.plane.patch(METEORS, name, {"status": patch}, HOME, subresource="status")


ROWS = (
    Row("M1", "a Meteor gets a Coma in each external namespace; each names the other", CONVERGED, gets_a_coma),
    Row("M3", "a Coma deleted by hand is made anew, and named once", CONVERGED, lost_coma),
    Row("M4", "a lost status is put right, a Coma that nothing names is found", CONVERGED, lost_status),
    Row("M5", "a service that is removed takes its Coma along and no other", CONVERGED, service_removed),
    Row("M.bad", "names that are taken, no Shower, refused specs: told, nothing harmed", CONVERGED, taken_name),
    Row("M.ttl", "a Meteor deletes itself when its six seconds are over", 6 + CONVERGED, expires),
    Row("M.denied", "one external namespace revoked: named, the rest goes on, heals", BOUND, one_namespace_denied),
    Row("M6", "deleted while denied: waits, says where, and goes with the grant", BOUND, deleted_while_denied),
    Row("M2", "what a Coma owns goes with its Meteor, and no Event complains", GONE, collected),
    Row("M.quiet", "nothing to do: nothing is written", None, quiet),
)  # fmt: skip
EXAMPLE = Example("meteor", PROGRAM, ROWS, told=("M1", "M3", "M4", "M5", "M2"))
