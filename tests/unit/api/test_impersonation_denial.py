"""A refused impersonation, in the words of kube-apiserver 1.36.2: which right is missing."""

import pytest

from scopedcache.api.denial_origin import is_impersonation
from scopedcache.api.impersonation_denial import ImpersonationRight, missing_right
from scopedcache.api.request_info import RequestInfo
from scopedcache.errors import ForbiddenError
from tests.unit.api.test_status_errors import DEPLOYMENTS, LIST, answered

GROUP = 'in API group "" at the cluster scope'
AUTHENTICATION = 'in API group "authentication.k8s.io" at the cluster scope'
ROWS = [
    (
        f'users "jane" is forbidden: User "boss" cannot impersonate resource "users" {GROUP}',
        {"name": "jane", "kind": "users"},
        ImpersonationRight("users", None, "jane"),
        'may not impersonate users "jane" at the cluster scope',
    ),
    (
        f'groups "g" is forbidden: User "boss" cannot impersonate resource "groups" {GROUP}',
        {"name": "g", "kind": "groups"},
        ImpersonationRight("groups", None, "g"),
        'may not impersonate groups "g" at the cluster scope',
    ),
    (
        'serviceaccounts "sa" is forbidden: User "boss" cannot impersonate resource "serviceaccounts" in API group "" '
        'in the namespace "default"',
        {"name": "sa", "kind": "serviceaccounts"},
        ImpersonationRight("serviceaccounts", "default", "sa"),
        'may not impersonate serviceaccounts "sa" in namespace default',
    ),
    (
        f'uids.authentication.k8s.io "7" is forbidden: User "boss" cannot impersonate resource "uids" {AUTHENTICATION}',
        {"name": "7", "group": "authentication.k8s.io", "kind": "uids"},
        ImpersonationRight("uids.authentication.k8s.io", None, "7"),
        'may not impersonate uids.authentication.k8s.io "7" at the cluster scope',
    ),
    (
        'userextras.authentication.k8s.io "x" is forbidden: User "boss" cannot impersonate resource '
        f'"userextras/scopes" {AUTHENTICATION}',
        {"name": "x", "group": "authentication.k8s.io", "kind": "userextras"},
        ImpersonationRight("userextras.authentication.k8s.io/scopes", None, "x"),
        'may not impersonate userextras.authentication.k8s.io/scopes "x" at the cluster scope',
    ),
    (
        'pods is forbidden: User "boss" cannot impersonate-on:user-info:list resource "pods" in API group "" '
        'in the namespace "default"',
        {"kind": "pods"},
        ImpersonationRight("users"),
        "may not impersonate users at the cluster scope",
    ),
    (
        'pods is forbidden: User "boss" cannot impersonate-on:serviceaccount:list resource "pods" in API group ""',
        {"kind": "pods"},
        ImpersonationRight("serviceaccounts"),
        "may not impersonate serviceaccounts at the cluster scope",
    ),
    (
        'forbidden: User "boss" cannot impersonate-on:user-info:get path "/readyz"',
        {},
        ImpersonationRight("users"),
        "may not impersonate users at the cluster scope",
    ),
    (
        f'users "jane" is forbidden: User "say \\"cannot\\"" cannot impersonate resource "users" {GROUP}',
        {"name": "jane", "kind": "users"},
        ImpersonationRight("users", None, "jane"),
        'may not impersonate users "jane" at the cluster scope',
    ),
]


@pytest.mark.parametrize(("message", "details", "right", "words"), ROWS)
def test_the_right_that_is_missing_is_named(message, details, right, words):
    error = answered(403, "Forbidden", message, details)
    assert missing_right(message, details) == right
    assert isinstance(error, ForbiddenError)
    assert str(error).startswith(words)
    assert message in str(error)


@pytest.mark.parametrize(("message", "details"), [row[:2] for row in ROWS])
@pytest.mark.parametrize("call", [LIST, RequestInfo("update", DEPLOYMENTS, "a", "web")])
def test_it_says_nothing_about_the_resource(message, details, call):
    error = answered(403, "Forbidden", message, details, call=call)
    assert isinstance(error, ForbiddenError)
    assert (is_impersonation(error), error.by) == (True, "unknown")


@pytest.mark.parametrize(
    "message",
    [
        'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"',
        'pods is forbidden: User "a\\" cannot impersonate resource \\"users" cannot list resource "pods"',
        'pods is forbidden: User "jane" cannot list resource "pods" in API group "": cannot impersonate users',
        'admission webhook "x" denied the request: User "y" cannot impersonate resource "z" in API group ""',
        "cannot impersonate",
        "",
    ],
)
def test_other_refusals_are_about_what_they_name(message):
    error = answered(403, "Forbidden", message, {"kind": "pods"})
    assert isinstance(error, ForbiddenError)
    assert (missing_right(message), is_impersonation(error), error.verb) == (None, False, "list")
