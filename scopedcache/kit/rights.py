"""What a program's account needs, and the manifests that give it: a Namespace, an account, roles and bindings.

What is done in other people's namespaces is a ClusterRole that nothing binds here: whoever owns a namespace binds it
there, and takes it away again.

    kubectl -n app create rolebinding users --clusterrole=users-in-namespace --serviceaccount=users-system:users
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import attrs

API: Final = "rbac.authorization.k8s.io"
# Where Events about objects live that are in no namespace.
DEFAULT_NAMESPACE: Final = "default"

Manifest = dict[str, Any]


def _words(text: str | Iterable[str]) -> tuple[str, ...]:
    return tuple(text.split()) if isinstance(text, str) else tuple(text)


@attrs.frozen
class Rule:
    """Verbs on resources: `Rule("pods deployments.apps/scale", "get list watch")`.

    Attributes:
        resources: as kubectl writes them.
        names: the only objects it is for; all where none is named.
    """

    resources: tuple[str, ...] = attrs.field(converter=_words)
    verbs: tuple[str, ...] = attrs.field(converter=_words)
    names: tuple[str, ...] = attrs.field(default=(), converter=_words)

    def manifests(self) -> list[Manifest]:
        """Return the rules of a role, one per API group."""
        groups: dict[str, list[str]] = {}
        for resource in self.resources:
            whole, slash, subresource = resource.partition("/")
            plural, _, group = whole.partition(".")
            groups.setdefault(group, []).append(plural + slash + subresource)
        names = {"resourceNames": list(self.names)} if self.names else {}
        return [
            {"apiGroups": [group], "resources": plurals, **names, "verbs": list(self.verbs)}
            for group, plurals in groups.items()
        ]


def _rules(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    return tuple(rules)


@attrs.frozen
class Rights:
    """What an account may do, and where.

    Attributes:
        cluster: everywhere: the program's own kinds.
        in_namespace: in those namespaces whose owners say so.
        home: in the program's own namespace; what leading by a Lease needs is added.
        default: in the namespace `default`, where Events about objects without a namespace are.
        namespace: the program's own; `NAME-system`, unless told otherwise.
    """

    cluster: tuple[Rule, ...] = attrs.field(default=(), kw_only=True, converter=_rules)
    in_namespace: tuple[Rule, ...] = attrs.field(default=(), kw_only=True, converter=_rules)
    home: tuple[Rule, ...] = attrs.field(default=(), kw_only=True, converter=_rules)
    default: tuple[Rule, ...] = attrs.field(default=(), kw_only=True, converter=_rules)
    namespace: str | None = attrs.field(default=None, kw_only=True)

    def manifests(self, name: str, lease: str, namespace: str | None = None) -> list[Manifest]:
        """Return everything that an admin applies, in order; the namespace is `NAME-system`, unless told otherwise."""
        home = namespace or self.namespace or f"{name}-system"
        account = {"kind": "ServiceAccount", "name": name, "namespace": home}
        leases = "leases.coordination.k8s.io"
        leading = (Rule(leases, "create"), Rule(leases, "get update", lease))
        result: list[Manifest] = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": home}},
        ]
        if self.cluster:
            result += _bound(name, None, self.cluster, account)
        if self.in_namespace:
            result.append(_role(f"{name}-in-namespace", None, self.in_namespace))
        result += _bound(name, home, (*leading, *self.home), account)
        if self.default:
            result += _bound(name, DEFAULT_NAMESPACE, self.default, account)
        return result


def _bound(name: str, namespace: str | None, rules: Sequence[Rule], account: Manifest) -> list[Manifest]:
    kind = "Role" if namespace else "ClusterRole"
    binding = {
        **_head(f"{kind}Binding", name, namespace),
        "roleRef": {"apiGroup": API, "kind": kind, "name": name},
        "subjects": [dict(account)],
    }
    return [_role(name, namespace, rules), binding]


def _role(name: str, namespace: str | None, rules: Sequence[Rule]) -> Manifest:
    kind = "Role" if namespace else "ClusterRole"
    return {**_head(kind, name, namespace), "rules": [one for rule in rules for one in rule.manifests()]}


def _head(kind: str, name: str, namespace: str | None) -> Manifest:
    place = {"namespace": namespace} if namespace else {}
    return {"apiVersion": f"{API}/v1", "kind": kind, "metadata": {"name": name, **place}}
