"""Rows K1 to K9: Namespaces of a Tenant, what is in them, the quotas that they share. Its web: `tenants_web.py`."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any

from examples.tenants.__main__ import PROGRAM
from scopedcache.errors import APIError, ConflictError, ForbiddenError
from scopedcache.testing import EmbeddedCluster
from scopedcache.testing.embedded import Fault
from scopedcache.testing.resources import load_manifests
from scopedcache.web import KeyPair, new_authority, new_leaf
from scopedcache.web.authority import AUTHORITY_LIFE, is_signed_by

from ..clock import now, pause
from ..observations import Manifest
from ..program import ROOT
from ..rows import Outcome, Row
from ..waiting import Failed, differs, eventually, never, require
from ..world import BOUND, CONVERGED
from .example import Example
from .tenants_web import USERS, WEB_ROWS
from .world import BINDINGS, COLLECTED, ExampleWorld, condition_of, missing, present, unlike, wrong_names

TENANTS = "tenants.capsule.clastix.io"
LABEL = "capsule.clastix.io/tenant"
QUOTAS, LIMIT_RANGES = "resourcequotas", "limitranges"
POLICIES = "networkpolicies.networking.k8s.io"
HOOKS = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
FOLDER = ROOT / "examples" / "tenants"
CHILDREN = {
    LIMIT_RANGES: ("capsule-oil-0",),
    POLICIES: ("capsule-oil-0",),
    QUOTAS: ("capsule-oil-0", "capsule-oil-1", "capsule-oil-2"),
    BINDINGS: ("namespace-deleter", "namespace:admin"),
}
OIL = {LABEL: "oil"}
PLACES = ("oil-dev", "oil-test", "oil-prod")
REPAIRED = 10.0


def oil() -> Manifest:
    """Return the Tenant of the documents."""
    return load_manifests(FOLDER / "oil.yaml")[0]


def children_differ(world: ExampleWorld, namespace: str, quotas: int = 3) -> Callable[[], str | None]:
    """Return the problem that other children are in a Namespace than a Tenant's, or are another owner's."""

    def problem() -> str | None:
        uid = world.find(TENANTS, "oil")["metadata"]["uid"]
        for resource, names in CHILDREN.items():
            expected = list(names[:quotas] if resource == QUOTAS else names)
            if wrong := differs(f"{resource} in {namespace}", world.names(resource, namespace, **OIL), expected):
                return wrong
            for one in world.plane.list(resource, namespace, selector=f"{LABEL}=oil"):
                owners = [owner["uid"] for owner in one["metadata"]["ownerReferences"] if owner["controller"]]
                if wrong := differs(f"the owner of {one['metadata']['name']}", owners, [uid]):
                    return wrong
        return None

    return problem


def status_differs(world: ExampleWorld, *namespaces: str) -> Callable[[], str | None]:
    """Return the problem that the Tenant's status names other Namespaces."""

    def problem() -> str | None:
        status = world.find(TENANTS, "oil").get("status", {})
        seen = (status.get("size"), status.get("namespaces"))
        return differs("size and namespaces", seen, (len(namespaces), sorted(namespaces)))

    return problem


def every(problems: Iterable[Callable[[], str | None]]) -> Callable[[], str | None]:
    """Return the first of many problems."""
    listed = list(problems)
    return lambda: next((wrong for problem in listed if (wrong := problem())), None)


def three_namespaces(world: ExampleWorld) -> Outcome:
    """K1."""
    world.apply(FOLDER / "users.yaml")
    world.apply(FOLDER / "webhook.yaml")
    world.start_operator()
    world.apply(FOLDER / "oil.yaml")
    for place in PLACES:
        world.namespace(place, allowed=True)
    since = now()
    for place in PLACES:
        world.patch("namespaces", place, {"metadata": {"labels": OIL}})
    took = world.see("everything is in each of three Namespaces", every(children_differ(world, p) for p in PLACES),
                     within=REPAIRED, since=since)  # fmt: skip
    world.see("the status counts them", status_differs(world, *PLACES))
    require(differs("subjects", [s["name"] for s in world.find(BINDINGS, "namespace:admin", "oil-dev")["subjects"]],
                    ["alice"]), "the owner's rights")  # fmt: skip
    return Outcome(took, {"columns": ", ".join(world.table(TENANTS, "")[0]), "objects": 7 * len(PLACES)})


