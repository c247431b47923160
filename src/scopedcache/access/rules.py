"""Does a set of rules contain a right? RBAC's own matching, on the answer to a rules review.

Rules only add up, so presence proves; absence proves only where the review was complete (semantics 2.1).
"""

from __future__ import annotations

from ..api.reviews import Right, Rule, Rules


def allows(rules: Rules, right: Right) -> bool | None:
    """Tell whether the rules hold a right; None where an incomplete review leaves it open."""
    if any(_matches(rule, right) for rule in rules.rules):
        return True
    return None if rules.incomplete else False


def _matches(rule: Rule, right: Right) -> bool:
    return (
        _has(rule.verbs or (), right.verb)
        and _has(rule.api_groups or (), right.group)
        and _has_resource(rule.resources or (), right)
        and (not rule.resource_names or (right.name is not None and right.name in rule.resource_names))
    )


def _has(values: tuple[str, ...], wanted: str) -> bool:
    return "*" in values or wanted in values


def _has_resource(resources: tuple[str, ...], right: Right) -> bool:
    if _has(resources, right.rbac_resource):
        return True
    return right.subresource is not None and f"*/{right.subresource}" in resources
