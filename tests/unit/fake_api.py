"""An API server of one dict, over HTTP on loopback, in a thread of its own.

Enough of lists, watches, versions, conflicts, finalizers and reviews for a client, a cache and an operator to run
against; everybody may do everything, unless `denied` says otherwise. `answer` replaces answers: it is asked first.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import itertools
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import yaml
from aiohttp import web

from scopedcache.controller.reporting.status import merge_patch
from scopedcache.sync import Portal
from tests.unit.informer.fake_transport import status

Manifest = dict[str, Any]
Path = tuple[str, str, str]  # plural, namespace, name
# Answers in place of the server; None leaves it to the server.
Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse | None]]

# group → plural → kind
SERVED = {
    "": {"pods": "Pod", "configmaps": "ConfigMap"},
    "apps": {"deployments": "Deployment"},
    "cache.example.com": {"memcacheds": "Memcached"},
    "coordination.k8s.io": {"leases": "Lease"},
}
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
END = {"k8s.io/initial-events-end": "true"}


class FakeAPI:
    """What the test looks at and changes; `put` and `remove` may be called from the test's thread."""

    def __init__(self) -> None:
        self.url = ""
        self.objects: dict[Path, Manifest] = {}
        self.served = copy.deepcopy(SERVED)
        self.denied: set[str] = set()  # namespaces whose rules review says no
        self.requests: list[str] = []
        self.answer: Answer = no_trouble
        self.portal: Portal
        self._versions = itertools.count(1)
        self._history: list[tuple[Path, Manifest]] = []
        self._watchers: set[tuple[str, str, asyncio.Queue[Manifest | bytes | None]]] = set()

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator[FakeAPI]:
        api = cls()
        with Portal.start(timeout=10) as api.portal, api.portal.entered(api._serving):
            yield api

    def kubeconfig(self, **user: Any) -> str:
        """Return a kubeconfig that leads here."""
        return kubeconfig(self.url, **user)

    def put(self, manifest: Manifest) -> Manifest:
        """Create or replace an object, whatever is there."""
        return self.portal.call(lambda: self._put(copy.deepcopy(manifest)))

    def remove(self, plural: str, namespace: str, name: str) -> None:
        self.portal.call(lambda: self._remove((plural, namespace, name)))

    def find(self, plural: str, namespace: str, name: str) -> Manifest | None:
        return self.portal.call(lambda: copy.deepcopy(self.objects.get((plural, namespace, name))))

    def drop_watches(self) -> None:
        """End every watch in good order; their clients ask again."""

        def drop() -> None:
            for _, _, events in self._watchers:
                events.put_nowait(None)

        self.portal.call(drop)

    def send_watchers(self, line: bytes) -> None:
        """Send a line of the test's own to everybody who watches."""

        def send() -> None:
            for _, _, events in self._watchers:
                events.put_nowait(line)

        self.portal.call(send)

    def writes(self) -> list[str]:
        """Return the requests that changed objects."""
        return [r for r in self.requests if not r.startswith("GET") and "/authorization.k8s.io/" not in r]

    # -- HTTP ----------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _serving(self):
        runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield
        finally:
            self.drop_watches()
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        replaced = await self.answer(request)
        if replaced is not None:
            return replaced
        parts = request.path.strip("/").split("/")
        if request.path == "/version":
            return web.json_response({"gitVersion": "v1.36.0"})
        if parts[0] == "apis" and len(parts) == 2 and parts[1] in self.served:
            versions = [{"groupVersion": f"{parts[1]}/{_version(parts[1])}", "version": _version(parts[1])}]
            return web.json_response({"kind": "APIGroup", "name": parts[1], "versions": versions})
        group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
        if group == "authorization.k8s.io":
            return self._review(rest[0], await request.json())
        if group not in self.served:
            return _refused(404, "NotFound", f"nothing serves {request.path}")
        if not rest:
            return self._discovery(group)
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        plural, name, sub = (*rest, "", "")[:3]
        if request.method == "GET" and not name:
            if "watch" in request.query:
                return await self._watch(request, plural, namespace)
            found = [found for path, found in self.objects.items() if _selected(path, plural, namespace)]
            return web.json_response({"kind": "List", "metadata": {"resourceVersion": self._now()}, "items": found})
        return await self._one(request, (plural, namespace, name), sub)

    async def _one(self, request: web.BaseRequest, path: Path, sub: str) -> web.StreamResponse:
        body = json.loads(await request.read() or b"{}")
        if request.method == "POST":
            path = (path[0], path[1], body["metadata"]["name"])
            if path in self.objects:
                return _refused(409, "AlreadyExists", f"{path[2]} exists")
            body["metadata"] |= {"namespace": path[1], "generation": 1}
            return web.json_response(self._put(body), status=201)
        found = self.objects.get(path)
        if found is None:
            return _refused(404, "NotFound", f"{path[2]} not found")
        if request.method == "GET":
            return web.json_response(found)
        if request.method == "DELETE":
            self._remove(path)
            return web.json_response({"kind": "Status", "status": "Success", "details": {"uid": _uid(found)}})
        version = (body.get("metadata") or {}).get("resourceVersion")
        if version and version != found["metadata"]["resourceVersion"]:
            return _refused(409, "Conflict", "the object has been modified")
        made = body if request.method == "PUT" else merge_patch(found, body)
        made = {**found, "status": made.get("status")} if sub == "status" else made
        if made.get("spec") != found.get("spec"):
            made["metadata"]["generation"] = found["metadata"].get("generation", 1) + 1
        return web.json_response(self._put(copy.deepcopy(made)))

    async def _watch(self, request: web.BaseRequest, plural: str, namespace: str) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        events: asyncio.Queue[Manifest | bytes | None] = asyncio.Queue()
        watcher = (plural, namespace, events)
        self._watchers.add(watcher)
        kind = next(found[plural] for found in self.served.values() if plural in found)
        if "resourceVersion" in request.query:
            seen = int(request.query["resourceVersion"])
            past = [(path, event) for path, event in self._history if _version_of(event["object"]) > seen]
        else:
            past = [(path, {"type": "ADDED", "object": found}) for path, found in self.objects.items()]
        for path, event in past:
            if _selected(path, plural, namespace):
                events.put_nowait(event)
        if "sendInitialEvents" in request.query:
            mark = {"kind": kind, "metadata": {"resourceVersion": self._now(), "annotations": END}}
            events.put_nowait({"type": "BOOKMARK", "object": mark})
        try:
            while (said := await events.get()) is not None:
                await answer.write((said if isinstance(said, bytes) else json.dumps(said).encode()) + b"\n")
        except ConnectionError:
            pass
        finally:
            self._watchers.discard(watcher)
        return answer

    def _review(self, kind: str, body: Manifest) -> web.Response:
        place = body["spec"].get("namespace") or body["spec"].get("resourceAttributes", {}).get("namespace")
        verbs = [] if place in self.denied else ["*"]
        own = {"verbs": ["*"], "apiGroups": ["cache.example.com", "coordination.k8s.io"], "resources": ["*"]}
        rules = [own, {"verbs": verbs, "apiGroups": ["", "apps"], "resources": ["*"]}]
        said = (
            {"resourceRules": rules, "nonResourceRules": [], "incomplete": False}
            if kind == "selfsubjectrulesreviews"
            else {"allowed": place not in self.denied}
        )
        return web.json_response({**body, "status": said}, status=201)

    def _discovery(self, group: str) -> web.Response:
        served = [
            {"name": plural, "singularName": kind.lower(), "kind": kind, "namespaced": True, "verbs": VERBS}
            for plural, kind in self.served[group].items()
        ]
        return web.json_response({"kind": "APIResourceList", "groupVersion": group, "resources": served})

    # -- the dict ------------------------------------------------------------------------------------------------

    def _put(self, manifest: Manifest) -> Manifest:
        metadata = manifest["metadata"]
        path = (f"{manifest['kind'].lower()}s", metadata.get("namespace", ""), metadata["name"])
        known = path in self.objects
        metadata.setdefault("uid", f"uid-{metadata['name']}-{next(self._versions)}")
        metadata["resourceVersion"] = str(next(self._versions))
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            self.objects[path] = manifest
            self._remove(path)
            return manifest
        self.objects[path] = manifest
        self._tell("MODIFIED" if known else "ADDED", path, manifest)
        return manifest

    def _remove(self, path: Path) -> None:
        found = self.objects[path]
        if found["metadata"].get("finalizers"):
            self._put(merge_patch(found, {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}))
            return
        del self.objects[path]
        self._tell("DELETED", path, merge_patch(found, {"metadata": {"resourceVersion": self._now()}}))

    def _tell(self, type_: str, path: Path, manifest: Manifest) -> None:
        event = {"type": type_, "object": copy.deepcopy(manifest)}
        self._history.append((path, event))
        for plural, namespace, events in self._watchers:
            if _selected(path, plural, namespace):
                events.put_nowait(event)

    def _now(self) -> str:
        return str(next(self._versions))


