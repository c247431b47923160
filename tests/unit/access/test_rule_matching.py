"""Rules are matched as RBAC matches them: compared with a model that spells every wildcard out."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.access.rule_matching import allows
from scopedcache.api.access_reviews import Rule, Rules
from scopedcache.api.access_reviews import read_rules_review as rules_of
from scopedcache.api.permission import Permission

VERBS = ("get", "list", "watch", "create")
GROUPS = ("", "apps", "batch")
RESOURCES = ("pods", "deployments", "jobs")
SUBRESOURCES = (None, "status", "scale")
NAMES = (None, "one", "two")

rule_resources = st.one_of(
    st.sampled_from(RESOURCES),
    st.builds("{}/{}".format, st.sampled_from(("*", *RESOURCES)), st.sampled_from(("status", "scale"))),
    st.just("*"),
)
rules = st.builds(
    Rule,
    verbs=st.lists(st.sampled_from(("*", *VERBS)), max_size=3).map(tuple),
    api_groups=st.lists(st.sampled_from(("*", *GROUPS)), max_size=2).map(tuple),
    resources=st.lists(rule_resources, max_size=3).map(tuple),
    resource_names=st.one_of(st.none(), st.lists(st.sampled_from(("one", "two")), max_size=2).map(tuple)),
)
permissions = st.builds(
    Permission,
    verb=st.sampled_from(VERBS),
    group=st.sampled_from(GROUPS),
    resource=st.sampled_from(RESOURCES),
    namespace=st.just("a"),
    subresource=st.sampled_from(SUBRESOURCES),
    name=st.sampled_from(NAMES),
)


def everything_a_rule_grants(rule: Rule) -> set[tuple[str, str, str, str | None]]:
    """Spell a rule out: every (verb, group, resource[/subresource], name) of this small world that it stands for."""
    named = tuple(rule.resource_names or ())
    granted = set()
    for verb, group, resource, subresource, name in itertools.product(VERBS, GROUPS, RESOURCES, SUBRESOURCES, NAMES):
        full = resource if subresource is None else f"{resource}/{subresource}"
        written = [
            verb in (rule.verbs or ()) or "*" in (rule.verbs or ()),
            group in (rule.api_groups or ()) or "*" in (rule.api_groups or ()),
        ]
        spellings = {"*", full} | ({f"*/{subresource}"} if subresource else set())
        written.append(bool(spellings & set(rule.resources or ())))
        written.append(not named or name in named)
        if all(written):
            granted.add((verb, group, full, name))
    return granted


@given(st.lists(rules, max_size=4).map(tuple), permissions, st.booleans())
def test_rules_allow_exactly_what_they_spell_out(
    given_rules: tuple[Rule, ...], permission: Permission, incomplete: bool
) -> None:
    wanted = (permission.verb, permission.group, permission.rbac_resource, permission.name)
    held = any(wanted in everything_a_rule_grants(rule) for rule in given_rules)

    assert allows(Rules(given_rules, incomplete), permission) is (True if held else None if incomplete else False)


@given(st.lists(rules, max_size=3).map(tuple), rules, permissions)
def test_one_more_rule_never_takes_a_right_away(before: tuple[Rule, ...], more: Rule, permission: Permission) -> None:
    if allows(Rules(before, False), permission):
        assert allows(Rules((*before, more), False), permission)


@pytest.mark.parametrize(
    ("resources", "permission", "expected"),
    [
        (("pods",), Permission("get", "", "pods", "a"), True),
        (("pods",), Permission("get", "", "pods", "a", "status"), False),
        (("pods/status",), Permission("get", "", "pods", "a"), False),
        (("pods/status",), Permission("get", "", "pods", "a", "status"), True),
        (("*/status",), Permission("get", "", "pods", "a", "status"), True),
        (("*/status",), Permission("get", "", "pods", "a"), False),
        (("pods/*",), Permission("get", "", "pods", "a", "status"), False),
        (("*",), Permission("get", "", "pods", "a", "status"), True),
    ],
)
def test_a_subresource_is_a_resource_of_its_own(
    resources: tuple[str, ...], permission: Permission, expected: bool
) -> None:
    rule = Rule(verbs=("*",), api_groups=("",), resources=resources)

    assert allows(Rules((rule,), incomplete=False), permission) is expected


def test_a_right_on_one_name_is_no_right_on_all_of_them() -> None:
    only_one = Rules((Rule(("list",), ("",), ("secrets",), ("one",)),), incomplete=False)

    assert allows(only_one, Permission("list", "", "secrets", "a", name="one")) is True
    assert allows(only_one, Permission("list", "", "secrets", "a", name="two")) is False
    assert allows(only_one, Permission("list", "", "secrets", "a")) is False


def test_absence_proves_nothing_where_the_review_was_incomplete() -> None:
    assert allows(Rules((), incomplete=True), Permission("list", "", "pods", "a")) is None


def test_an_answer_of_a_server_that_writes_nothing_as_null_is_read() -> None:
    body = (
        b'{"status": {"resourceRules": [{"verbs": null, "apiGroups": null, "resources": null}], "incomplete": false}}'
    )

    assert allows(rules_of(body), Permission("list", "", "pods", "a")) is False
    assert rules_of(b'{"status": {"resourceRules": null}}') == Rules((), incomplete=False)
