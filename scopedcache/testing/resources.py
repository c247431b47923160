"""Objects of a cluster as plain dicts: read, written and applied by an admin, for the harness only."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import yaml

from ..errors import AlreadyExistsError, NotFoundError, ScopedCacheError
from .rest import APPLY_PATCH, JSON, MERGE_PATCH

T = TypeVar("T")
Manifest = dict[str, Any]
ManifestList = list[Manifest]  # named outside of the class, where `list` is a method
Manifests = str | Path | Manifest | Iterable[str | Path | Manifest]
FIELD_MANAGER: Final = "scopedcache-testing"
# The same as `yaml.safe_load`, five times as fast where libyaml is there: a third of a short test was reading a CRD.
LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class WaitTimeoutError(ScopedCacheError):
    """What was waited for did not happen in time."""


class Requester(Protocol):
    """Sends one request as the admin and returns the decoded answer."""

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = JSON,
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]: ...


class Served(NamedTuple):
    """A resource that the server serves: `/apis/apps/v1`, `deployments`, `Deployment`, and whether it is namespaced."""

    root: str
    plural: str
    kind: str
    namespaced: bool


class Resources:
    """Reads and writes by resource name: `pods`, `deployments.apps`, `memcacheds.cache.example.com`.

    What the server serves is asked once, and again when a kind is not found.
    """

    def __init__(self, request: Requester) -> None:
        self._request = request
        self._served: dict[str, list[Served]] = {}

    def path(
        self, resource: str, name: str | None = None, namespace: str | None = None, subresource: str | None = None
    ) -> str:
        """Return the request path of a resource, an object or a subresource."""
        plural, _, group = resource.partition(".")
        served = self._find(self._root_of(group), lambda s: s.plural == plural, resource)
        place = f"/namespaces/{namespace}" if namespace and served.namespaced else ""
        return served.root + place + "/" + "/".join(part for part in (plural, name, subresource) if part)

    def get(self, resource: str, name: str, namespace: str | None = None) -> Manifest | None:
        """Return the object, None when it is not there. Raise NotFoundError for a kind that is not served."""
        path = self.path(resource, name, namespace)
        try:
            return self._request("GET", path)
        except NotFoundError:
            return None

    def list(self, resource: str, namespace: str | None = None, *, selector: str = "") -> ManifestList:
        """Return the objects of a namespace, or of all."""
        query = {"labelSelector": selector} if selector else None
        items: ManifestList = self._request("GET", self.path(resource, None, namespace), query=query)["items"]
        return items

    def create(self, manifest: Manifest, namespace: str | None = None) -> Manifest:
        """Create an object from its manifest and return what the server made of it."""
        return self._request("POST", self._path_of(manifest, namespace, named=False), manifest)

    def patch(
        self,
        resource: str,
        name: str,
        patch: Mapping[str, Any],
        namespace: str | None = None,
        *,
        subresource: str | None = None,
    ) -> Manifest:
        """Merge a patch (RFC 7386) into an object and return the result."""
        path = self.path(resource, name, namespace, subresource)
        return self._request("PATCH", path, patch, content_type=MERGE_PATCH)

    def delete(self, resource: str, name: str, namespace: str | None = None) -> None:
        """Ask for the deletion of an object; nothing happens when it is not there."""
        path = self.path(resource, name, namespace)
        try:
            self._request("DELETE", path)
        except NotFoundError:
            return

    def apply(self, manifests: Manifests, namespace: str | None = None) -> ManifestList:
        """Apply manifests (dicts, YAML files, folders of them) in order and return what the server made of them.

        Server-side, as a field manager that always wins. A namespaced object that names no namespace goes to
        `namespace`, else to `default`. Waits until an applied CustomResourceDefinition is served.
        """
        return [self._apply_one(manifest, namespace) for manifest in load_manifests(manifests)]

    def create_namespace(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """Create a namespace; nothing happens when it is there."""
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels or {})}}
        try:
            self._request("POST", "/api/v1/namespaces", manifest)
        except AlreadyExistsError:
            return

    def delete_namespace(self, name: str, *, wait: float = 0.0) -> None:
        """Ask for the deletion of a namespace, and wait up to `wait` seconds until it is gone (it takes some)."""
        self.delete("namespaces", name)
        if wait:
            wait_for(lambda: self.get("namespaces", name) is None, timeout=wait, what=f"namespace {name} to be gone")

    def _apply_one(self, manifest: Manifest, namespace: str | None) -> Manifest:
        path = self._path_of(manifest, namespace, named=True)
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        applied = self._request("PATCH", path, manifest, content_type=APPLY_PATCH, query=query)
        if manifest["kind"] == "CustomResourceDefinition":
            wait_for(lambda: is_established(self._request("GET", path)), what=f"{path} to be established")
        return applied

    def _path_of(self, manifest: Manifest, namespace: str | None, *, named: bool) -> str:
        version, kind = manifest["apiVersion"], manifest["kind"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        served = self._find(root, lambda s: s.kind == kind, f"{kind} of {version}")
        metadata = manifest["metadata"]
        place = f"/namespaces/{metadata.get('namespace') or namespace or 'default'}" if served.namespaced else ""
        return f"{served.root}{place}/{served.plural}" + (f"/{metadata['name']}" if named else "")

    def _root_of(self, group: str) -> str:
        if not group:
            return "/api/v1"
        for known in self._served:
            if known.startswith(f"/apis/{group}/"):
                return known
        answer = patiently(lambda: self._request("GET", f"/apis/{group}"))
        return f"/apis/{answer['preferredVersion']['groupVersion']}"

    def _find(self, root: str, fits: Callable[[Served], bool], what: str) -> Served:
        def look() -> Served:
            if served := next(filter(fits, self._served.get(root, [])), None):
                return served
            self._served[root] = read_served(root, self._request("GET", root))
            if served := next(filter(fits, self._served[root]), None):
                return served
            raise NotFoundError(f"the server serves no {what}", status=404)

        return patiently(look)


def read_served(root: str, answer: Mapping[str, Any]) -> list[Served]:
    """Return what a discovery answer lists, subresources left out."""
    resources = answer["resources"] or []
    return [Served(root, r["name"], r["kind"], r["namespaced"]) for r in resources if "/" not in r["name"]]


def is_established(crd: Mapping[str, Any]) -> bool:
    """Tell whether a CustomResourceDefinition is served."""
    conditions = crd.get("status", {}).get("conditions") or []  # the server writes null at first
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


def load_manifests(manifests: Manifests) -> list[Manifest]:
    """Return manifests as dicts: from dicts, YAML files, and folders of YAML files in the order of their names."""
    if isinstance(manifests, Mapping):
        return [json.loads(json.dumps(manifests))]
    if isinstance(manifests, str | Path):
        path = Path(manifests)
        files = sorted(path.glob("*.y*ml")) if path.is_dir() else [path]
        return [document for file in files for document in yaml.load_all(file.read_text(), LOADER) if document]
    return [one for several in manifests for one in load_manifests(several)]


def patiently(ask: Callable[[], T], timeout: float = 5.0) -> T:
    """Return the answer; what is not found is asked for again for some seconds, for a new CRD is served a bit later."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return ask()
        except NotFoundError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def wait_for(predicate: Callable[[], T], *, timeout: float = 10.0, interval: float = 0.02, what: str = "") -> T:
    """Ask until the answer is true and return it.

    Raises:
        WaitTimeoutError: it was not true in time; the message carries the last answer.
    """
    deadline = time.monotonic() + timeout
    while not (answer := predicate()):
        if time.monotonic() > deadline:
            raise WaitTimeoutError(f"waited {timeout:g} s for {what or 'a condition'}; the last answer was {answer!r}")
        time.sleep(interval)
    return answer