def a_fourth(world: ExampleWorld) -> Outcome:
    """K2, without admission."""
    since = now()
    world.namespace("oil-four", allowed=True, labels=OIL)
    took = world.see("the Tenant says what is too much",
                     unlike(world, TENANTS, "oil", None, "WithinQuota", "False", "oil-four", "quota of 3"),
                     within=REPAIRED, since=since)  # fmt: skip
    never("something is made in it", lambda: made_in(world, "oil-four"), during=5.0)
    require(every([*(children_differ(world, p) for p in PLACES), status_differs(world, *PLACES)])(), "the others")
    world.patch("namespaces", "oil-four", {"metadata": {"labels": {LABEL: None}}})
    world.see("that is over", unlike(world, TENANTS, "oil", None, "WithinQuota", "True"))
    return Outcome(took)


def made_in(world: ExampleWorld, namespace: str) -> str | None:
    made = [name for resource in CHILDREN for name in world.names(resource, namespace, **OIL)]
    return f"there are {', '.join(made)}" if made else None


def drift(world: ExampleWorld) -> Outcome:
    """K3."""
    before = {(r, name): world.find(r, name, "oil-dev") for r, names in CHILDREN.items() for name in names}
    spoiled: dict[str, Manifest] = {
        LIMIT_RANGES: {"spec": {"limits": []}},
        POLICIES: {"spec": {"ingress": [{}], "egress": [{}]}},
        QUOTAS: {"spec": {"hard": dict.fromkeys(("limits.cpu", "limits.memory", "pods"))}},
        BINDINGS: {"subjects": []},
    }

    def unlike_before() -> str | None:
        for (resource, name), old in before.items():
            found = world.plane.get(resource, name, "oil-dev")
            for field in ("spec", "subjects", "roleRef"):
                if wrong := differs(f"{field} of {resource} {name}", found and found.get(field), old.get(field)):
                    return wrong
        return None

    since = now()
    for resource, name in before:
        world.patch(resource, name, spoiled[resource], "oil-dev")
    edited = world.see("what was edited is as it was", unlike_before, within=REPAIRED, since=since)
    since = now()
    for resource, name in before:
        world.remove(resource, name, "oil-dev")
    deleted = world.see("what was deleted is there again", unlike_before, within=REPAIRED, since=since)
    world.patch(QUOTAS, "capsule-oil-1", {"metadata": {"annotations": {"theirs": "1"}}}, "oil-dev")
    pause(2.0)
    mark = world.plane.audit.mark()
    never("a write while all is well", lambda: written(world, mark), during=30.0, interval=1.0)
    kept = world.find(QUOTAS, "capsule-oil-1", "oil-dev")["metadata"]["annotations"].get("theirs")
    require(differs("a foreign annotation", kept, "1"), "others' fields")
    return Outcome(max(edited, deleted), {"edited": edited, "deleted": deleted, "quiet for": 30})


def written(world: ExampleWorld, mark: Any) -> str | None:
    """Tell what the program wrote since a mark; reviews and its Lease do not count."""
    verbs = ("create", "update", "patch", "delete")
    seen = [f"{one.verb} {one.resource} {one.namespace}" for verb in verbs for one in world.requests(mark, verb=verb)
            if one.resource != "leases.coordination.k8s.io" and "review" not in one.resource]  # fmt: skip
    return ", ".join(seen) or None


