"""A small API server over the fake transport: lists, watches, writes, rights, reviews, and the ways they fail.

Rights are grants of verbs on resources in a namespace (None: everywhere), asked at every request and at no other time:
an open watch outlives the right it was opened with, as on a real server (semantics 1.1). Every change has a version of
its own, and a watch can be resumed at any of them until `compact`.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterable
from contextlib import asynccontextmanager
from typing import Any, Literal

import attrs

from scopedcache import GVK, Client, Object
from scopedcache.api.watch.event_decoder import INITIAL_EVENTS_END_ANNOTATION
from scopedcache.kinds import GVR, Resource
from scopedcache.selectors import LabelSelector
from tests.unit.informer.fake_transport import FakeTransport, Request, Watch, bytes_of, status

Manifest = dict[str, Any]
ALL_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")
READ = ("list", "watch")
_RBAC = "rbac.authorization.k8s.io"


def served(group: str, plural: str, kind: str, *, namespaced: bool = True) -> Resource:
    return Resource(GVR(group, "v1", plural), GVK(group, "v1", kind), namespaced=namespaced)


POD = served("", "pods", "Pod")
DEPLOYMENT = served("apps", "deployments", "Deployment")
MEMCACHED = served("cache.example.com", "memcacheds", "Memcached")
NODE = served("", "nodes", "Node", namespaced=False)
BINDING = served(_RBAC, "rolebindings", "RoleBinding")
CLUSTER_BINDING = served(_RBAC, "clusterrolebindings", "ClusterRoleBinding", namespaced=False)
ROLE = served(_RBAC, "roles", "Role")
CLUSTER_ROLE = served(_RBAC, "clusterroles", "ClusterRole", namespaced=False)
RBAC = (BINDING, CLUSTER_BINDING, ROLE, CLUSTER_ROLE)


@attrs.frozen
class Grant:
    """Some verbs on some resources in one namespace, or (None) everywhere."""

    namespace: str | None
    verbs: frozenset[str]
    resources: frozenset[tuple[str, str]]
    names: frozenset[str] = frozenset()

    def allows(self, verb: str, resource: Resource, namespace: str | None, name: str | None) -> bool:
        return (
            self.namespace in (None, namespace)
            and verb in self.verbs
            and (resource.gvr.group, resource.gvr.resource) in self.resources
            and (not self.names or name in self.names)
        )

    def rule(self) -> Manifest:
        groups, plurals = zip(*sorted(self.resources), strict=True)
        names = {"resourceNames": sorted(self.names)} if self.names else {}
        return {"verbs": sorted(self.verbs), "apiGroups": list(groups), "resources": list(plurals)} | names


@attrs.frozen
class Asked:
    """One request as the server saw it: `review` for both kinds of reviews."""

    at: float
    verb: str
    plural: str
    namespace: str | None
    code: int


class ApiServer:
    """What a test looks at, changes and breaks. Use it with `async with server.running()`."""

    def __init__(self, *resources: Resource) -> None:
        self.transport = FakeTransport()
        self.resources = list(resources or (POD, DEPLOYMENT, MEMCACHED, NODE, *RBAC))
        self.grants: list[Grant] = []
        self.objects: dict[Resource, dict[tuple[str, str], Manifest]] = {}
        self.asked: list[Asked] = []
        self.version = 100
        # How it fails.
        self.reviews: Literal["answer", "refuse", "overload", "break", "garble"] = "answer"
        self.incomplete = False  # the rules review sees nothing, as where a webhook decides
        self.veto: set[str] = set()  # kinds that a webhook refuses whatever the rules say; reviews are incomplete then
        self.patience = 1_000_000  # access reviews that are answered before the next is too many
        self.down = False  # connections are refused
        self.expired = False  # our token is
        self.restarting = False  # 403 for everything, reviews included
        self.streaming_lists = True
        self.silent: set[str | None] = set()  # namespaces whose lists and watches are never answered
        self.late: asyncio.Event | None = None  # writes are done at once, and answered when this is set
        self._history: list[tuple[int, Resource, str, Manifest]] = []
        self._compacted = 0
        self._watches: dict[Watch, tuple[Resource, str | None, LabelSelector, str | None]] = {}
        self._uids = 0

    @asynccontextmanager
    async def running(self):
        """Serve; hands out a client."""
        work = [asyncio.create_task(self._serve()), asyncio.create_task(self._serve_watches())]
        try:
            async with Client(self.transport) as client:
                yield client
        finally:
            for task in work:
                task.cancel()
            await asyncio.wait(work)

    # -- what a test does ----------------------------------------------------------------------------------------

    def grant(
        self,
        namespace: str | None,
        *resources: Resource,
        verbs: Iterable[str] = READ,
        names: Iterable[str] = (),
    ) -> Grant:
        """Give rights: a binding appears."""
        pairs = frozenset((resource.gvr.group, resource.gvr.resource) for resource in resources)
        given = Grant(namespace, frozenset(verbs), pairs, frozenset(names))
        self.grants.append(given)
        self._binding(given, "ADDED")
        return given

    def revoke(self, *grants: Grant) -> None:
        """Take rights back: their bindings go. Open watches stay open."""
        for given in grants:
            self.grants.remove(given)
            self._binding(given, "DELETED")

    def put(self, resource: Resource, name: str, namespace: str = "", **metadata: Any) -> Object:
        """Create or change an object, whoever may; `owner=` is the Object that owns it."""
        owner = metadata.pop("owner", None)
        if owner is not None:
            reference = {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}
            metadata["ownerReferences"] = [reference]
        held = self._held(resource).get((namespace, name), {})
        body = {"apiVersion": resource.gvk.api_version, "kind": resource.gvk.kind}
        body["metadata"] = held.get("metadata", {}) | {"name": name, "namespace": namespace} | metadata
        return Object.from_dict(copy.deepcopy(self._store(resource, body)))

    def remove(self, resource: Resource, name: str, namespace: str = "") -> None:
        body = self._held(resource).pop((namespace, name))
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        self._publish(resource, "DELETED", body)

    def compact(self) -> None:
        """Forget the history: who resumes at an older version is told to list again."""
        self._compacted = self.version
        self._history.clear()

    def cut(self) -> None:
        """Lose every open watch."""
        for watch in list(self._watches):
            watch.cut()

    def open(self, *resources: Resource) -> int:
        """Return how many watches are open, of these kinds or of all but the RBAC ones."""
        wanted = resources or tuple(found for found in self.resources if found not in RBAC)
        return sum(
            1 for watch, (found, *_) in self._watches.items() if watch in self.transport.open and found in wanted
        )

    def requests(self, *verbs: str, since: float = 0.0, namespace: str | None = "any") -> int:
        """Count what was asked for."""
        return sum(
            1
            for one in self.asked
            if one.at >= since
            and (not verbs or one.verb in verbs)
            and (namespace == "any" or one.namespace == namespace)
        )

    def allowed(self, verb: str, resource: Resource, namespace: str | None, name: str | None = None) -> bool:
        if resource.gvr.resource in self.veto:
            return False
        return any(given.allows(verb, resource, namespace, name) for given in self.grants)

    # -- requests ------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as answering:
            while True:
                answering.create_task(self._answer(await self.transport.asked()))

    async def _answer(self, request: Request) -> None:
        parts = request.path.strip("/").split("/")
        kind, place = None, None
        if "authorization.k8s.io" in parts:
            code, body = self._review(request)
            verb, plural = "review", parts[-1]
            spec = (request.body or {})["spec"]
            place = spec.get("namespace") or spec.get("resourceAttributes", {}).get("namespace")
        else:
            kind, place, name = self._parse(parts)
            verb, plural = "discover", parts[-1]
            if kind is None:
                code, body = self._discovery(parts)
            else:
                verb, plural = _verb(request, name), kind.gvr.resource
                code, body = self._handle(request, verb, kind, place, name)
        if self.down:
            code = 0
        self.asked.append(Asked(asyncio.get_running_loop().time(), verb, plural, place, code))
        if verb == "list" and place in self.silent:
            return
        if verb in ("create", "update", "patch", "delete") and self.late is not None:
            await self.late.wait()
        if request.answered.done():
            return
        if code == 0:
            request.lose()
        else:
            request.answer(body, code=code)

    def _handle(self, request: Request, verb: str, kind: Resource, place: str | None, name: str | None):
        refusal = self._refusal(verb, kind, place, name or _field_name(request.query))
        if refusal is not None:
            return refusal
        held = self._held(kind)
        key = (place or "", name or "")
        match verb:
            case "list":
                found = [body for body in held.values() if _selects(request.query, place, body)]
                return 200, {"kind": "List", "metadata": {"resourceVersion": str(self.version)}, "items": found}
            case "create":
                return 201, self._store(kind, request.body or {})
            case _ if key not in held:
                return 404, status(404, "NotFound", f"{name} is not there")
            case "get":
                return 200, held[key]
            case "delete":
                uid = held[key]["metadata"]["uid"]
                self.remove(kind, key[1], key[0])
                return 200, {"kind": "Status", "status": "Success", "details": {"uid": uid}}
            case _:
                sent = request.body or {}
                return 200, copy.deepcopy(self._store(kind, sent if verb == "update" else _merged(held[key], sent)))

    def _refusal(self, verb: str, kind: Resource, place: str | None, name: str | None):
        if self.expired:
            return 401, status(401, "Unauthorized", "Unauthorized")
        if self.restarting or not self.allowed(verb, kind, place, name):
            message = f'User "operator" cannot {verb} resource "{kind.gvr.resource}"'
            return 403, status(403, "Forbidden", message, group=kind.gvr.group, kind=kind.gvr.resource)
        if kind not in self.resources:
            return 404, status(404, "NotFound", "the server could not find the requested resource")
        return None

    def _review(self, request: Request):
        if self.expired:
            return 401, status(401, "Unauthorized", "Unauthorized")
        match "refuse" if self.restarting else self.reviews:
            case "refuse":
                return 403, status(403, "Forbidden", "cannot create resource", kind="selfsubjectrulesreviews")
            case "overload":
                return 429, b"Too many requests, please try again later."
            case "break":
                return 500, b"internal error"
            case "garble":
                return 201, b"<html>"
        spec = (request.body or {})["spec"]
        if "resourceAttributes" in spec:
            self.patience -= 1
            if self.patience < 0:
                return 429, b"Too many requests, please try again later."
            return 201, {"status": {"allowed": self._allows(spec["resourceAttributes"])}}
        place = spec["namespace"]
        rules = [given.rule() for given in self.grants if given.namespace in (None, place)]
        said = {"resourceRules": rules or None, "incomplete": self.incomplete or bool(self.veto)}
        return 201, {"status": {**said, "resourceRules": None} if self.incomplete else said}

    def _allows(self, asked: Manifest) -> bool:
        for kind in self.resources:
            if (kind.gvr.group, kind.gvr.resource) == (asked.get("group", ""), asked["resource"]):
                return self.allowed(asked["verb"], kind, asked.get("namespace"), asked.get("name"))
        return False

    def _discovery(self, parts: list[str]):
        group = parts[1] if parts[0] == "apis" else ""
        mine = [found for found in self.resources if found.gvr.group == group]
        if not mine:
            return 404, status(404, "NotFound", "")
        if parts[0] == "apis" and len(parts) == 2:
            return 200, {"versions": [{"groupVersion": f"{group}/v1", "version": "v1"}]}
        found = [{"name": r.gvr.resource, "kind": r.gvk.kind, "namespaced": r.namespaced} for r in mine]
        return 200, {"resources": found}

    # -- watches -------------------------------------------------------------------------------------------------

    async def _serve_watches(self) -> None:
        while True:
            watch = await self.transport.watched()
            kind, place, _ = self._parse(watch.path.strip("/").split("/"))
            assert kind is not None
            refusal = self._refusal("watch", kind, place, _field_name(watch.query))
            if refusal is None and "sendInitialEvents" in watch.query and not self.streaming_lists:
                refusal = 422, status(422, "Invalid", "sendInitialEvents is forbidden")
            code = 0 if self.down else refusal[0] if refusal is not None else 200
            self.asked.append(Asked(asyncio.get_running_loop().time(), "watch", kind.gvr.resource, place, code))
            if place in self.silent:
                continue
            if self.down:
                watch.unreachable()
            elif refusal is not None:
                watch.answer(refusal[0], refusal[1])
            else:
                self._open(watch, kind, place)

    def _open(self, watch: Watch, kind: Resource, place: str | None) -> None:
        watch.accept()
        since = int(watch.query.get("resourceVersion") or 0)
        if since and since < self._compacted:
            watch.send(_line("ERROR", status(410, "Expired", "too old resource version")))
            watch.end()
            return
        name = _field_name(watch.query)
        self._watches[watch] = (kind, place, LabelSelector.parse(watch.query.get("labelSelector")), name)
        if "sendInitialEvents" in watch.query:
            first = [body for body in self._held(kind).values() if _selects(watch.query, place, body)]
            mark = {
                "metadata": {
                    "resourceVersion": str(self.version),
                    "annotations": {INITIAL_EVENTS_END_ANNOTATION: "true"},
                }
            }
            watch.send(*(_line("ADDED", body) for body in first), _line("BOOKMARK", mark))
        else:
            for version, changed, type_, body in self._history:
                if version > since and changed is kind:
                    self._send(watch, type_, body)
        loop = asyncio.get_running_loop()
        loop.call_later(float(watch.query.get("timeoutSeconds") or 1800), watch.end)
        loop.call_later(60.0, self._bookmark, watch)

    def _bookmark(self, watch: Watch) -> None:
        if watch in self.transport.open:
            watch.send(_line("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}}))
            asyncio.get_running_loop().call_later(60.0, self._bookmark, watch)
        else:
            self._watches.pop(watch, None)

    def _publish(self, resource: Resource, type_: str, body: Manifest) -> None:
        body = copy.deepcopy(body)
        self._history.append((self.version, resource, type_, body))
        for watch, (wanted, *_) in self._watches.items():
            if wanted is resource and watch in self.transport.open:
                self._send(watch, type_, body)

    def _send(self, watch: Watch, type_: str, body: Manifest) -> None:
        _, place, _, _ = self._watches[watch]
        if _selects(watch.query, place, body):
            watch.send(_line(type_, body))

    # -- objects -------------------------------------------------------------------------------------------------

    def _held(self, resource: Resource) -> dict[tuple[str, str], Manifest]:
        return self.objects.setdefault(resource, {})

    def _store(self, resource: Resource, body: Manifest) -> Manifest:
        self.version += 1
        self._uids += 1
        metadata = body["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        known = key in self._held(resource)
        metadata.setdefault("uid", f"uid-{metadata['name']}-{self._uids}")
        metadata["resourceVersion"] = str(self.version)
        self._held(resource)[key] = body
        self._publish(resource, "MODIFIED" if known else "ADDED", body)
        return body

    def _binding(self, given: Grant, type_: str) -> None:
        kind = CLUSTER_BINDING if given.namespace is None else BINDING
        self.version += 1
        metadata = {"name": f"binding-{id(given)}", "namespace": given.namespace or "", "uid": f"uid-{id(given)}"}
        body = {"metadata": metadata | {"resourceVersion": str(self.version)}}
        if type_ == "ADDED":
            self._held(kind)[(metadata["namespace"], metadata["name"])] = body
        else:
            self._held(kind).pop((metadata["namespace"], metadata["name"]), None)
        self._publish(kind, type_, body)

    def _parse(self, parts: list[str]) -> tuple[Resource | None, str | None, str | None]:
        group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
        place = None
        if len(rest) > 2 and rest[0] == "namespaces":
            place, rest = rest[1], rest[2:]
        known = [*self.resources, POD, DEPLOYMENT, MEMCACHED, NODE, *RBAC]
        kind = next((r for r in known if rest and (r.gvr.group, r.gvr.resource) == (group, rest[0])), None)
        return kind, place, rest[1] if len(rest) > 1 else None


def _verb(request: Request, name: str | None) -> str:
    verbs = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
    return verbs.get(request.method) or ("get" if name else "list")


def _merged(body: Manifest, patch: Manifest) -> Manifest:
    merged = body | {key: value for key, value in patch.items() if key != "metadata"}
    return merged | {"metadata": body["metadata"] | patch.get("metadata", {})}


def _field_name(query: dict[str, str]) -> str | None:
    return query.get("fieldSelector", "").removeprefix("metadata.name=") or None


def _selects(query: dict[str, str], place: str | None, body: Manifest) -> bool:
    metadata = body["metadata"]
    return (
        place in (None, metadata.get("namespace"))
        and _field_name(query) in (None, metadata["name"])
        and LabelSelector.parse(query.get("labelSelector")).matches(metadata.get("labels") or {})
    )


def _line(type_: str, body: Manifest) -> bytes:
    return bytes_of(json.loads(json.dumps({"type": type_, "object": body})))
