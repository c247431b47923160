"""Reviews: what is asked, and what the answers say."""

import json

import pytest

from scopedcache.api import access_reviews as reviews
from scopedcache.api.permission import Permission
from scopedcache.errors import ProtocolError


@pytest.mark.parametrize(
    ("permission", "attributes"),
    [
        (Permission("list", "", "pods", "a"), {"verb": "list", "group": "", "resource": "pods", "namespace": "a"}),
        (Permission("list", "apps", "deployments", None), {"verb": "list", "group": "apps", "resource": "deployments"}),
        (
            Permission("update", "apps", "deployments", "a", "scale", "web"),
            {
                "verb": "update",
                "group": "apps",
                "resource": "deployments",
                "namespace": "a",
                "subresource": "scale",
                "name": "web",
            },
        ),
    ],
)
def test_an_access_review_asks_for_one_right(permission, attributes):
    body = json.loads(reviews.access_review_body(permission))
    assert (body["kind"], body["spec"]) == ("SelfSubjectAccessReview", {"resourceAttributes": attributes})


def test_a_right_is_named_as_RBAC_names_it():
    permission = Permission("update", "apps", "deployments", "a", "scale")
    assert (permission.subject, permission.rbac_resource) == ("deployments.apps/scale", "deployments/scale")
    assert Permission("list", "", "pods", None).subject == "pods"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"allowed": True}, True),
        ({"allowed": False}, False),
        ({}, False),
        ({"allowed": True, "denied": True}, False),
        ({"allowed": False, "evaluationError": "webhook down"}, False),
    ],
)
def test_a_right_is_there_when_it_is_allowed_and_not_denied(status, expected):
    body = json.dumps({"kind": "SelfSubjectAccessReview", "status": status}).encode()
    assert reviews.read_access_review(body) is expected


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"[]", b'{"status":[]}', b'{"status":{"allowed":"yes"}}'])
def test_an_answer_that_is_no_review_is_neither_a_yes_nor_a_no(body):
    with pytest.raises(ProtocolError, match="not an access review"):
        reviews.read_access_review(body)
    if body != b'{"status":{"allowed":"yes"}}':
        with pytest.raises(ProtocolError, match="not a rules review"):
            reviews.read_rules_review(body)


def test_the_rules_of_a_namespace_are_read_with_their_groups_resources_and_names():
    rule = {"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments/scale"], "resourceNames": ["web"]}
    found = reviews.read_rules_review(
        json.dumps({"status": {"resourceRules": [rule], "nonResourceRules": []}}).encode()
    )
    assert (found.incomplete, len(found.rules)) == (False, 1)
    assert (found.rules[0].api_groups, found.rules[0].resource_names) == (("apps",), ("web",))


@pytest.mark.parametrize("rules", [None, []])
def test_no_rules_at_all_may_be_written_in_two_ways(rules):
    found = reviews.read_rules_review(json.dumps({"status": {"resourceRules": rules, "incomplete": True}}).encode())
    assert (found.rules, found.incomplete) == ((), True)
