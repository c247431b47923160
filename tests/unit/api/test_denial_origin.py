"""Where a 403 comes from."""

import asyncio

import pytest

from scopedcache.api.denial_origin import (
    ask_origin,
    is_impersonation,
    origin_at_a_glance,
    permissions_in_question,
    status_of_api_server,
)
from scopedcache.api.permission import Permission
from scopedcache.api.request_info import RequestInfo
from scopedcache.errors import ForbiddenError, TransportError
from scopedcache.kinds import GVK, GVR, Resource
from tests.unit.informer.events import PODS
from tests.unit.informer.fake_transport import bytes_of, status

DEPLOYMENTS = Resource(GVR("apps", "v1", "deployments"), GVK("apps", "v1", "Deployment"), namespaced=True)
SERVICE_ACCOUNTS = Resource(GVR("", "v1", "serviceaccounts"), GVK("", "v1", "ServiceAccount"), namespaced=True)
USERS = Resource(GVR("user.openshift.io", "v1", "users"), GVK("user.openshift.io", "v1", "User"), namespaced=False)
PATCH = RequestInfo("patch", DEPLOYMENTS, "a", "web", "scale")


def refusal(info, **details):
    return ForbiddenError("no", verb=info.verb, resource=info.subject, namespace=info.namespace, details=details)


# -- the API server, or something else -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "body", "speaks"),
    [
        ("application/json", bytes_of(status(403, "Forbidden")), True),
        ("application/json", b'{"error":"blocked"}', False),
        ("text/html", bytes_of(status(403, "Forbidden")), False),
        ("text/html", b"<html>blocked</html>", False),
    ],
)
def test_only_a_Status_in_JSON_speaks_for_the_API_server(content_type, body, speaks):
    assert (status_of_api_server(content_type, body) is not None) is speaks


# -- authoriser or admission -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["get", "list", "watch"])
def test_no_admission_plugin_sees_a_read(verb):
    assert origin_at_a_glance(RequestInfo(verb, PODS, "a")) == "authorizer"


@pytest.mark.parametrize("verb", ["create", "update", "patch", "delete", "deletecollection"])
def test_who_refused_a_write_cannot_be_told_from_its_verb(verb):
    assert origin_at_a_glance(RequestInfo(verb, PODS, "a")) == "unknown"


@pytest.mark.parametrize(
    ("info", "apply", "expected"),
    [
        (PATCH, False, [Permission("patch", "apps", "deployments", "a", "scale", "web")]),
        (RequestInfo("create", PODS, "a", "x"), False, [Permission("create", "", "pods", "a")]),
        (
            RequestInfo("create", PODS, "a", "x", "eviction"),
            False,
            [Permission("create", "", "pods", "a", "eviction", "x")],
        ),
        (
            RequestInfo("patch", PODS, "a", "x"),
            True,
            [Permission("patch", "", "pods", "a", None, "x"), Permission("create", "", "pods", "a")],
        ),
    ],
)
def test_the_permissions_a_write_needs(info, apply, expected):
    assert list(permissions_in_question(info, apply=apply)) == expected


@pytest.mark.parametrize(
    ("answers", "ready", "asked", "origin"),
    [
        ([True, True], "ready", 2, "admission"),
        ([True, True], "not ready", 2, "admission"),
        ([False], "ready", 1, "authorizer"),
        ([True, False], "ready", 2, "authorizer"),
        ([False], "refused", 1, "authorizer"),
        ([False], "not ready", 1, "unknown"),
        ([ForbiddenError("no reviews")], "ready", 1, "unknown"),
        ([True, TransportError("nobody")], "ready", 2, "unknown"),
    ],
)
def test_reviews_tell_who_refused_a_write(answers, ready, asked, origin):
    reviewed: list[Permission] = []

    async def review(permission):
        answer = answers[len(reviewed)]
        reviewed.append(permission)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def ask_ready():
        return ready

    found = asyncio.run(ask_origin(RequestInfo("patch", PODS, "a", "x"), review, ask_ready, apply=True))

    assert (found, len(reviewed)) == (origin, asked)


# -- impersonation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["users", "groups", "serviceaccounts", "userextras", "uids"])
def test_a_refused_impersonation_is_not_about_the_resource(kind):
    assert is_impersonation(refusal(RequestInfo("list", PODS, "denied"), kind=kind))


@pytest.mark.parametrize(
    ("info", "details"),
    [
        (RequestInfo("list", PODS, "denied"), {"kind": "pods"}),
        (RequestInfo("list", PODS, "denied"), {}),
        (RequestInfo("list", SERVICE_ACCOUNTS), {"kind": "serviceaccounts"}),
        (RequestInfo("get", USERS, None, "bob"), {"group": "user.openshift.io", "kind": "users"}),
    ],
)
def test_a_refusal_of_the_resource_itself_is_no_impersonation(info, details):
    assert not is_impersonation(refusal(info, **details))
