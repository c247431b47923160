"""Rights: granted, revoked, and asked for by review."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from typing import Any, Final

import attrs

from ..errors import AlreadyExistsError, NotFoundError, ScopedCacheError
from .identities import Identity
from .resources import Requester, WaitTimeoutError

API: Final = "rbac.authorization.k8s.io"
ROOT: Final = f"/apis/{API}/v1"
REVIEWS: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

Manifest = dict[str, Any]


@attrs.frozen
class Grant:
    """A binding, with the role it was made for; `revoke` and `restore` may be called again and again.

    Attributes:
        role, binding: the manifests; `role` is None where an existing role was bound.
        namespace: None for the whole cluster.
    """

    binding: Manifest
    role: Manifest | None
    namespace: str | None
    _request: Requester = attrs.field(repr=False, eq=False)

    @property
    def binding_name(self) -> str:
        """Return the name of the binding."""
        return str(self.binding["metadata"]["name"])

    @property
    def role_name(self) -> str:
        """Return the name of the role that is bound."""
        return str(self.binding["roleRef"]["name"])

    def revoke(self) -> None:
        """Delete the binding; the role stays. Nothing happens when it is gone."""
        try:
            self._request("DELETE", f"{collection(self.binding)}/{self.binding_name}")
        except NotFoundError:
            return

    def restore(self) -> None:
        """Create what is missing of the role and the binding."""
        for manifest in (self.role, self.binding):
            if manifest is not None:
                try:
                    self._request("POST", collection(manifest), manifest)
                except AlreadyExistsError:
                    continue

    def change(self, *, verbs: Iterable[str], resources: Iterable[str], names: Iterable[str] = ()) -> None:
        """Replace the rules of the role, and with them what the bound identity may do."""
        if self.role is None:
            raise ScopedCacheError(f"role {self.role_name} was not made by this grant")
        path = f"{collection(self.role)}/{self.role_name}"
        current = self._request("GET", path)
        self._request("PUT", path, {**current, "rules": rules(verbs, resources, names)})


class Rights:
    """Grants to identities and asks what they may do, as an admin."""

    def __init__(self, request: Requester) -> None:
        self._request = request
        self._numbers = itertools.count(1)

    def grant(
        self,
        identity: Identity,
        verbs: Iterable[str],
        resources: Iterable[str],
        *,
        namespace: str | None = None,
        names: Iterable[str] = (),
        name: str | None = None,
    ) -> Grant:
        """Make a role and bind it; None as `namespace` makes both at the cluster scope.

        Args:
            resources: like `pods`, `deployments.apps`, `deployments.apps/scale`, `*`.
            names: the only object names the role is for; all by default.
            name: of the role and the binding; a new one by default.
        """
        name = name or f"grant-{next(self._numbers)}"
        kind = "Role" if namespace else "ClusterRole"
        role = manifest_of(kind, name, namespace, rules=rules(verbs, resources, names))
        grant = Grant(binding_of(identity, kind, name, name, namespace), role, namespace, self._request)
        grant.restore()
        return grant

    def bind(
        self,
        identity: Identity,
        role: str,
        *,
        namespace: str | None = None,
        name: str | None = None,
        role_kind: str = "ClusterRole",
    ) -> Grant:
        """Bind an existing role, by a RoleBinding in `namespace` or else by a ClusterRoleBinding."""
        name = name or f"grant-{next(self._numbers)}"
        grant = Grant(binding_of(identity, role_kind, role, name, namespace), None, namespace, self._request)
        grant.restore()
        return grant

    def allowed(
        self,
        identity: Identity,
        verb: str,
        resource: str,
        namespace: str | None = None,
        name: str | None = None,
        subresource: str | None = None,
    ) -> bool:
        """Return what a SubjectAccessReview says; None as `namespace` asks for all namespaces at once."""
        plural, _, group = resource.partition(".")
        asked = {
            "verb": verb,
            "resource": plural,
            "group": group,
            "namespace": namespace or "",
            "name": name or "",
            "subresource": subresource or "",
        }
        groups = [*identity.groups, "system:authenticated"]
        spec = {"user": identity.username, "groups": groups, "resourceAttributes": asked}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        return bool(self._request("POST", REVIEWS, review)["status"]["allowed"])

    def wait_allowed(
        self,
        identity: Identity,
        verb: str,
        resource: str,
        namespace: str | None = None,
        *,
        expected: bool = True,
        timeout: float = 5.0,
    ) -> float:
        """Wait until the review says `expected` and return `time.monotonic()` of that answer.

        Raises:
            WaitTimeoutError: it still says the opposite.
        """
        deadline = time.monotonic() + timeout
        while self.allowed(identity, verb, resource, namespace) is not expected:
            if time.monotonic() > deadline:
                place = f"in namespace {namespace}" if namespace else "at the cluster scope"
                asked = f"may {identity.username} {verb} {resource} {place}"
                raise WaitTimeoutError(f"{asked}: still {not expected} after {timeout:g} s")
            time.sleep(0.003)
        return time.monotonic()


def rules(verbs: Iterable[str], resources: Iterable[str], names: Iterable[str] = ()) -> list[Manifest]:
    """Return RBAC rules, one per API group, in the order in which the groups are named."""
    groups: dict[str, list[str]] = {}
    for resource in resources:
        group, plural = split(resource)
        groups.setdefault(group, []).append(plural)
    only = {"resourceNames": list(names)} if (names := list(names)) else {}
    verbs = list(verbs)
    return [{"apiGroups": [g], "resources": plurals, "verbs": verbs, **only} for g, plurals in groups.items()]


def split(resource: str) -> tuple[str, str]:
    """Return group and plural (with its subresource): `deployments.apps/scale` → `apps`, `deployments/scale`."""
    if resource == "*":
        return "*", "*"
    whole, _, subresource = resource.partition("/")
    plural, _, group = whole.partition(".")
    return group, f"{plural}/{subresource}" if subresource else plural


def manifest_of(kind: str, name: str, namespace: str | None, **content: Any) -> Manifest:
    """Return an RBAC object."""
    place = {"namespace": namespace} if namespace else {}
    return {"apiVersion": f"{API}/v1", "kind": kind, "metadata": {"name": name, **place}, **content}


def binding_of(identity: Identity, role_kind: str, role: str, name: str, namespace: str | None) -> Manifest:
    """Return the binding of a role to one identity."""
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    reference = {"apiGroup": API, "kind": role_kind, "name": role}
    return manifest_of(kind, name, namespace, roleRef=reference, subjects=[identity.subject])


def collection(manifest: Manifest) -> str:
    """Return the request path that an RBAC object is created at."""
    namespace = manifest["metadata"].get("namespace")
    place = f"/namespaces/{namespace}" if namespace else ""
    return f"{ROOT}{place}/{manifest['kind'].lower()}s"
