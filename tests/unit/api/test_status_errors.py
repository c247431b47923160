"""What an answer means: every row of what API servers, admission and proxies are known to say."""

import json

import pytest

from scopedcache.api.request_info import RequestInfo
from scopedcache.api.status_errors import error_from_answer, error_from_event
from scopedcache.api.watch.event_decoder import decode_error
from scopedcache.errors import (
    AlreadyExistsError,
    APIError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    ProtocolError,
    ServerError,
    TooManyRequestsError,
    TransportError,
    UnauthorizedError,
)
from scopedcache.kinds import GVK, GVR, Resource

PODS = Resource(GVR("", "v1", "pods"), GVK("", "v1", "Pod"), namespaced=True)
DEPLOYMENTS = Resource(GVR("apps", "v1", "deployments"), GVK("apps", "v1", "Deployment"), namespaced=True)
ROLES = Resource(
    GVR("rbac.authorization.k8s.io", "v1", "clusterroles"),
    GVK("rbac.authorization.k8s.io", "v1", "ClusterRole"),
    namespaced=False,
)
LIST = RequestInfo("list", PODS, "denied")


def status(code, reason, message="", details=None):
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    return json.dumps({**body, "reason": reason, "code": code, **({"details": details} if details else {})}).encode()


def answered(code, reason="", message="", details=None, *, call=LIST, headers=None):
    return error_from_answer(call, code, "application/json", headers or {}, status(code, reason, message, details))


# -- by status -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (400, "BadRequest", InvalidError),
        (401, "Unauthorized", UnauthorizedError),
        (403, "Forbidden", ForbiddenError),
        (404, "NotFound", NotFoundError),
        (405, "MethodNotAllowed", APIError),
        (406, "NotAcceptable", APIError),
        (409, "Conflict", ConflictError),
        (409, "AlreadyExists", AlreadyExistsError),
        (410, "Expired", GoneError),
        (410, "Gone", GoneError),
        (415, "UnsupportedMediaType", APIError),
        (422, "Invalid", InvalidError),
        (429, "TooManyRequests", TooManyRequestsError),
        (500, "InternalError", ServerError),
        (503, "ServiceUnavailable", ServerError),
        (504, "Timeout", ServerError),
        (599, "", ServerError),
    ],
)
def test_a_status_becomes_its_error(code, reason, expected):
    error = answered(code, reason, "words")
    assert type(error) is expected
    assert isinstance(error, APIError)
    assert (error.status, error.reason, error.message) == (code, reason, "words")


def test_an_error_names_the_request_and_not_what_the_body_says():
    """Namespace, verb and subresource stand only in the server's message, and the message is never read for logic."""
    call = RequestInfo("update", DEPLOYMENTS, "a", "web", "scale")
    error = answered(403, "Forbidden", "no", {"group": "apps", "kind": "deployments", "name": "web"}, call=call)
    assert isinstance(error, ForbiddenError)
    assert (error.verb, error.resource, error.namespace, error.name) == ("update", "deployments.apps/scale", "a", "web")
    assert error.details == {"group": "apps", "kind": "deployments", "name": "web"}


@pytest.mark.parametrize("code", [200, 400, 404, 409, 410, 429, 500, 504])
@pytest.mark.parametrize("reason", ["Expired", "Gone"])
def test_what_is_too_old_is_gone_whatever_the_code_beside_it(code, reason):
    assert type(answered(code, reason, "too old resource version")) is GoneError


@pytest.mark.parametrize(("code", "expected"), [(401, UnauthorizedError), (403, ForbiddenError)])
def test_what_is_said_about_rights_is_said_by_the_code(code, expected):
    assert type(answered(code, "Expired", "no")) is expected


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"code": 410}, GoneError),
        ({"code": 504, "reason": "Expired"}, GoneError),
        ({"reason": "Expired"}, GoneError),
        ({"code": None, "reason": "Gone"}, GoneError),
        ({"code": "410", "reason": None}, GoneError),
        ({"code": 0, "reason": "TooManyRequests"}, TooManyRequestsError),
        ({"reason": "Forbidden"}, ForbiddenError),
        ({"reason": "Unauthorized"}, UnauthorizedError),
        ({"reason": "NotFound"}, NotFoundError),
        ({"code": 200, "reason": "InternalError"}, ServerError),
        ({"code": 302}, ServerError),
        ({"code": -1}, ServerError),
        ({"code": 400}, InvalidError),
        ({"message": None, "details": None, "metadata": None, "status": None, "kind": None}, ServerError),
        ({"details": ["odd"]}, ServerError),
        ({}, ServerError),
    ],
)
def test_an_ERROR_event_is_understood_whatever_it_leaves_out(event, expected):
    read = decode_error(json.dumps({"type": "ERROR", "object": event}).encode())
    assert type(error_from_event(LIST, read)) is expected


@pytest.mark.parametrize(
    "causes", [None, 7, "text", {}, [None, 7, "text"], [None, {"field": None, "reason": "ResourceVersionTooLarge"}]]
)
def test_causes_of_any_shape_are_those_that_are_causes(causes):
    error = answered(504, "Timeout", "", {"causes": causes, "x": 1})
    assert [cause["reason"] for cause in error.causes] == (
        ["ResourceVersionTooLarge"] if isinstance(causes, list) and causes[-1:] != ["text"] else []
    )


def test_a_Status_with_nulls_is_a_Status():
    body = b'{"kind":"Status","metadata":null,"status":null,"message":null,"reason":null,"code":null,"details":null}'
    assert type(error_from_answer(LIST, 403, "application/json", {}, body)) is ForbiddenError


