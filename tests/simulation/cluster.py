"""The world of a simulation: a cluster with two API servers, rights and objects that come and go, and trouble.

Everything that is done here is an admin's or nature's doing; it notes when, for who observes.
"""

from __future__ import annotations

import asyncio
from functools import partial
from random import Random
from typing import Any, Final

import attrs

from scopedcache import Object
from scopedcache.errors import NotFoundError
from scopedcache.testing import EmbeddedCluster, Grant, Identity
from scopedcache.testing.embedded import Fault, FrontEnd
from scopedcache.testing.embedded.front_ends import Meanwhile

CONFIG_MAP, POD, WIDGET = "configmaps", "pods", "widgets.sim.example.org"
KINDS: Final = (CONFIG_MAP, POD, WIDGET)
DEFINITIONS: Final = "customresourcedefinitions.apiextensions.k8s.io"
# Seconds that may pass until it is noticed that a kind is not served: its watch may be in a pause, and one answer of
# discovery is none.
UNSERVED_SECONDS: Final = 60.0
NAMESPACES: Final = ("a", "b", "c")
NEEDED: Final = ("list", "watch")
VERBS: Final = ("get", "list", "watch", "create", "update", "patch", "delete")
# Seconds after which a request that a fault holds up has ended by its own time-out.
REQUEST_TIMEOUT_SECONDS: Final = 35.0
# So long a request is held up by a fault at most: it says nothing of rights meanwhile, and a watch waits for it.
HELD_UP_SECONDS: Final = 60.0
# So long after etcd was restored a cache may show what has never been: until its watches have ended and were asked for.
RESTORED_SECONDS: Final = 100.0
# Two restarts within one hold-off look like a revocation: they are this far apart.
RESTARTS_APART_SECONDS: Final = 20.0
BINDINGS: Final = "clusterrolebindings.rbac.authorization.k8s.io"
RBAC_KINDS: Final = tuple(
    f"{kind}.rbac.authorization.k8s.io" for kind in ("roles", "rolebindings", "clusterroles", "clusterrolebindings")
)
Place = tuple[str, str]


