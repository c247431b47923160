"""Who may do what: Roles and bindings as they are stored at this moment, asked anew by every request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

import attrs

from ..kinds.kind_registry import Registry
from ..storage.history import History
from ..storage.stored_object import Stored
from ..wire.request_attributes import Attributes, User
from ..wire.status_errors import Body

GROUP: Final = "rbac.authorization.k8s.io"
MASTERS: Final = "system:masters"
AUTHENTICATED: Final = "system:authenticated"
UNAUTHENTICATED: Final = "system:unauthenticated"


@attrs.frozen
class Decision:
    """An answer, with the reason that a review shows. A refusal's tells of bindings that lead nowhere."""

    allowed: bool
    reason: str = ""


_PUBLIC_PATHS: Final = ("/readyz", "/livez", "/healthz", "/version")
# What an API server knows of rights when it has just started: those of every user to ask about themselves, or none.
Knowledge = Literal["everything", "reviews", "nothing"]


class Authorizer:
    """RBAC over the stored objects, as far as it `knows` them."""

    def __init__(self, history: History, registry: Registry) -> None:
        self.knows: Knowledge = "everything"
        self._history = history
        self._roles = registry[f"roles.{GROUP}"]
        self._bindings = registry[f"rolebindings.{GROUP}"]
        self._cluster_roles = registry[f"clusterroles.{GROUP}"]
        self._cluster_bindings = registry[f"clusterrolebindings.{GROUP}"]

    def decide(self, user: User, asked: Attributes) -> Decision:
        """Answer one question."""
        if MASTERS in user.groups:
            return Decision(True)
        if self.knows != "everything":
            # What users may do who only ask about themselves, and about the server, comes from the same roles.
            basic = asked.resource.startswith("selfsubject") or asked.path in _PUBLIC_PATHS
            return Decision(self.knows == "reviews" and basic)
        missing: list[str] = []
        for binding, rule in self._granted(user, asked.namespace, missing):
            if allows(rule, asked):
                return Decision(True, _because(binding, user))
        return Decision(False, f"RBAC: {_listed(missing)}" if missing else "")

    def rules(self, user: User, namespace: str) -> list[Body]:
        """Return every rule that holds for a user in a namespace."""
        if MASTERS in user.groups:
            everything: list[Body] = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
            return [*everything, {"verbs": ["*"], "nonResourceURLs": ["*"]}]
        return [rule for _, rule in self._granted(user, namespace, [])] if self.knows == "everything" else []

    def role(self, reference: Body, namespace: str) -> Stored | None:
        """Return the role that a binding in a namespace refers to."""
        if reference["kind"] == "ClusterRole":
            return self._history.get(self._cluster_roles, "", reference["name"])
        return self._history.get(self._roles, namespace, reference["name"])

    def _granted(self, user: User, namespace: str, missing: list[str]) -> Iterator[tuple[Stored, Body]]:
        for binding in self._history.list(self._cluster_bindings):
            yield from self._of_binding(binding, user, "", missing)
        if namespace:
            for binding in self._history.list(self._bindings, namespace):
                yield from self._of_binding(binding, user, namespace, missing)

    def _of_binding(
        self, binding: Stored, user: User, namespace: str, missing: list[str]
    ) -> Iterator[tuple[Stored, Body]]:
        if not any(_applies(subject, user, namespace) for subject in binding.body.get("subjects") or ()):
            return
        role = binding.body["roleRef"]
        found = self.role(role, namespace)
        if found is None:
            missing.append(f'{role["kind"].lower()}.{GROUP} "{role["name"]}" not found')
            return
        for rule in found.body.get("rules") or ():
            yield binding, rule


def allows(rule: Body, asked: Attributes) -> bool:
    """Tell whether one rule allows what is asked."""
    if not _has(rule.get("verbs"), asked.verb):
        return False
    if not asked.is_resource:
        return any(_path_fits(pattern, asked.path) for pattern in rule.get("nonResourceURLs") or ())
    names = rule.get("resourceNames")
    return (
        _has(rule.get("apiGroups"), asked.group)
        and _resource_fits(rule.get("resources") or (), asked.resource, asked.subresource)
        and (not names or asked.name in names)
    )


def forbidden_message(user: User, asked: Attributes) -> str:
    """Return what the server says to somebody who may not."""
    if not asked.is_resource:
        return f'User "{user.name}" cannot {asked.verb} path "{asked.path}"'
    resource = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    words = f'User "{user.name}" cannot {asked.verb} resource "{resource}" in API group "{asked.group}"'
    place = f' in the namespace "{asked.namespace}"' if asked.namespace else " at the cluster scope"
    return words + place


def _has(listed: Iterable[str] | None, wanted: str) -> bool:
    return listed is not None and (wanted in listed or "*" in listed)


def _resource_fits(resources: Iterable[str], resource: str, subresource: str) -> bool:
    whole = f"{resource}/{subresource}" if subresource else resource
    return "*" in resources or whole in resources or bool(subresource and f"*/{subresource}" in resources)


def _path_fits(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern[:-1]))


def _applies(subject: Any, user: User, namespace: str) -> bool:
    name = subject["name"]
    match subject["kind"]:
        case "User":
            return bool(name == user.name)
        case "Group":
            return name in user.groups
        case "ServiceAccount":
            return user.name == f"system:serviceaccount:{subject.get('namespace') or namespace}:{name}"
        case _:
            return False


def _because(binding: Stored, user: User) -> str:
    role = binding.body["roleRef"]
    place = f"{binding.name}/{binding.namespace}" if binding.namespace else binding.name
    subject = next(s for s in binding.body["subjects"] if _applies(s, user, binding.namespace))
    who = subject["name"] + (f"/{subject['namespace']}" if subject["kind"] == "ServiceAccount" else "")
    return (
        f'RBAC: allowed by {binding.kind.name} "{place}" of {role["kind"]} "{role["name"]}"'
        f' to {subject["kind"]} "{who}"'
    )


def _listed(missing: list[str]) -> str:
    return missing[0] if len(missing) == 1 else f"[{', '.join(missing)}]"