async def no_trouble(request: web.BaseRequest) -> None:
    return None


async def silent(request: web.BaseRequest) -> None:
    """Take the request and never answer it."""
    await asyncio.Event().wait()


async def cut(request: web.BaseRequest) -> web.Response:
    """Cut the connection instead of an answer."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


def html(code: int = 200) -> Answer:
    """Answer as a proxy with a login page does."""

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(status=code, text="<html>please log in</html>", content_type="text/html")

    return answer


def refusing(code: int, reason: str) -> Answer:
    """Refuse everything."""

    async def answer(request: web.BaseRequest) -> web.Response:
        return _refused(code, reason, reason)

    return answer


def kubeconfig(server: str, *, ca: str | None = None, **user: Any) -> str:
    """Return the text of a kubeconfig with the context `testing`."""
    cluster = {"server": server} | ({"certificate-authority": ca} if ca else {})
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "testing", "cluster": cluster}],
            "users": [{"name": "somebody", "user": user}],
            "contexts": [{"name": "testing", "context": {"cluster": "testing", "user": "somebody"}}],
            "current-context": "testing",
        }
    )


def _version(group: str) -> str:
    return "v1alpha1" if group == "cache.example.com" else "v1"


def _selected(path: Path, plural: str, namespace: str) -> bool:
    return path[0] == plural and namespace in ("", path[1])


def _version_of(manifest: Manifest) -> int:
    return int(manifest["metadata"]["resourceVersion"])


def _uid(manifest: Manifest) -> str:
    return str(manifest["metadata"]["uid"])


def _refused(code: int, reason: str, message: str) -> web.Response:
    return web.json_response(status(code, reason, message), status=code)
