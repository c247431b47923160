"""Does a set of rules give a permission? RBAC's own matching, on the answer to a rules review.

Rules only add up, so presence proves; absence proves only where the review was complete (semantics 2.1).
"""

from __future__ import annotations

from ..api.access_reviews import Rule, Rules
from ..api.permission import Permission


def allows(rules: Rules, permission: Permission) -> bool | None:
    """Tell whether the rules give a permission; None where an incomplete review leaves it open."""
    if any(_matches(rule, permission) for rule in rules.rules):
        return True
    return None if rules.incomplete else False


def _matches(rule: Rule, permission: Permission) -> bool:
    return (
        _has(rule.verbs or (), permission.verb)
        and _has(rule.api_groups or (), permission.group)
        and _has_resource(rule.resources or (), permission)
        and (not rule.resource_names or (permission.name is not None and permission.name in rule.resource_names))
    )


def _has(values: tuple[str, ...], wanted: str) -> bool:
    return "*" in values or wanted in values


def _has_resource(resources: tuple[str, ...], permission: Permission) -> bool:
    if _has(resources, permission.rbac_resource):
        return True
    return permission.subresource is not None and f"*/{permission.subresource}" in resources