@attrs.define(eq=False)
class World:
    """A cluster, and the admin's hand in it."""

    cluster: EmbeddedCluster
    operator: Identity
    servers: list[FrontEnd]
    grants: dict[Place, Grant]
    wide: dict[str, Grant]
    random: Random
    basic: dict[str, Any]
    # What the roles say, by place, "" for everywhere; what may be seen, and since when the servers all agree on it.
    verbs: dict[Place, tuple[str, ...]] = attrs.field(factory=dict)
    visible: dict[Place, bool] = attrs.field(factory=dict)
    changed: dict[Place, float] = attrs.field(factory=dict)
    # Nobody may ask for its own rights.
    forbidden: bool = False
    # Until when answers to reviews are late, lost or wrong.
    trouble: float = 0.0
    # Until when a server refuses what it allows.
    lying: float = 0.0
    # Whether the kind of a CustomResourceDefinition is served.
    served: bool = True
    # Namespaces that are being deleted, or are gone.
    leaving: set[str] = attrs.field(factory=set)
    names: int = 0
    # How many things have happened, and until when versions may go back, for etcd was restored.
    acts: int = 0
    restored: float = 0.0
    # Lets the operator watch RBAC objects; None in lives in which it never may.
    hints: Grant | None = None
    # What makes one life another sort of life than the next; it says nothing of the order of things.
    sort: Random = attrs.field(factory=Random)
    # Whether its caches keep their objects compressed.
    compress: bool = False
    # The kinds that are watched in the whole cluster or not at all.
    cluster_wide: tuple[str, ...] = ()

    @classmethod
    def start(cls, seed: int, *, wide: bool = False) -> World:
        """Make one; nothing is allowed yet. `wide`: perhaps one kind is watched in the whole cluster or not at all."""
        cluster = EmbeddedCluster.start(seed=seed, users=("operator",), kubelet=False)
        operator = cluster.user("operator")
        cluster.create(definition())
        grants, everywhere = {}, {}
        for namespace in NAMESPACES:
            cluster.create_namespace(namespace)
            for kind in KINDS:
                grants[namespace, kind] = cluster.grant(operator, VERBS, [kind], namespace=namespace)
        for kind in KINDS:
            everywhere[kind] = cluster.grant(operator, NEEDED, [kind])
        for grant in (*grants.values(), *everywhere.values()):
            grant.revoke()
        servers = [cluster.front_ends[0], cluster.front_end()]
        basic = cluster.get(BINDINGS, "system:basic-user") or {}
        basic["metadata"] = {"name": basic["metadata"]["name"]}
        sort = Random(f"sort of {seed}")
        hints = cluster.grant(operator, NEEDED, RBAC_KINDS) if sort.random() < 0.4 else None
        of_wide = Random(f"wide of {seed}")
        cluster_wide = (of_wide.choice(KINDS),) if wide and of_wide.random() < 0.25 else ()
        return cls(
            cluster,
            operator,
            servers,
            grants,
            everywhere,
            Random(seed),
            basic,
            hints=hints,
            sort=sort,
            compress=seed % 2 == 1,
            cluster_wide=cluster_wide,
        )

    # -- what is true --------------------------------------------------------------------------------------------

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def sees(self, kind: str, namespace: str) -> bool:
        """Tell whether the cache may hold a kind in a namespace."""
        return self.visible.get((namespace, kind), False) and (self.served or kind != WIDGET)

    def held(self, kind: str, namespace: str, selector: str = "") -> dict[str, str]:
        """Return the objects there are, as {name: version}."""
        if kind == WIDGET and not self.served:
            return {}
        found = self.cluster.list(kind, namespace, selector=selector)
        return {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in found}

    def owned(self, kind: str, namespace: str, uid: str) -> set[str]:
        """Return the names of what an owner owns."""
        return {
            one["metadata"]["name"]
            for one in self.cluster.list(kind, namespace)
            if any(owner["uid"] == uid for owner in one["metadata"].get("ownerReferences", ()))
        }

    # -- rights --------------------------------------------------------------------------------------------------

    def toggle(self) -> str:
        """Change what the operator may do to a kind in a namespace."""
        place = self._somewhere()
        verbs = self.random.choice([(), (), ("list",), ("watch",), NEEDED, VERBS, VERBS])
        return self._turn([place], lambda: self._allow(place, verbs), f"{place} {verbs}")

    def toggle_wide(self) -> str:
        """Change what the operator may see everywhere."""
        kind = self.random.choice(KINDS)
        on = self.random.random() < 0.3

        def turn() -> None:
            self.verbs["", kind] = NEEDED if on else ()
            self.wide[kind].restore() if on else self.wide[kind].revoke()

        places = [(namespace, kind) for namespace in (*NAMESPACES, "")]
        return self._turn(places, turn, f"everywhere {kind} {on}")

    def toggle_hints(self) -> str:
        """Let the operator watch RBAC objects, or not."""
        assert self.hints is not None
        on = self.random.random() < 0.7
        self.hints.restore() if on else self.hints.revoke()
        return "RBAC objects are watched" if on else "RBAC objects may not be watched"

    def allow_all(self) -> str:
        """Give every right in a namespace."""
        namespace, _ = self._somewhere()
        places = [(namespace, kind) for kind in KINDS]

        def give() -> None:
            for place in places:
                self._allow(place, VERBS)

        return self._turn(places, give, f"everything in {namespace}")

    def _allow(self, place: Place, verbs: tuple[str, ...]) -> None:
        grant = self.grants[place]
        self.verbs[place] = verbs
        if not verbs:
            grant.revoke()
            return
        grant.restore()
        grant.change(verbs=verbs, resources=[place[1]])

    def _turn(self, places: list[Place], act: Any, words: str) -> str:
        act()
        for namespace, kind in places:
            here = () if kind in self.cluster_wide else self.verbs.get((namespace, kind), ())
            given = {*here, *self.verbs.get(("", kind), ())}
            sees = given.issuperset(NEEDED)
            if sees != self.visible.get((namespace, kind), False):  # whether the kind is served just now or not
                self.visible[namespace, kind] = sees
                self.changed[namespace, kind] = self.now() + max(server.lag for server in self.servers)
        return words

    def vanish(self) -> str:
        """Delete a namespace, unless it is the last one."""
        namespace, _ = self._somewhere()
        if len(self.leaving) == len(NAMESPACES) - 1:
            return "one has to stay"
        self.cluster.delete("namespaces", namespace)
        self.leaving.add(namespace)
        return namespace

    def revive(self) -> str:
        """Create anew what is gone; nothing is allowed there then."""
        self.install()
        back = [name for name in sorted(self.leaving) if self.cluster.get("namespaces", name) is None]
        for name in back:
            self.cluster.create_namespace(name)
            self.leaving.remove(name)
        return ", ".join(back)

    def define(self) -> str:
        """Remove a CustomResourceDefinition, or install it again."""
        if self.served:
            self.cluster.delete(DEFINITIONS, WIDGET)
            self._serve(False)
            return "removed"
        return self.install()

    def install(self) -> str:
        """Install the CustomResourceDefinition, if it is gone."""
        if self.served or self.cluster.get(DEFINITIONS, WIDGET) is not None:
            return "it is there, or going"
        self.cluster.create(definition())
        self._serve(True)
        return "installed"

    def amend(self) -> str:
        """Change the CustomResourceDefinition: a second version is served, or not any more."""
        if not self.served:
            return "there is none"
        body = definition()
        if self.random.random() < 0.5:
            body["spec"]["versions"].append({**body["spec"]["versions"][0], "name": "v1beta1", "storage": False})
        self.cluster.apply(body)
        return f"{len(body['spec']['versions'])} versions"

    def _serve(self, served: bool) -> None:
        self.served = served
        self.troubled(UNSERVED_SECONDS)
        for namespace in (*NAMESPACES, ""):
            self.changed[namespace, WIDGET] = self.now()

    def refresh(self) -> None:
        """Notice which rights a deleted namespace took along."""
        for name in self.leaving:
            places = [(name, kind) for kind in KINDS if self.verbs.get((name, kind))]
            if places and not self.cluster.list("rolebindings.rbac.authorization.k8s.io", name):
                self._turn(places, partial(self.verbs.update, dict.fromkeys(places, ())), "")

    def _somewhere(self) -> Place:
        return self.random.choice(sorted(place for place in self.grants if place[0] not in self.leaving))

    # -- objects -------------------------------------------------------------------------------------------------

    def owner(self, namespace: str) -> Object:
        """Create an owner: a ServiceAccount, which no cache here watches."""
        body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": self.name("owner")}}
        return Object.from_dict(self.cluster.create(body, namespace))

    def create(self, owners: list[Object]) -> str:
        """Create an object, perhaps an owner's."""
        namespace, kind = self._somewhere()
        if kind == WIDGET and not self.served:
            return "there is no such kind"
        here = [one for one in owners if one.namespace == namespace and self.random.random() < 0.8]
        body = manifest(kind, self.name("child"), self.random.sample(here, min(1, len(here))))
        self.cluster.create(body, namespace)
        return f"{kind} {namespace}/{body['metadata']['name']}"

    def child(self, kind: str, namespace: str, owner: Object) -> None:
        """Create an object of an owner."""
        self.cluster.create(manifest(kind, self.name("child"), [owner]), namespace)

    def change(self) -> str:
        """Change an object, or delete it."""
        namespace, kind = self._somewhere()
        names = sorted(self.held(kind, namespace))
        if not names:
            return "nothing"
        name = self.random.choice(names)
        try:
            if self.random.random() < 0.4:
                self.cluster.delete(kind, name, namespace)
                return f"delete {kind} {namespace}/{name}"
            labels = {"mark": str(self.random.random())}
            self.cluster.patch(kind, name, {"metadata": {"labels": labels}}, namespace)
        except NotFoundError:
            return "nothing"
        return f"patch {kind} {namespace}/{name}"

    def name(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}-{self.names}"

    # -- trouble -------------------------------------------------------------------------------------------------

    def lag(self) -> str:
        """Let the second server fall behind, or catch up."""
        lag = self.random.choice([0.0, 0.0, 0.5, 2.0])
        before, self.servers[1].lag = self.servers[1].lag, lag
        # What was under way is seen later, or not before it is: nobody can count on either.
        self.troubled(max(before, lag))
        return f"{lag:g} s"

    def restart(self) -> str:
        """Restart one of the servers."""
        if self.now() < self.lying + RESTARTS_APART_SECONDS:
            return "not so soon after the last"
        number, down, unready = self.random.randrange(2), self.random.choice([0.0, 2.0]), self.random.choice([0.0, 0.9])
        reviews: Meanwhile = self.random.choice(["answered", "refused"])
        self.servers[number].restart(down=down, unready=unready, reviews=reviews)
        self.lying = max(self.lying, self.now() + down + unready)
        self.troubled(down + unready)
        return f"server {number}, {down:g} s down, {unready:g} s unready, reviews {reviews}"

    def restore(self, owners: list[Object]) -> str:
        """Change some objects, and soon put back what etcd held before, unless something else has happened by then.

        Nor where the operator has listed something meanwhile: what went before such a list is never told of (decision
        0008).
        """
        if self.now() < self.lying + RESTARTS_APART_SECONDS:
            return "not so soon after a restart"
        backup, acts, mark = self.cluster.back_up(), self.acts, self.cluster.audit.mark()
        changes = [self.create(owners), *(self.change() for _ in range(self.random.randrange(4)))]
        down, unready = 2.0, self.random.choice([0.0, 0.9])  # no server is up again at once

        def put_back() -> None:
            asked = self.cluster.audit.requests(mark, user=self.operator.username)
            listed = any(one.verb == "list" or "sendInitialEvents" in one.uri for one in asked)
            if self.acts == acts and not listed:
                self.cluster.restore(backup, down=down, unready=unready)
                self.lying = max(self.lying, self.now() + down + unready)
                self.restored = self.now() + RESTORED_SECONDS
                self.troubled(down + unready)

        asyncio.get_running_loop().call_later(self.random.uniform(0.1, 1.5), put_back)
        return f"after {changes}"

    def reviews(self) -> str:
        """Let the operator ask for its own rights, or forbid it."""
        on = self.random.random() < 0.6
        self.forbidden = not on
        if on:
            self.cluster.apply(self.basic)
        else:
            self.cluster.delete(BINDINGS, self.basic["metadata"]["name"])
        self.troubled(60.0)
        return "answered" if on else "forbidden"

    def compact(self) -> str:
        """Forget history."""
        self.cluster.compact()
        return "history"

    def fault(self) -> str:
        """Let something go wrong for some seconds."""
        seconds = self.random.choice([1.0, 5.0, 20.0])
        what: dict[str, Any] = self.random.choice(
            [
                {"latency": self.random.uniform(0.0, 5.0)},
                {"latency": HELD_UP_SECONDS},
                {"code": 503},
                {"code": 503, "retry_after": 2},
                {"code": 429, "retry_after": 1},
                {"code": 500},
                {"code": 504},
                {"code": 502, "html": True},
                {"refuse": True},
                {"verb": "watch", "cut_after": self.random.randrange(4)},
                {"verb": "watch", "silence_after": self.random.randrange(4)},
                {"verb": "watch", "drip": 0.001},
            ]
        )
        about = {"verb": self.random.choice([None, None, "watch", "list", "create"]), **what}
        chance = self.random.choice([1.0, 0.5])
        until = self.cluster.now() + seconds
        self.cluster.faults.add(Fault(user=self.operator.username, until=until, chance=chance, **about))
        if about["verb"] in (None, "create") or self.forbidden:  # where reviews are, lists and watches alone can tell
            self.troubled(seconds)
        elif about.get("latency") == HELD_UP_SECONDS:  # where reviews are forbidden, nothing else tells meanwhile
            self.troubled(seconds + HELD_UP_SECONDS)
        return f"{about} for {seconds:g} s, chance {chance:g}"

    def jump(self) -> str:
        """Set the wall clock of the servers."""
        seconds = self.random.choice([-3600.0, 3600.0, 30.0])
        self.cluster.clock.jump(seconds)
        return f"{seconds:g} s"

    def calm(self) -> str:
        """End all trouble; that nobody may ask for its own rights is none, if it stays so."""
        self.cluster.faults.clear()
        self.servers[1].lag = 0.0
        self.troubled(0.0)
        self.forbidden = self.random.random() < 0.3
        if self.forbidden:
            self.cluster.delete(BINDINGS, self.basic["metadata"]["name"])
            return "reviews are forbidden"
        self.cluster.apply(self.basic)
        return "reviews are answered"

    def troubled(self, seconds: float) -> None:
        self.trouble = max(self.trouble, self.now() + seconds + REQUEST_TIMEOUT_SECONDS)


def manifest(kind: str, name: str, owners: list[Object]) -> dict[str, Any]:
    """Return an object that belongs to these owners."""
    references = [{"apiVersion": "v1", "kind": one.kind, "name": one.name, "uid": one.uid} for one in owners]
    metadata: dict[str, Any] = {"name": name, "labels": {"mark": "new"}, "ownerReferences": references}
    if kind == WIDGET:
        return {"apiVersion": "sim.example.org/v1", "kind": "Widget", "metadata": metadata}
    if kind == POD:
        spec = {"containers": [{"name": "main", "image": "none"}]}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"some": "words"}}


def definition() -> dict[str, Any]:
    """Return the CustomResourceDefinition of the kind that comes and goes."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    plural, _, group = WIDGET.partition(".")
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": WIDGET},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
