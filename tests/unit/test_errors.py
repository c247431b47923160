"""What errors say, and to whom."""

from datetime import UTC, datetime

import pytest

from scopedcache import errors
from scopedcache.errors import (
    AlreadyExistsError,
    APIError,
    CacheError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    ProtocolError,
    ScopedCacheError,
    ServerError,
    TooManyRequestsError,
    TransportError,
)

SINCE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_everything_raised_on_purpose_is_one_family():
    leaves = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert [leaf for leaf in leaves if not issubclass(leaf, ScopedCacheError)] == []


@pytest.mark.parametrize("outside", [CacheError, TransportError, ProtocolError])
def test_what_the_server_did_not_say_is_no_APIError(outside):
    assert not issubclass(outside, APIError)


def test_a_name_that_is_taken_is_a_conflict_too():
    assert issubclass(AlreadyExistsError, ConflictError)


def test_the_message_names_verb_resource_name_and_place():
    error = NotFoundError("not there", status=404, verb="get", resource="pods", namespace="a", name="web-0")
    assert str(error) == 'get pods "web-0" in namespace a: 404 not there'


def test_the_cluster_is_a_place_too():
    error = ServerError(status=500, reason="InternalError", verb="list", resource="nodes")
    assert str(error) == "list nodes at the cluster scope: 500 InternalError"


def test_without_a_request_the_status_and_the_words_remain():
    assert (str(APIError("odd", status=418)), str(APIError(status=418))) == ("418 odd", "418 no message")


def test_a_refusal_names_the_right_that_is_missing_since_when_and_who_refused():
    error = ForbiddenError(
        "User cannot", by="authorizer", since=SINCE, verb="watch", resource="pods", namespace="denied"
    )
    assert str(error) == "may not watch pods in namespace denied (Forbidden since 2026-01-02T03:04:05Z, refused by the authorizer)"  # fmt: skip  # noqa: E501


def test_a_refusal_by_admission_keeps_the_words_of_who_refused():
    error = ForbiddenError("exceeded quota", by="admission", since=SINCE, verb="create", resource="pods", namespace="a")
    assert str(error).endswith("refused by the admission): exceeded quota")


def test_a_refusal_is_403_and_starts_now_unless_said_otherwise():
    error = ForbiddenError("no", verb="list", resource="pods")
    assert (error.status, error.reason, error.by, error.cached) == (403, "Forbidden", "unknown", False)
    assert (datetime.now(UTC) - error.since).total_seconds() < 60


def test_pauses_the_server_asked_for_are_kept():
    assert TooManyRequestsError(status=429).retry_after == 1.0
    assert TooManyRequestsError(status=429, retry_after=7.0).retry_after == 7.0
    assert ServerError(status=503).retry_after is None


def test_details_are_never_None():
    assert (APIError(details=None).details, APIError(details={"kind": "pods"}).details) == ({}, {"kind": "pods"})
