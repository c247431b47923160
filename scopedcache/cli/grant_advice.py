"""What would grant rights that are missing, as commands to paste."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs
import yaml

from ..access.rule_matching import allows
from ..api.access_reviews import Rule, Rules
from ..api.permission import Permission
from .permissions import verbs_in_order

RBAC: Final = "rbac.authorization.k8s.io"
ACCOUNT_PREFIX: Final = "system:serviceaccount:"
# What a cluster comes with is much wider than what an operator lacks.
TOO_WIDE: Final = ("cluster-admin", "admin", "edit", "view")

# Names of Roles may be longer; people have to read these.
_LONGEST_CHARACTERS: Final = 100
_NAME_CHARACTERS: Final = 50
_DIGEST_CHARACTERS: Final = 6

Manifest = dict[str, Any]


@attrs.frozen
class Grantee:
    """Who is to have the rights."""

    user: str

    @property
    def account(self) -> tuple[str, str] | None:
        """Return namespace and name of a ServiceAccount; None for other users."""
        namespace, _, name = self.user.removeprefix(ACCOUNT_PREFIX).partition(":")
        return (namespace, name) if self.user.startswith(ACCOUNT_PREFIX) and name else None

    @property
    def option(self) -> str:
        """Return the option of `kubectl create rolebinding`."""
        return f"--serviceaccount={':'.join(self.account)}" if self.account else f"--user={self.user}"

    @property
    def subject(self) -> Manifest:
        """Return the entry in `subjects` of a binding."""
        if self.account:
            return {"kind": "ServiceAccount", "namespace": self.account[0], "name": self.account[1]}
        return {"apiGroup": RBAC, "kind": "User", "name": self.user}

    @property
    def short_name(self) -> str:
        """Return what a binding may be called after them."""
        text = self.account[1] if self.account else self.user
        return "".join(character if character.isalnum() or character == "-" else "-" for character in text.lower())


def commands(
    missing: Iterable[Permission], grantee: Grantee, cluster_roles: Sequence[Mapping[str, Any]] = ()
) -> list[str]:
    """Return the commands that would grant what is missing, place by place.

    Where a ClusterRole that is there gives all of it, a binding is enough; the one that gives least is taken.
    """
    places: dict[str | None, list[Permission]] = {}
    for permission in missing:
        places.setdefault(permission.namespace, []).append(permission)
    result: list[str] = []
    for place, permissions in places.items():
        role = fitting_role(permissions, cluster_roles)
        result += _binding_command(role, place, grantee) if role else _new_role_commands(permissions, place, grantee)
    return result


def fitting_role(permissions: Sequence[Permission], cluster_roles: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the ClusterRole that gives all these rights and least besides; None where none does, or only wide ones."""
    fitting = [
        (sum(len(rule.get("verbs") or ()) * len(rule.get("resources") or ()) for rule in rules), str(name))
        for role in cluster_roles
        if (name := (role.get("metadata") or {}).get("name", "")) not in TOO_WIDE
        and not str(name).startswith("system:")
        and (rules := list(role.get("rules") or ()))
        and not any("*" in (rule.get("verbs") or ()) or "*" in (rule.get("resources") or ()) for rule in rules)
        and all(allows(_rules(rules), permission) for permission in permissions)
    ]
    return min(fitting)[1] if fitting else None


def rules_for(permissions: Iterable[Permission]) -> list[Manifest]:
    """Return the fewest RBAC rules that give these rights and nothing else."""
    verbs: dict[tuple[str, str, str], set[str]] = {}
    for permission in permissions:
        key = (permission.group, permission.rbac_resource, permission.name or "")
        verbs.setdefault(key, set()).add(permission.verb)
    together: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (group, resource, name), wanted in sorted(verbs.items()):
        together.setdefault((group, name, tuple(verbs_in_order(wanted))), []).append(resource)
    return [
        {"apiGroups": [group], "resources": resources}
        | ({"resourceNames": [name]} if name else {})
        | {"verbs": list(wanted)}
        for (group, name, wanted), resources in together.items()
    ]


def _binding_command(role: str, place: str | None, grantee: Grantee) -> list[str]:
    kind = "rolebinding" if place else "clusterrolebinding"
    name = f"{grantee.short_name[:_NAME_CHARACTERS]}-{role}"[:_LONGEST_CHARACTERS].rstrip("-.")
    return [_joined("kubectl", "create", kind, name, f"--clusterrole={role}", grantee.option, *_at(place))]


def _new_role_commands(permissions: Sequence[Permission], place: str | None, grantee: Grantee) -> list[str]:
    rules = rules_for(permissions)
    # Other rights have another name: a Role that was made for these must not lose what it gives.
    name = f"{grantee.short_name[:_NAME_CHARACTERS]}-needs-{_digest(rules)}"
    kind = "role" if place else "clusterrole"
    verbs = {tuple(rule["verbs"]) for rule in rules}
    if len(verbs) > 1 or any("resourceNames" in rule for rule in rules):
        return [_apply_command(rules, name, place, grantee)]
    resources = [_spelled(rule["apiGroups"][0], resource) for rule in rules for resource in rule["resources"]]
    role = _joined(
        "kubectl", "create", kind, name, f"--verb={','.join(next(iter(verbs)))}", f"--resource={','.join(resources)}",
        *_at(place),
    )  # fmt: skip
    return [role, _joined("kubectl", "create", f"{kind}binding", name, f"--{kind}={name}", grantee.option, *_at(place))]


def _apply_command(rules: list[Manifest], name: str, place: str | None, grantee: Grantee) -> str:
    kind = "Role" if place else "ClusterRole"
    metadata = {"name": name} | ({"namespace": place} if place else {})
    manifests = [
        {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": f"{kind}Binding",
            "metadata": dict(metadata),
            "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name},
            "subjects": [grantee.subject],
        },
    ]
    return f"kubectl apply -f - <<'EOF'\n{yaml.safe_dump_all(manifests, sort_keys=False)}EOF"


def _digest(rules: Sequence[Manifest]) -> str:
    return hashlib.sha256(json.dumps(rules).encode()).hexdigest()[:_DIGEST_CHARACTERS]


def _rules(rules: Iterable[Mapping[str, Any]]) -> Rules:
    return Rules(
        tuple(
            Rule(
                tuple(rule.get("verbs") or ()), tuple(rule.get("apiGroups") or ()), tuple(rule.get("resources") or ()),
                tuple(rule.get("resourceNames") or ()),
            )
            for rule in rules
        ),
        incomplete=False,
    )  # fmt: skip


def _spelled(group: str, resource: str) -> str:
    """Return a resource as kubectl takes it: `deployments.apps/scale`."""
    plural, slash, subresource = resource.partition("/")
    return f"{plural}.{group}{slash}{subresource}" if group else resource


def _at(place: str | None) -> list[str]:
    return ["-n", place] if place else []


def _joined(*words: str) -> str:
    return shlex.join(words)