def fewer_quotas(world: ExampleWorld) -> Outcome:
    """K4, and the shift of scopes that a server does not let change."""
    world.plane.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "theirs"},
                       "spec": {"hard": {"secrets": "50"}}}, "oil-dev")  # fmt: skip
    quotas = oil()["spec"]["resourceQuotas"]
    mark, uids = world.plane.audit.mark(), {p: quota_uid(world, p, 2) for p in PLACES}
    since = now()
    world.patch(TENANTS, "oil", {"spec": {"resourceQuotas": quotas[1:]}})
    shifted = world.see("the list has shifted", every(
        [*(children_differ(world, p, 2) for p in PLACES),
         *(quota_differs(world, p, i, quotas[i + 1]["hard"]) for p in PLACES for i in (0, 1))]),
        within=REPAIRED, since=since)  # fmt: skip
    refused = [one for one in world.requests(mark, resource=QUOTAS) if one.code == 422]
    require(f"{len(refused)} writes were refused" if refused else None, "immutable scopes")
    since = now()
    world.patch(TENANTS, "oil", {"spec": {"resourceQuotas": quotas[:1]}})
    took = world.see("the others are pruned everywhere", every(
        [*(children_differ(world, p, 1) for p in PLACES),
         *(quota_differs(world, p, 0, quotas[0]["hard"]) for p in PLACES)]), within=REPAIRED, since=since)  # fmt: skip
    require(missing(world, QUOTAS, "theirs", "oil-dev")(), "a quota that is not ours")
    world.remove(QUOTAS, "theirs", "oil-dev")
    world.patch(TENANTS, "oil", {"spec": {"resourceQuotas": quotas}})
    world.see("all three are back", every(children_differ(world, p) for p in PLACES), within=REPAIRED)
    return Outcome(max(shifted, took), {"shifted": shifted, "pruned": took, "made anew": len(uids)})


def quota_uid(world: ExampleWorld, namespace: str, index: int) -> str:
    return str(world.find(QUOTAS, f"capsule-oil-{index}", namespace)["metadata"]["uid"])


def quota_differs(world: ExampleWorld, namespace: str, index: int, hard: Manifest) -> Callable[[], str | None]:
    """Return the problem that a quota allows something else."""
    name = f"capsule-oil-{index}"
    return lambda: differs(
        f"what {namespace}/{name} allows",
        (world.plane.get(QUOTAS, name, namespace) or {}).get("spec", {}).get("hard"),
        hard,
    )


