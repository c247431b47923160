"""What the end of one of our own requests says about the permission it needed."""

from __future__ import annotations

import pytest

from scopedcache.access.call_signals import is_doubtful, needed_permission, signal_of
from scopedcache.api.permission import Permission
from scopedcache.api.request_info import RequestInfo
from scopedcache.errors import ForbiddenError, NotFoundError, ScopedCacheError, ServerError, UnauthorizedError
from scopedcache.kinds import GVK, GVR, Resource

PODS = Resource(GVR("", "v1", "pods"), GVK("", "v1", "Pod"), namespaced=True)
REVIEWS = Resource(
    GVR("authorization.k8s.io", "v1", "selfsubjectrulesreviews"),
    GVK("authorization.k8s.io", "v1", "SelfSubjectRulesReview"),
    namespaced=False,
)
LIST = RequestInfo("list", PODS, "a")
GET = RequestInfo("get", PODS, "a", "one")
BY_AUTHORIZER = ForbiddenError(by="authorizer", resource="pods")
BY_ADMISSION = ForbiddenError(by="admission", resource="pods")
IMPERSONATION = ForbiddenError(by="authorizer", resource="pods", details={"kind": "users"})


@pytest.mark.parametrize(
    ("info", "error", "signal", "doubtful"),
    [
        (LIST, None, "done", False),
        (LIST, BY_AUTHORIZER, "refused", True),
        (GET, BY_AUTHORIZER, "refused", True),
        (LIST, BY_ADMISSION, None, True),
        (LIST, IMPERSONATION, None, False),
        (LIST, NotFoundError(status=404), "missing", False),
        (GET, NotFoundError(status=404), None, False),  # an object that is not there
        (LIST, ServerError(status=500), None, False),
        (LIST, UnauthorizedError(status=401), None, False),
        (RequestInfo("create", REVIEWS), BY_AUTHORIZER, None, False),
    ],
)
def test_an_answer_says_what_it_says_about_the_permission_and_no_more(
    info: RequestInfo, error: ScopedCacheError | None, signal: str | None, doubtful: bool
) -> None:
    assert (signal_of(info, error), is_doubtful(info, error)) == (signal, doubtful)


def test_the_permission_is_that_of_the_subresource_and_the_name() -> None:
    scaling = RequestInfo("update", PODS, "a", "one", "scale")

    assert needed_permission(scaling) == Permission("update", "", "pods", "a", "scale", "one")
