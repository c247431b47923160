"""What an operator declares against what its account may do: what is missing, and what is idle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from ..access.rule_matching import allows
from ..api.access_reviews import Rule, Rules
from ..api.permission import Permission
from .exit_status import ExitStatus
from .least_rights import Right
from .permissions import place_name, verbs_in_order
from .report import Report, Table

# What every user may do, whoever grants what.
_EVERYBODYS: Final = ("selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews")


@attrs.frozen(order=True)
class Finding:
    """A right that is missing, or that nobody needs; the empty place is the whole cluster."""

    place: str
    state: str
    subject: str
    verb: str


def missing(rights: Iterable[Right], live: Mapping[str, Rules], places: Sequence[str]) -> list[Finding]:
    """Return what is declared and not allowed. `live` has the rules by namespace; the empty one's are cluster-wide."""
    found = set()
    for right in rights:
        for place in places_of(right, places):
            permission = _permission(right, place)
            if allows(live[place], permission) is False:
                found.add(Finding(place, "missing", right.subject, right.verb))
    return sorted(found)


def idle(rights: Iterable[Right], live: Mapping[str, Rules], places: Sequence[str]) -> list[Finding]:
    """Return what is allowed and not declared: in the whole cluster, and in each namespace what it has besides."""
    rights = list(rights)
    wide = set(live[""].rules)
    found = set()
    for place, rules in live.items():
        wanted = [right for right in rights if place in places_of(right, places) or right.scope == "cluster"]
        for rule in rules.rules:
            if place and rule in wide:
                continue
            everywhere = wanted if place else rights
            found |= {Finding(place, "idle", *one) for one in _unwanted(rule, everywhere)}
    return sorted(found)


def places_of(right: Right, places: Sequence[str]) -> Sequence[str]:
    """Return where a right is needed: the empty place is the whole cluster."""
    match right.scope:
        case "cluster":
            return ("",)
        case "home" if right.namespace:
            return (right.namespace,)
        case _:
            return places


def report(who: str, found: Sequence[Finding], unseen: Sequence[str], notes: Sequence[str]) -> Report:
    """Return what to print."""
    groups: dict[tuple[str, str, str], set[str]] = {}
    for finding in found:
        groups.setdefault((finding.state, finding.place, finding.subject), set()).add(finding.verb)
    rows = [
        (state, place_name(place), subject, ", ".join(verbs_in_order(verbs)))
        for (state, place, subject), verbs in sorted(groups.items(), reverse=False)
    ]
    data: dict[str, Any] = {
        "user": who,
        "findings": [
            {"state": state, "namespace": place or None, "kind": subject, "verbs": verbs_in_order(verbs)}
            for (state, place, subject), verbs in groups.items()
        ],
        "notSeen": list(unseen),
    }
    blocks: list[Table | str] = []
    if rows:
        blocks.append(Table(("state", "namespace", "kind", "verbs"), rows, f"{who}, declared against live"))
    else:
        blocks.append(f"{who} has all that is declared, and nothing besides")
    if unseen:
        blocks.append("Not seen in the source:\n" + "\n".join(f"  {line}" for line in unseen))
    return Report(data, blocks, notes, ExitStatus.FOUND if rows else ExitStatus.DONE)


def _permission(right: Right, place: str) -> Permission:
    plural, _, subresource = right.resource.partition("/")
    return Permission(right.verb, right.group, plural, place or None, subresource or None, right.name or None)


def _unwanted(rule: Rule, wanted: Sequence[Right]) -> Iterable[tuple[str, str]]:
    """Yield (subject, verb) of what a rule gives and nobody wants."""
    for group in rule.api_groups or ():
        for resource in rule.resources or ():
            if resource in _EVERYBODYS:
                continue
            for verb in rule.verbs or ():
                for name in rule.resource_names or ("",):
                    right = Right("namespaces", group, resource, verb, "" if verb == "create" else name)
                    if not any(_same(right, one) for one in wanted):
                        yield right.subject, verb


def _same(given: Right, wanted: Right) -> bool:
    same = (given.group, given.resource, given.verb) == (wanted.group, wanted.resource, wanted.verb)
    return same and (not given.name or not wanted.name or given.name == wanted.name)
