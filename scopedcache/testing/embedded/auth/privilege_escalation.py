"""Nobody grants rights that they do not have: what a write of a role or a binding has to be checked for."""

from __future__ import annotations

from collections.abc import Iterable

from ..kinds.kind import Kind
from ..wire.request_attributes import Attributes, User
from ..wire.status_errors import Body, StatusError, forbidden
from .rbac_authorizer import GROUP, MASTERS, Authorizer


def check_grant(authorizer: Authorizer, user: User, kind: Kind, asked: Attributes, body: Body) -> None:
    """Refuse (403) rules that go beyond the writer's own; the verbs `escalate` and `bind` permit them."""
    if MASTERS in user.groups or kind.group != GROUP:
        return
    name, namespace = body["metadata"].get("name") or "", asked.namespace
    if "roleRef" in body:
        rules, verb = _bound(authorizer, body["roleRef"], namespace), "bind"
        of = "clusterroles" if body["roleRef"]["kind"] == "ClusterRole" else "roles"
        permission = Attributes(verb, "", True, GROUP, "", of, "", namespace, body["roleRef"]["name"])
    else:
        rules, verb = body.get("rules") or [], "escalate"
        permission = Attributes(verb, "", True, GROUP, "", kind.resource, "", namespace, name)
    if authorizer.decide(user, permission).allowed:
        return
    missing = [rule for rule in rules if not _is_held(authorizer, user, namespace, rule)]
    if missing:
        raise _refusal(user, kind, name, missing)


def _bound(authorizer: Authorizer, role: Body, namespace: str) -> list[Body]:
    found = authorizer.role(role, namespace)
    return [] if found is None else found.body.get("rules") or []


def _is_held(authorizer: Authorizer, user: User, namespace: str, rule: Body) -> bool:
    """Tell whether a user has every right in a rule. (`*` is held by who has `*`.)"""
    paths = [Attributes(verb, path) for path in rule.get("nonResourceURLs") or () for verb in rule["verbs"]]
    places = [
        Attributes(verb, "", True, group, "", resource.partition("/")[0], resource.partition("/")[2], namespace, name)
        for verb in rule.get("verbs") or ()
        for group in rule.get("apiGroups") or ()
        for resource in rule.get("resources") or ()
        for name in rule.get("resourceNames") or [""]
    ]
    return all(authorizer.decide(user, asked).allowed for asked in [*places, *paths])


def _refusal(user: User, kind: Kind, name: str, missing: list[Body]) -> StatusError:
    listed = "\n".join(_spelled(rule) for rule in missing)
    words = f'user "{user.name}" (groups=[{" ".join(_quoted(user.groups))}]) '
    words += f"is attempting to grant RBAC permissions not currently held:\n{listed}"
    return forbidden(GROUP, kind.resource, name, words)


def _spelled(rule: Body) -> str:
    names = {"apiGroups": "APIGroups", "resources": "Resources", "resourceNames": "ResourceNames"}
    names |= {"nonResourceURLs": "NonResourceURLs", "verbs": "Verbs"}
    fields = [f"{word}:[{', '.join(_quoted(rule[field]))}]" for field, word in names.items() if rule.get(field)]
    return "{" + ", ".join(fields) + "}"


def _quoted(words: Iterable[str]) -> list[str]:
    return [f'"{word}"' for word in words]
