"""A ClusterRole with an `aggregationRule` has the rules of all the ClusterRoles that it selects."""

from __future__ import annotations

from typing import Final

from ....selectors import LabelSelector, Operator, Requirement
from ..kinds.kind_registry import Registry
from ..storage.storage import Event, Storage, Stored
from ..wire.status_errors import Body

_OPERATORS: Final[dict[str, Operator]] = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}


class ClusterRoleAggregation:
    """Keeps aggregated ClusterRoles up to date."""

    name = "clusterrole-aggregation-controller"

    def __init__(self, storage: Storage, registry: Registry) -> None:
        self._storage = storage
        self._roles = registry["clusterroles.rbac.authorization.k8s.io"]
        self._stirred = False

    def observe(self, event: Event) -> None:
        """Note that a ClusterRole changed."""
        self._stirred = self._stirred or event.kind.key == self._roles.key

    def step(self, now: float) -> float | None:
        """Write the rules of aggregated roles, until none changes any more: they may select each other."""
        while self._stirred:
            self._stirred = False
            roles = self._storage.list(self._roles)
            for role in roles:
                selectors = (role.body.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
                if selectors and (rules := union(role, selectors, roles)) != (role.body.get("rules") or []):
                    self._storage.update(self._roles, {**role.body, "rules": rules}, now)
                    break
        return None


def union(whole: Stored, selectors: list[Body], roles: list[Stored]) -> list[Body]:
    """Return the rules of all roles that a selector means, without repetition, by selector and name."""
    rules: list[Body] = []
    for selector in selectors:
        for part in roles:
            if part.name != whole.name and selects(selector, part.metadata.get("labels") or {}):
                rules += [rule for rule in part.body.get("rules") or [] if rule not in rules]
    return rules


def selects(selector: Body, labels: dict[str, str]) -> bool:
    """Tell whether a `matchLabels` and `matchExpressions` selector means these labels; the empty one means all."""
    exact = [Requirement(key, "in", frozenset({value})) for key, value in (selector.get("matchLabels") or {}).items()]
    terms = [
        Requirement(term["key"], _OPERATORS[term["operator"]], frozenset(term.get("values") or ()))
        for term in selector.get("matchExpressions") or ()
    ]
    return LabelSelector((*exact, *terms)).matches(labels)
