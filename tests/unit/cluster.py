"""The embedded cluster in the words of these tests: the rights of one operator, objects of any kind, and its trouble.

Nothing of a server is played here. No controllers run, unless asked for: objects are what a test makes of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import attrs

from scopedcache import GVK, Client, Object
from scopedcache.kinds import GVR, Resource
from scopedcache.testing import AuditRequest, EmbeddedCluster, Grant
from scopedcache.testing.embedded import Fault
from tests.unit.clock import now

Manifest = dict[str, Any]
ALL_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")
READ = ("list", "watch")
RULES_REVIEWS = "selfsubjectrulesreviews.authorization.k8s.io"
ACCESS_REVIEWS = "selfsubjectaccessreviews.authorization.k8s.io"
REVIEWS = (RULES_REVIEWS, ACCESS_REVIEWS)
# What is asked for by its path alone (`/readyz`, discovery) has no resource.
BY_PATH: Final = ""
OPERATOR: Final = "operator"
# Longer than any request waits for its answer.
NEVER_SECONDS: Final = 50_000.0
# The audit knows microseconds.
CLOCK_SECONDS: Final = 1e-5
_RBAC = "rbac.authorization.k8s.io"


def served(group: str, plural: str, kind: str, *, namespaced: bool = True, version: str = "v1") -> Resource:
    return Resource(GVR(group, version, plural), GVK(group, version, kind), namespaced=namespaced)


POD = served("", "pods", "Pod")
CONFIG_MAP = served("", "configmaps", "ConfigMap")
DEPLOYMENT = served("apps", "deployments", "Deployment")
REPLICASET = served("apps", "replicasets", "ReplicaSet")
MEMCACHED = served("cache.example.com", "memcacheds", "Memcached")
LEASE = served("coordination.k8s.io", "leases", "Lease")
NODE = served("", "nodes", "Node", namespaced=False)
BINDING = served(_RBAC, "rolebindings", "RoleBinding")
CLUSTER_BINDING = served(_RBAC, "clusterrolebindings", "ClusterRoleBinding", namespaced=False)
ROLE = served(_RBAC, "roles", "Role")
CLUSTER_ROLE = served(_RBAC, "clusterroles", "ClusterRole", namespaced=False)
RBAC = (BINDING, CLUSTER_BINDING, ROLE, CLUSTER_ROLE)

_CONTAINERS = {"containers": [{"name": "c", "image": "i"}]}
_LABELS = {"app": "c"}
_WORKLOAD = {"selector": {"matchLabels": _LABELS}, "template": {"metadata": {"labels": _LABELS}, "spec": _CONTAINERS}}
_SPECS: dict[str, Manifest] = {"Pod": _CONTAINERS, "Deployment": _WORKLOAD, "ReplicaSet": _WORKLOAD}


def manifest(kind: Resource, name: str, namespace: str = "", **metadata: Any) -> Manifest:
    """Return an object of a kind, with what a server demands of it and no more."""
    place = {"namespace": namespace} if namespace else {}
    body: Manifest = {"apiVersion": kind.gvk.api_version, "kind": kind.gvk.kind}
    body["metadata"] = {"name": name, **place, **metadata}
    return body | ({"spec": _SPECS[kind.gvk.kind]} if kind.gvk.kind in _SPECS else {})


def reference(owner: Object) -> Manifest:
    return {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}


def definition(kind: Resource, *versions: str, schema: Mapping[str, Any] | None = None) -> Manifest:
    """Return the CustomResourceDefinition of a kind; the first version is the stored one. It takes whatever is sent."""
    schema = schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": str(kind)},
        "spec": {
            "group": kind.gvr.group,
            "scope": "Namespaced",
            "names": {"kind": kind.gvk.kind, "plural": kind.gvr.resource},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": not number,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": dict(schema)},
                }
                for number, version in enumerate(versions or (kind.gvr.version,))
            ],
        },
    }


DEFINITIONS = (definition(MEMCACHED, "v1", "v1beta1"),)


@attrs.frozen
class Asked:
    """One request of the operator; `at` is the time of the loop.

    `review` is the verb of both kinds of reviews, `ready` that of `/readyz`.
    """

    at: float
    verb: str
    resource: str
    namespace: str | None
    code: int


@attrs.frozen
class Trouble:
    """Something that goes wrong until it is over."""

    faults: list[Fault]
    _cluster: EmbeddedCluster

    @property
    def struck(self) -> int:
        """Return how many requests met it."""
        return sum(fault.struck for fault in self.faults)

    def over(self) -> None:
        for fault in self.faults:
            self._cluster.faults.remove(fault)


class Cluster:
    """What a test looks at, changes and breaks: `with Cluster.running() as cluster:`, then `cluster.client()`.

    Attributes:
        embedded: the cluster itself, for what has no shorter words here.
        operator: whose rights are granted and revoked; every client is a client of this user.
        faults: what goes wrong; `trouble` and `silent` add to it.
    """

    def __init__(self, embedded: EmbeddedCluster, definitions: Iterable[Manifest]) -> None:
        self.embedded = embedded
        self.operator = embedded.user(OPERATOR)
        self.faults = embedded.faults
        for crd in definitions:
            embedded.create(crd)

    @classmethod
    @contextmanager
    def running(
        cls, *, http: bool = False, controllers: bool = False, definitions: Iterable[Manifest] = DEFINITIONS
    ) -> Iterator[Cluster]:
        chosen = None if controllers else ()
        with EmbeddedCluster.start(controllers=chosen, kubelet=controllers, http=http) as embedded:
            yield cls(embedded, definitions)

    def client(self) -> Client:
        """Return a client of the operator, for the running loop."""
        return self.embedded.client(self.operator)

    # -- rights --------------------------------------------------------------------------------------------------

    def grant(
        self, namespace: str | None, *kinds: Resource, verbs: Iterable[str] = READ, names: Iterable[str] = ()
    ) -> Grant:
        """Give the operator rights in one namespace, or (None) everywhere."""
        if namespace is not None:
            self.embedded.create_namespace(namespace)
        resources = [str(kind) for kind in kinds]
        return self.embedded.grant(self.operator, verbs, resources, namespace=namespace, names=names)

    def revoke(self, *grants: Grant) -> None:
        """Take rights back: their bindings go. Open watches stay open."""
        for grant in grants:
            grant.revoke()

    # -- objects -------------------------------------------------------------------------------------------------

    def put(self, kind: Resource, name: str, namespace: str = "", **metadata: Any) -> Object:
        """Create an object or change its metadata; `owner=` is the Object that owns it."""
        owner: Object | None = metadata.pop("owner", None)
        if owner is not None:
            metadata["ownerReferences"] = [reference(owner)]
        if self.embedded.get(str(kind), name, namespace) is not None:
            return Object.from_dict(self.embedded.patch(str(kind), name, {"metadata": metadata}, namespace))
        if namespace:
            self.embedded.create_namespace(namespace)
        return Object.from_dict(self.embedded.create(manifest(kind, name, namespace, **metadata)))

    def write(self, body: Manifest) -> Object:
        """Create an object, or make it what is given, its status included."""
        group, metadata = body["apiVersion"].rpartition("/")[0], body["metadata"]
        resource = f"{body['kind'].lower()}s" + (f".{group}" if group else "")
        name, namespace = metadata["name"], metadata.get("namespace")
        before = self.embedded.get(resource, name, namespace)
        if before is None:
            if namespace:
                self.embedded.create_namespace(namespace)
            made = self.embedded.create(body)
        else:
            version = before["metadata"]["resourceVersion"]
            fresh = {**body, "metadata": {**metadata, "resourceVersion": version}}
            made = self.embedded.request("PUT", self.embedded.path(resource, name, namespace), fresh)
        if "status" in body and made.get("status") != body["status"]:
            made = self.embedded.patch(resource, name, {"status": body["status"]}, namespace, subresource="status")
        made["metadata"].pop("managedFields", None)
        return Object.from_dict(made)

    def find(self, kind: Resource, name: str, namespace: str = "") -> Manifest | None:
        return self.embedded.get(str(kind), name, namespace)

    def remove(self, kind: Resource, name: str, namespace: str = "") -> None:
        self.embedded.delete(str(kind), name, namespace)

    def names(self, kind: Resource, namespace: str) -> set[str]:
        """Return the names of what is there."""
        return {found["metadata"]["name"] for found in self.embedded.list(str(kind), namespace)}

    # -- trouble -------------------------------------------------------------------------------------------------

    def trouble(self, *kinds: Resource | str, **what: Any) -> Trouble:
        """Let something go wrong with the operator's requests, of these kinds or of all; `what` is as for `Fault`."""
        return self._begin([Fault(resource=str(kind), **what) for kind in kinds] or [Fault(**what)])

    def silence(self, *kinds: Resource, namespace: str | None = None) -> Trouble:
        """Answer no list and no watch."""
        resources: list[str | None] = [str(kind) for kind in kinds]
        about: dict[str, Any] = {"namespace": namespace, "latency": NEVER_SECONDS}
        return self._begin([Fault(verb=verb, resource=one, **about) for verb in READ for one in resources or [None]])

    def end_watches(self) -> None:
        """End every open watch in good order."""
        with self.embedded.lock:
            self.embedded.server.watches.end_all()

    def cut(self) -> None:
        """Lose every open watch; each can be resumed where it was."""
        with self.embedded.lock:
            self.embedded.server.watches.end_all(lost=True)

    def _begin(self, faults: list[Fault]) -> Trouble:
        return Trouble([self.faults.add(fault) for fault in faults], self.embedded)

    def starts(self, seconds: float, *, readyz: float = 0.0) -> None:
        """Deny everything for some seconds, in answers to reviews too, and be ready so many seconds after that."""
        self.embedded.front_ends[0].restart(down=0.0, unready=seconds, reviews="answered", starting=readyz)

    # -- what was asked ------------------------------------------------------------------------------------------

    def asked(self, since: float = 0.0) -> list[Asked]:
        """Return the operator's requests since a time of the loop, in order; none that met a refused connection."""
        behind = self.embedded.now() - now()
        found = [
            Asked(
                at=request.received.timestamp() - behind,
                verb=_verb(request),
                resource=request.resource,
                namespace=request.namespace,
                code=request.code,
            )
            for request in self.embedded.audit.requests(user=OPERATOR)
        ]
        return [one for one in found if one.at >= since - CLOCK_SECONDS]

    def requests(self, *verbs: str, since: float = 0.0) -> int:
        """Count them."""
        return sum(not verbs or one.verb in verbs for one in self.asked(since))

    def sent(self) -> list[str]:
        """Return the verbs of the operator's requests, those for discovery left out."""
        return [one.verb for one in self.asked() if one.resource]

    def open(self, *kinds: Resource) -> int:
        """Return how many watches of the operator are open, of these kinds or of all but the RBAC ones."""
        found = [watch.resource for watch in self.embedded.audit.open_watches(user=OPERATOR)]
        wanted = {str(kind) for kind in kinds} or set(found) - {str(kind) for kind in RBAC}
        return sum(resource in wanted for resource in found)


def _verb(request: AuditRequest) -> str:
    if request.resource in REVIEWS:
        return "review"
    return "ready" if request.uri == "/readyz" else request.verb
