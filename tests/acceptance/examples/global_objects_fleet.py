"""Rows AC1 to AC5: copies in another cluster too, which is embedded; the program's own is as CLUSTER says."""

from __future__ import annotations

import base64

from scopedcache.testing import EmbeddedCluster, Identity
from scopedcache.testing.embedded import Fault
from tests.unit.kubeconfig import flat

from ..clock import now
from ..observations import Manifest
from ..rows import Outcome, Row
from ..waiting import differs, first, require
from ..world import BOUND, CONVERGED
from .world import BINDINGS, ExampleWorld, missing, present, unlike

GLOBAL_OBJECTS, SECRETS, NAMESPACES = "globalobjects.infra.einstein.ai", "secrets", "namespaces"
ADMIN, WISH, COPY, PARENT = "admin", "everywhere", "my-secret", "secret-sep-01-2020"
FLEET, EAST = {"fleet": "member"}, "east"
MONITORING = {"infra.einstein.ai/namespace": "monitoring"}
HERE, THERE = ("app",), ("app", "logging")
PLACES = ["app", "east/app", "east/logging"]
VALUE = "d29ybGQ="
SILENT_SECONDS = 10_000.0
# Noticed within a period of reviews; after that the next try comes when the server answers again.
AWAY = 20.0


def created(world: ExampleWorld) -> Outcome:
    """AC1: the Secret of a cluster is enough."""
    east = world.beside.enter_context(EmbeddedCluster.start(http=True))
    account = east.service_account(*world.example.account)
    world.memory.update(east=east, account=account)
    east.apply(world.rbac)
    for name in HERE:
        world.namespace(name, allowed=True, labels={"app": name})
    for name in THERE:
        east.create_namespace(name, MONITORING if name == "logging" else {"app": name})
        bind(world, name)
    world.start_operator("--clusters", "fleet=member")
    world.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": PARENT}, "data": {"hello": VALUE}}, ADMIN)
    world.apply(wish(), ADMIN)
    world.see("a copy at home", missing(world, SECRETS, COPY, "app"))
    since = now()
    world.apply(cluster_secret(account), ADMIN)
    took = world.see("copies in a cluster that comes", lambda: uneven(world, "hello"), since=since)
    world.see("all of them are counted", unlike(world, GLOBAL_OBJECTS, WISH, ADMIN, "Replicated", "True", "3 of 3"))
    require(differs("where copies are", status(world), PLACES), "written down with the cluster's name")
    return Outcome(took)


def changed(world: ExampleWorld) -> Outcome:
    """AC2: what changes here, or there, is put right there."""
    east = world.memory["east"]
    since = now()
    world.patch(SECRETS, PARENT, {"data": {"more": VALUE}}, ADMIN)
    took = world.see("an edit reaches all clusters", lambda: uneven(world, "hello", "more"), since=since)
    east.delete(SECRETS, COPY, "app")
    world.see("a copy that is deleted there is put right", lambda: uneven(world, "hello", "more"))
    east.patch(NAMESPACES, "logging", {"metadata": {"labels": dict.fromkeys(MONITORING)}})
    world.see("a namespace there that is labelled no longer loses its copy", lambda: first(
        differs("copies", there(world), ["app"]), differs("places", status(world), PLACES[:2])))  # fmt: skip
    east.patch(NAMESPACES, "logging", {"metadata": {"labels": MONITORING}})
    world.see("and one that is gets it", lambda: uneven(world, "hello", "more"))
    return Outcome(took)


def denied(world: ExampleWorld) -> Outcome:
    """AC3: a right that is missing there is named with its cluster, and nothing else waits for it."""
    name = world.example.account[1]
    since = now()
    world.memory["east"].delete(BINDINGS, name, "app")
    told = world.see("it is named with its cluster",
                     unlike(world, GLOBAL_OBJECTS, WISH, ADMIN, "Permitted", "False", "east/app: may not list secrets"),
                     within=BOUND, since=since)  # fmt: skip
    since = now()
    world.patch(SECRETS, PARENT, {"data": {"rest": VALUE}}, ADMIN)
    others = world.see("the others go on", lambda: uneven(world, "hello", "more", "rest", but="east/app"), since=since)
    since = now()
    bind(world, "app")
    took = world.see("it heals", lambda: uneven(world, "hello", "more", "rest"), within=BOUND, since=since)
    return Outcome(took, {"told after": told, "others after": others})