def pod(name: str) -> Manifest:
    spec = {"containers": [{"name": "one", "image": "none"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def deployment(name: str, replicas: int) -> Manifest:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod(name)["spec"]}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def pods_differ(world: ExampleWorld, namespace: str, count: int) -> Callable[[], str | None]:
    """Return the problem that there are more or fewer Pods."""
    return lambda: differs(f"the Pods in {namespace}", len(world.pods(namespace)), count)


def pods_refused(world: ExampleWorld, namespace: str) -> str | None:
    """Tell that one more Pod would be let in; by a dry run."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    try:
        world.plane.request("POST", path, pod("one-more"), query={"dryRun": "All"})
    except ForbiddenError as error:
        return None if "exceeded quota" in str(error) else str(error)
    return f"one more Pod is let into {namespace}"


def shared_quota(world: ExampleWorld) -> Outcome:
    """K5."""
    two = PLACES[:2]
    for place in two:
        eventually("a ServiceAccount", missing(world, "serviceaccounts", "default", place), within=CONVERGED)
    since = now()
    for place in two:
        world.apply(deployment("web", 5), place)
    for place in two:
        eventually(f"five Pods in {place}", pods_differ(world, place, 5), within=15.0)
    full = world.see("what is used is the limit", every(quota_differs(world, p, 1, {"pods": "5"}) for p in two),
                     within=15.0, since=since)  # fmt: skip
    world.see("nothing is left for the third", quota_differs(world, "oil-prod", 1, {"pods": "0"}))
    note = "quota.capsule.clastix.io/used-pods"
    told = world.find(QUOTAS, "capsule-oil-1", "oil-prod")["metadata"]["annotations"].get(note)
    require(differs(note, told, "10"), "the annotation")
    since = now()
    refused = world.see("one more Pod is refused", every(partial(pods_refused, world, p) for p in PLACES),
                        within=30.0, since=since)  # fmt: skip
    world.apply(deployment("more", 1), "oil-prod")
    world.see("a Deployment says so",
              unlike(world, "deployments.apps", "more", "oil-prod", "ReplicaFailure", "True", "exceeded quota"),
              within=30.0)  # fmt: skip
    world.remove("deployments.apps", "more", "oil-prod")
    since = now()
    world.patch("deployments.apps", "web", {"spec": {"replicas": 4}}, "oil-dev")
    hard = {"pods": "10"}
    restored = world.see("a Pod less, and the limit is what it was",
                         every(quota_differs(world, p, 1, hard) for p in PLACES), within=15.0, since=since)  # fmt: skip
    for place in two:
        world.remove("deployments.apps", "web", place)
    return Outcome(full, {"refused after": refused, "restored after": restored})


def two_writers(world: ExampleWorld) -> Outcome:
    """K6: an annotation of ours and one of somebody else's, with conflicts in between."""
    for place in PLACES:
        eventually("no Pods", pods_differ(world, place, 0), within=CONVERGED)
    note = "quota.capsule.clastix.io/used-pods"
    world.see("nothing is used", lambda: differs(note, notes_of(world).get(note), "0"), within=15.0)
    if isinstance(world.plane, EmbeddedCluster):
        world.plane.faults.add(Fault(user=world.account.username, verb="patch", resource=QUOTAS, namespace="oil-dev",
                                     name="capsule-oil-1", code=409, times=3), first=True)  # fmt: skip
    mark, since = world.plane.audit.mark(), now()
    world.plane.create(pod("one"), "oil-dev")
    tries = 0
    for number in range(1, 6):  # somebody who reads and writes the same object all the while
        tries = max(tries, annotated(world, "theirs", str(number)))
    took = world.see("both annotations are there", lambda: differs(
        "annotations", (notes_of(world).get(note), notes_of(world).get("theirs")), ("1", "5")),
        within=CONVERGED, since=since)  # fmt: skip
    ours = [one for one in world.requests(mark, verb="patch", resource=QUOTAS, namespace="oil-dev")
            if one.name == "capsule-oil-1"]  # fmt: skip
    require(f"it took {len(ours)} tries" if len(ours) > 4 else None, "our writes")
    failed = world.operator.log.events("reconcile.failed", level="ERROR")
    require(f"the program says {failed}" if failed else None, "the log")
    world.remove("pods", "one", "oil-dev")
    return Outcome(took, {"our tries": len(ours), "their tries at most": tries})


def notes_of(world: ExampleWorld) -> dict[str, str]:
    return world.find(QUOTAS, "capsule-oil-1", "oil-dev")["metadata"].get("annotations") or {}


def annotated(world: ExampleWorld, name: str, value: str) -> int:
    """Annotate the quota as client-go's RetryOnConflict would; return how many tries it took."""
    for tries in range(1, 5):
        found = world.find(QUOTAS, "capsule-oil-1", "oil-dev")
        found["metadata"].setdefault("annotations", {})[name] = value
        try:
            world.plane.request("PUT", f"/api/v1/namespaces/oil-dev/{QUOTAS}/capsule-oil-1", found)
        except ConflictError:
            continue
        return tries
    raise Failed("four conflicts in a row")


def pair_of(world: ExampleWorld, name: str) -> KeyPair:
    data = (world.plane.get("secrets", name, world.home) or {}).get("data", {})
    return KeyPair(*(base64.b64decode(data.get(key, "")) for key in ("tls.crt", "tls.key")))


def untrusted(world: ExampleWorld) -> str | None:
    """Tell that authority, leaf and bundle do not fit together."""
    authority, leaf = pair_of(world, "tenants-ca").parsed(), pair_of(world, "tenants-tls").parsed()
    if authority is None or leaf is None or not is_signed_by(leaf, authority):
        return "the authority has not signed the leaf"
    if authority.not_valid_after_utc <= world.today():
        return "the authority has expired"
    bundle = world.find("secrets", "tenants-ca", world.home)["data"]["ca.crt"]
    seen = [hook["clientConfig"].get("caBundle") for hook in world.find(HOOKS, "tenants")["webhooks"]]
    return differs("the bundle in the webhook", seen, [bundle])


def expire(world: ExampleWorld) -> tuple[KeyPair, KeyPair]:
    """Put an authority into its Secret that expired yesterday, with a leaf of it; return what was there."""
    before = pair_of(world, "tenants-ca"), pair_of(world, "tenants-tls")
    then = world.today() - AUTHORITY_LIFE - timedelta(days=1)
    authority = new_authority("tenants", then)
    for name, pair in (("tenants-ca", authority), ("tenants-tls", new_leaf(authority, ["127.0.0.1"], then))):
        data = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority.certificate}
        coded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        world.admin(f"kubectl -n {world.home} patch secrets {name} …  # an authority that expired yesterday")
        world.plane.patch("secrets", name, {"data": coded}, world.home)
    return before


def expired_authority(world: ExampleWorld) -> Outcome:
    """K7."""
    eventually("certificates", lambda: untrusted(world), within=CONVERGED)
    pid, since = world.operator.process.pid, now()
    old = expire(world)
    took = world.see("authority, leaf and bundle are new", lambda: untrusted(world), since=since)
    require(
        "they are as before" if (pair_of(world, "tenants-ca"), pair_of(world, "tenants-tls")) == old else None, "new"
    )
    require(differs("the process", world.operator.process.pid, pid), "no restart")
    world.plane.delete(HOOKS, "tenants")
    world.apply(FOLDER / "webhook.yaml")
    again = world.see("a webhook that was made anew is trusted too", lambda: untrusted(world), within=REPAIRED)
    return Outcome(took, {"a new webhook after": again})


def one_denied(world: ExampleWorld) -> Outcome:
    """K9."""
    since = world.revoke("oil-test")
    took = world.see("the Tenant names what is missing",
                     unlike(world, TENANTS, "oil", None, "Permitted", "False", "oil-test: may not", LIMIT_RANGES),
                     within=BOUND, since=since)  # fmt: skip
    require("" if "oil-dev" not in condition_of(world.find(TENANTS, "oil"), "Permitted")["message"] else "oil-dev too",
            "nothing else is denied")  # fmt: skip
    since = now()
    world.remove(LIMIT_RANGES, "capsule-oil-0", "oil-dev")
    others = world.see("others go on", children_differ(world, "oil-dev"), since=since)
    world.remove(LIMIT_RANGES, "capsule-oil-0", "oil-test")
    require(differs("size", world.find(TENANTS, "oil")["status"]["size"], 3), "the status")
    since = world.allow("oil-test")
    healed = world.see("it heals", every([children_differ(world, "oil-test"),
                                          unlike(world, TENANTS, "oil", None, "Permitted", "True")]),
                       within=BOUND, since=since)  # fmt: skip
    return Outcome(took, {"others after": others, "healed after": healed})


def bad_elements(world: ExampleWorld) -> Outcome:
    """Bad input: an element that the server refuses, and one that is no quantity, harm only themselves."""
    spec = oil()["spec"]
    since = now()
    world.patch(TENANTS, "oil", {"spec": {"limitRanges": [{"limits": [{"type": "Pod", "default": {"cpu": "1"}}]}]}})
    took = world.see("the Tenant says what is refused",
                     unlike(world, TENANTS, "oil", None, "Provided", "False", "may not be specified when"),
                     since=since)  # fmt: skip
    world.remove(POLICIES, "capsule-oil-0", "oil-dev")
    world.see("the other kinds go on", missing(world, POLICIES, "capsule-oil-0", "oil-dev"), within=REPAIRED)
    world.patch(
        TENANTS,
        "oil",
        {
            "spec": {
                "limitRanges": spec["limitRanges"],
                "resourceQuotas": [{"hard": {"pods": "many"}}, *spec["resourceQuotas"][1:]],
            }
        },
    )
    world.see("what is no quantity is told", unlike(world, TENANTS, "oil", None, "Provided", "False", "quantit"))
    world.patch(TENANTS, "oil", {"spec": {"resourceQuotas": spec["resourceQuotas"]}})
    world.see("it heals", every([unlike(world, TENANTS, "oil", None, "Provided", "True"),
                                 *(children_differ(world, p) for p in PLACES)]), within=30.0)  # fmt: skip
    for wrong in (
        {"namespaceQuota": 0},
        {"owner": {"kind": "Robot", "name": "r"}},
        {"owner": {"kind": "User", "name": ""}},
    ):
        try:
            world.plane.patch(TENANTS, "oil", {"spec": wrong})
        except APIError:
            continue
        raise Failed(f"a Tenant with {wrong} was accepted")
    return Outcome(took)


def leaving(world: ExampleWorld) -> Outcome:
    """A Namespace that leaves its Tenant is cleaned up; a Tenant that goes takes everything along but Namespaces."""
    since = now()
    world.patch("namespaces", "oil-prod", {"metadata": {"labels": {LABEL: None}}})
    took = world.see("its children are gone", every([lambda: made_in(world, "oil-prod"),
                                                     status_differs(world, *PLACES[:2])]), since=since)  # fmt: skip
    world.remove(TENANTS, "oil")
    collected = world.see("what the Tenant owned is collected", every(
        wrong_names(world, r, p, **OIL) for r in CHILDREN for p in PLACES), within=COLLECTED)  # fmt: skip
    require(every(missing(world, "namespaces", p) for p in PLACES)(), "the Namespaces")
    require(present(world, TENANTS, "oil")(), "the Tenant")
    return Outcome(took, {"collected after": collected})


ROWS = (
    Row("K1", "three Namespaces get what their Tenant says; its status counts them", REPAIRED, three_namespaces),
    Row("K2", "a fourth Namespace is told to be too much, and left empty", REPAIRED, a_fourth),
    Row("K3", "each child that is edited or deleted is restored; then nothing is written for 30 s", REPAIRED, drift),
    Row("K4", "a list that shifts or shrinks is followed everywhere; nobody else's quota is touched", REPAIRED,
        fewer_quotas),
    Row("K5", "5 + 5 Pods of 10: what is used is the limit, a Pod less restores it", 15.0, shared_quota),
    Row("K6", "two writers on one quota: both annotations land", CONVERGED, two_writers),
    Row("K7", "an expired CA: CA, leaf and bundle are new, without a restart", CONVERGED, expired_authority),
    Row("K9", "one namespace revoked: named, the rest goes on, heals", BOUND, one_denied),
    Row("K9.bad", "an element that the server refuses harms only itself", CONVERGED, bad_elements),
    Row("K9.leave", "who leaves is cleaned up; a Tenant that goes takes everything along", CONVERGED, leaving),
)  # fmt: skip
OPTIONS = ("--webhook-address=127.0.0.1:0", "--tls-hosts=127.0.0.1")
TOLD = ("K1", "K2", "K4", "K9")
EXAMPLE = Example("tenants", PROGRAM, ROWS, options=OPTIONS, plane={"users": USERS}, web_rows=WEB_ROWS, told=TOLD)
