"""The least Roles and bindings for what an operator declares and does, and how others differ from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import attrs

from .permissions import verbs_in_order
from .rbac_objects import RBAC

Manifest = dict[str, Any]
# Where a right is given: everywhere, in the namespaces where somebody lets the operator work, in one of its own.
Scope = Literal["cluster", "namespaces", "home"]
SCOPES: Final[tuple[Scope, ...]] = ("cluster", "namespaces", "home")
# What RBAC cannot limit to a name.
_NAMELESS: Final = ("create", "deletecollection")
_LEASES: Final = ("coordination.k8s.io", "leases")


@attrs.frozen(order=True)
class Right:
    """One verb on one resource, with its subresource; `namespace` is that of a right at home."""

    scope: Scope
    group: str
    resource: str
    verb: str
    name: str = ""
    namespace: str = ""

    @property
    def subject(self) -> str:
        plural, slash, subresource = self.resource.partition("/")
        named = f"{plural}.{self.group}{slash}{subresource}" if self.group else self.resource
        return f'{named} "{self.name}"' if self.name else named


@attrs.frozen
class Use:
    """One request that an operator was seen to make; `namespace` None is the whole cluster."""

    verb: str
    group: str
    resource: str
    namespace: str | None
    name: str | None = None


@attrs.frozen
class Account:
    """The ServiceAccount that an operator runs as."""

    namespace: str
    name: str


def rights_of_uses(uses: Iterable[Use], home: str) -> set[Right]:
    """Return the rights that requests took. `home` is the namespace of the operator's account.

    A kind that was asked for in the whole cluster is used there, all of it. What was asked for at home, and Leases
    wherever they are, is a Role there, for Leases of the names it was for. The rest is used wherever somebody lets it.
    """
    uses = list(uses)
    wide = {(use.group, _kind(use.resource)) for use in uses if use.namespace is None}
    # Events about cluster-scoped objects are in `default`, where nothing else of the operator's may be.
    worked = {use.namespace for use in uses if use.resource != "events"}
    rights = set()
    for use in uses:
        if use.resource == "events" and use.namespace == "default" and "default" not in worked:
            rights.add(Right("home", use.group, use.resource, use.verb, "", "default"))
        elif (use.group, _kind(use.resource)) in wide:
            rights.add(Right("cluster", use.group, use.resource, use.verb))
        elif use.namespace == home or (use.group, use.resource) == _LEASES:
            # Reading a kind takes it as a whole; what it leads by is one object.
            named = use.name if (use.group, use.resource) == _LEASES and use.verb not in _NAMELESS else None
            rights.add(Right("home", use.group, use.resource, use.verb, named or "", use.namespace or ""))
        else:
            rights.add(Right("namespaces", use.group, use.resource, use.verb))
    # A cache wants both: where a server streams its lists, a list is a watch; others are listed.
    return rights | {attrs.evolve(right, verb="list") for right in rights if right.verb == "watch"}


def settled(undecided: Iterable[Right], used: set[Right]) -> set[Right]:
    """Return rights on kinds whose places only a run shows: where they were used, or wherever it works."""
    result = set()
    for right in undecided:
        kind = (right.group, _kind(right.resource))
        places = {(one.scope, one.namespace) for one in used if (one.group, _kind(one.resource)) == kind}
        for scope, namespace in places or {(right.scope, right.namespace)}:
            result.add(attrs.evolve(right, scope=scope, namespace=namespace))
    return result


def joined(declared: set[Right], used: set[Right]) -> set[Right]:
    """Return all rights; what is needed in the whole cluster needs no other place besides."""
    wide = {(right.group, _kind(right.resource)) for right in declared | used if right.scope == "cluster"}
    result = set()
    for right in declared | used:
        scope: Scope = "cluster" if (right.group, _kind(right.resource)) in wide else right.scope
        result.add(attrs.evolve(right, scope=scope, namespace=right.namespace if scope == "home" else ""))
    return result


def manifests(rights: Iterable[Right], name: str, account: Account, namespaces: Sequence[str]) -> list[Manifest]:
    """Return Roles and bindings that give these rights: everywhere, in `namespaces`, and at home."""
    rights = sorted(rights)
    subject = {"kind": "ServiceAccount", "name": account.name, "namespace": account.namespace}
    result: list[Manifest] = []
    if cluster := [right for right in rights if right.scope == "cluster"]:
        result += [_role("ClusterRole", name, None, cluster), _binding("ClusterRole", name, None, subject)]
    if inside := [right for right in rights if right.scope == "namespaces"]:
        role = f"{name}-in-namespace"
        result.append(_role("ClusterRole", role, None, inside))
        result += [_binding("ClusterRole", role, namespace, subject) for namespace in namespaces]
    for home in sorted({right.namespace for right in rights if right.scope == "home"}):
        own = [right for right in rights if right.scope == "home" and right.namespace == home]
        place = home or account.namespace
        result += [_role("Role", name, place, own), _binding("Role", name, place, subject)]
    return result


def rights_of_manifests(documents: Iterable[Mapping[str, Any]], account: Account | None = None) -> set[Right]:
    """Return what RBAC manifests give: a ClusterRole that no ClusterRoleBinding binds is for namespaces."""
    documents = [one for one in documents if str(one.get("apiVersion", "")).startswith(RBAC)]
    wide = {
        one["roleRef"]["name"]
        for one in documents
        if one.get("kind") == "ClusterRoleBinding" and isinstance(one.get("roleRef"), Mapping)
    }
    rights: set[Right] = set()
    for role in documents:
        if role.get("kind") not in ("Role", "ClusterRole"):
            continue
        metadata = role.get("metadata") or {}
        scope: Scope = "home" if role["kind"] == "Role" else "cluster" if metadata.get("name") in wide else "namespaces"
        for rule in role.get("rules") or ():
            rights |= _rights_of_rule(rule, scope, str(metadata.get("namespace") or "") if scope == "home" else "")
    return rights


def differing(wanted: set[Right], given: set[Right]) -> tuple[list[Right], list[Right]]:
    """Return what is wanted and not given, and what is given and not wanted.

    A right at home is the same in whichever namespace that is; one for every name gives it for each.
    """
    plain_wanted, plain_given = {_placeless(right) for right in wanted}, {_placeless(right) for right in given}
    lacking = [right for right in plain_wanted if not _covers(plain_given, right)]
    idle = [right for right in plain_given if not _is_wanted(plain_wanted, right)]
    return sorted(lacking), sorted(idle)


def grouped(rights: Iterable[Right]) -> list[tuple[Scope, str, str, list[str]]]:
    """Return rights with the verbs of one kind together: scope, namespace, kind, verbs."""
    groups: dict[tuple[Scope, str, str], set[str]] = {}
    for right in rights:
        groups.setdefault((right.scope, right.namespace, right.subject), set()).add(right.verb)
    return [(*key, verbs_in_order(verbs)) for key, verbs in groups.items()]


def _rights_of_rule(rule: Mapping[str, Any], scope: Scope, namespace: str) -> set[Right]:
    return {
        Right(scope, group, resource, verb, "" if verb in _NAMELESS else name, namespace)
        for group in rule.get("apiGroups") or ()
        for resource in rule.get("resources") or ()
        for verb in rule.get("verbs") or ()
        for name in rule.get("resourceNames") or ("",)
    }


def _covers(given: set[Right], right: Right) -> bool:
    return any(
        candidate.scope in (right.scope, "cluster")
        and candidate.group in (right.group, "*")
        and candidate.resource in (right.resource, "*")
        and candidate.verb in (right.verb, "*")
        and candidate.name in ("", right.name)
        for candidate in given
    )


def _is_wanted(wanted: set[Right], right: Right) -> bool:
    if right in wanted:
        return True
    # A rule without names is wanted where one of its names is: which ones there will be, nobody may know before.
    return any(attrs.evolve(one, name="") == right for one in wanted)


def _placeless(right: Right) -> Right:
    return attrs.evolve(right, namespace="")


def _kind(resource: str) -> str:
    return resource.partition("/")[0]


def _role(kind: str, name: str, namespace: str | None, rights: Sequence[Right]) -> Manifest:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": metadata, "rules": _rules(rights)}


def _rules(rights: Sequence[Right]) -> list[Manifest]:
    verbs: dict[tuple[str, str, str], set[str]] = {}
    for right in rights:
        verbs.setdefault((right.group, right.resource, right.name), set()).add(right.verb)
    together: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    for (group, resource, name), wanted in verbs.items():
        together.setdefault((group, tuple(verbs_in_order(wanted)), name), []).append(resource)
    return [
        {"apiGroups": [group], "resources": resources}
        | ({"resourceNames": [name]} if name else {})
        | {"verbs": list(wanted)}
        for (group, wanted, name), resources in together.items()
    ]


def _binding(role_kind: str, role: str, namespace: str | None, subject: Manifest) -> Manifest:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": {"name": role} | ({"namespace": namespace} if namespace else {}),
        "roleRef": {"apiGroup": RBAC, "kind": role_kind, "name": role},
        "subjects": [subject],
    }