def silent(world: ExampleWorld) -> Outcome:
    """AC4: a cluster that does not answer, and one whose Secret is gone, keep nobody waiting and lose nothing."""
    east = world.memory["east"]
    silence = east.faults.add(Fault(latency=SILENT_SECONDS))
    world.see("/readyz says that it is away", lambda: answering(world), within=AWAY)
    since = now()
    world.patch(SECRETS, PARENT, {"data": {"hello": None}}, ADMIN)
    others = world.see("the copy at home goes on",
                       lambda: uneven(world, "more", "rest", but="east/"), since=since)  # fmt: skip
    east.faults.remove(silence)
    since = now()
    took = world.see("what it missed reaches it", lambda: uneven(world, "more", "rest"), within=AWAY, since=since)
    world.remove(SECRETS, "cluster-east", ADMIN)
    world.patch(SECRETS, PARENT, {"data": {"rest": None}}, ADMIN)
    world.see("without its Secret the others go on", lambda: uneven(world, "more", but="east/"))
    require(differs("where copies are", status(world), PLACES), "nothing is forgotten")
    world.apply(cluster_secret(world.memory["account"]), ADMIN)
    world.see("and it heals when that is back", lambda: uneven(world, "more"))
    return Outcome(took, {"others after": others})


def deleted(world: ExampleWorld) -> Outcome:
    """AC5: every copy goes, in every cluster."""
    since = now()
    world.remove(GLOBAL_OBJECTS, WISH, ADMIN)
    took = world.see("all copies go, and it", lambda: first(
        differs("copies there", there(world), []), present(world, SECRETS, COPY, "app")(),
        present(world, GLOBAL_OBJECTS, WISH, ADMIN)()), since=since)  # fmt: skip
    return Outcome(took)


def wish() -> Manifest:
    return {"apiVersion": "infra.einstein.ai/v1beta", "kind": "GlobalObject", "metadata": {"name": WISH},
            "spec": {"type": "Secret", "name": PARENT, "targetName": COPY, "targetNamespaces": ["app"],
                     "matchLabels": [{"key": key, "value": value} for key, value in MONITORING.items()]}}  # fmt: skip


def cluster_secret(account: Identity) -> Manifest:
    """Return the Secret that names a cluster: a kubeconfig without files (`kubectl config view --raw --flatten`)."""
    data = {"kubeconfig": base64.b64encode(flat(account)).decode()}
    metadata = {"name": "cluster-east", "labels": FLEET | {"cluster.x-k8s.io/cluster-name": EAST}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def bind(world: ExampleWorld, namespace: str) -> None:
    """Let copies into a namespace of the other cluster."""
    name = world.example.account[1]
    world.memory["east"].bind(world.memory["account"], world.example.role_in_namespace, namespace=namespace, name=name)


def uneven(world: ExampleWorld, *keys: str, but: str = "-") -> str | None:
    """Tell which copy has other data than this value under each of the keys."""
    for place in PLACES:
        plane = world.memory["east"] if "/" in place else world.plane
        found = plane.get(SECRETS, COPY, place.rpartition("/")[2])
        if not place.startswith(but) and (found is None or found["data"] != dict.fromkeys(keys, VALUE)):
            return f"the copy in {place} is {found and found['data']}, expected {keys}"
    return None


def there(world: ExampleWorld) -> list[str]:
    """Return the namespaces of the other cluster that have a copy."""
    found = (one["metadata"] for one in world.memory["east"].list(SECRETS))
    return sorted(one["namespace"] for one in found if one["name"] == COPY)


def status(world: ExampleWorld) -> list[str]:
    found: list[str] = world.find(GLOBAL_OBJECTS, WISH, ADMIN).get("status", {}).get("namespaces", [])
    return found


def answering(world: ExampleWorld) -> str | None:
    """Tell that /readyz says that the other cluster answers."""
    health = world.operator.health()
    state = health.body["clusters"][EAST]
    return f"it is {state}" if state["answers"] or health.status != 200 else None


FLEET_ROWS = (
    Row("AC1", "a Secret with a kubeconfig: copies in that cluster", CONVERGED, created),
    Row("AC2", "edits here and there are put right there", CONVERGED, changed),
    Row("AC3", "a right that is missing there: named with the cluster, the rest goes on, heals", BOUND, denied),
    Row("AC4", "a cluster that is silent, or whose Secret is gone: nobody waits, nothing is forgotten", AWAY, silent),
    Row("AC5", "deleted: every copy goes in every cluster", CONVERGED, deleted),
)  # fmt: skip