# -- bodies that are no Status ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "content_type", "body"),
    [
        (403, "text/html", b"<html><h1>Forbidden by the gateway</h1></html>"),
        (403, "text/plain", b"denied"),
        (403, "application/json", b'{"error":"policy"}'),
        (403, "application/json", b"not even json"),
        (403, "", b""),
        (403, "text/html", status(403, "Forbidden", "a Status, but not as JSON")),
    ],
)
def test_a_refusal_by_something_else_says_nothing_about_rights(code, content_type, body):
    error = error_from_answer(LIST, code, content_type, {}, body)
    assert type(error) is TransportError
    assert str(error).startswith(f"{code} from something that is not the API server")


@pytest.mark.parametrize(
    ("code", "content_type", "body", "expected", "message"),
    [
        (404, "text/plain", b"404 page not found\n", NotFoundError, "404 page not found"),
        (503, "text/plain", b"service unavailable", ServerError, "service unavailable"),
        (500, "text/plain", b"Internal Server Error: authorizer down", ServerError, "authorizer down"),
        (429, "text/plain", b"Too many requests, please try again later.", TooManyRequestsError, "please try again"),
        (
            502,
            "text/html",
            b"<html>bad gateway</html>",
            ServerError,
            "not JSON but text/html: <html>bad gateway</html>",
        ),
        (500, "", b"", ServerError, ""),
        (500, "text/plain", b"\xff\xfe" + b"x" * 5000, ServerError, "xxx"),
    ],
)
def test_plain_text_is_typed_by_its_status_and_quoted_in_short(code, content_type, body, expected, message):
    error = error_from_answer(LIST, code, content_type, {}, body)
    assert type(error) is expected
    assert isinstance(error, APIError)
    assert message in error.message
    assert len(error.message) < 400


@pytest.mark.parametrize("code", [301, 302, 307])
def test_a_redirect_is_not_the_answer_of_an_API_server(code):
    error = error_from_answer(LIST, code, "text/html", {"Location": "https://login"}, b"")
    assert type(error) is ProtocolError
    assert "redirect" in str(error)


# -- 403s and what they are about ------------------------------------------------------------------------------------


def test_anonymous_means_that_no_credentials_reached_the_server():
    error = answered(403, "Forbidden", 'pods is forbidden: User "system:anonymous" cannot list resource "pods"')
    assert type(error) is UnauthorizedError
    assert error.status == 401


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html", b"<html>log in</html>"),
        ("application/json", b'{"type": "error", "status": "401", "message": "must authenticate"}'),
        ("application/json", b'{"code": "Unauthorized", "status": 401}'),
        ("application/json", b"{"),
        ("text/plain", b""),
        ("application/octet-stream", b"\xff"),
    ],
)
def test_a_401_is_a_401_whatever_its_body(content_type, body):
    error = error_from_answer(LIST, 401, content_type, {}, body)
    assert isinstance(error, UnauthorizedError)
    assert (error.status, error.verb) == (401, "list")


def test_being_refused_the_anonymous_role_is_an_ordinary_refusal():
    message = 'clusterroles "system:anonymous" is forbidden: User "bob" cannot get resource "clusterroles"'
    assert (
        type(answered(403, "Forbidden", message, call=RequestInfo("get", ROLES, None, "system:anonymous")))
        is ForbiddenError
    )


def test_a_namespace_that_ends_refuses_creates_with_a_cause():
    causes = [
        {"reason": "NamespaceTerminating", "message": "namespace a is being terminated", "field": "metadata.namespace"}
    ]
    error = answered(403, "Forbidden", "is being terminated", {"kind": "pods", "causes": causes})
    assert isinstance(error, ForbiddenError)
    assert error.details["causes"][0]["reason"] == "NamespaceTerminating"
    assert error.by == "unknown"


# -- pauses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "details", "expected"),
    [
        ({"Retry-After": "7"}, None, 7.0),
        ({}, {"retryAfterSeconds": 3}, 3.0),
        ({"Retry-After": "7"}, {"retryAfterSeconds": 3}, 7.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, {"retryAfterSeconds": 3}, 3.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None, None),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, None, 30.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, None, 30.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT", "Date": "Wed, 21 Oct 2026 07:28:30 GMT"}, None, None),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT", "Date": "nonsense"}, None, None),
        ({"Retry-After": "soon", "Date": "Wed, 21 Oct 2026 07:28:30 GMT"}, None, None),
        ({"Retry-After": "2.5"}, None, 2.5),
        ({"Retry-After": " 7 "}, None, 7.0),
        ({"Retry-After": ""}, None, None),
        ({"Retry-After": "9" * 400}, None, None),
        ({}, {"retryAfterSeconds": 10**400}, None),
        ({}, {"retryAfterSeconds": None}, None),
        ({}, {"retryAfterSeconds": "4"}, 4.0),
        ({"Retry-After": "0"}, None, None),
        ({"Retry-After": "-5"}, None, None),
        ({"Retry-After": "nan"}, None, None),
        ({"Retry-After": "inf"}, None, None),
        ({}, {"retryAfterSeconds": {"odd": 1}}, None),
        ({}, None, None),
    ],
)
def test_the_pause_a_server_asks_for(headers, details, expected):
    busy = answered(429, "TooManyRequests", "", details, headers=headers)
    failing = answered(503, "ServiceUnavailable", "", details, headers=headers)
    assert isinstance(busy, TooManyRequestsError)
    assert isinstance(failing, ServerError)
    assert (busy.retry_after, failing.retry_after) == (expected or 1.0, expected)


def test_a_version_from_the_future_keeps_its_cause():
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    error = answered(504, "Timeout", "Too large resource version: 99", {"causes": causes, "retryAfterSeconds": 1})
    assert isinstance(error, ServerError)
    assert (error.details["causes"], error.retry_after) == (causes, 1.0)
