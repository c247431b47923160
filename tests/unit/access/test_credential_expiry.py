"""When credentials count as expired."""

from __future__ import annotations

import pytest

from scopedcache.access.credential_expiry import CredentialExpiry
from scopedcache.errors import (
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    ScopedCacheError,
    ServerError,
    TooManyRequestsError,
    TransportError,
    UnauthorizedError,
)

BOUND = 7.5


def refused_at(now: float) -> CredentialExpiry:
    expiry = CredentialExpiry()
    expiry.observe(UnauthorizedError(status=401), now)
    return expiry


def test_the_first_401_begins_a_doubt_and_the_next_ones_do_not_begin_it_anew() -> None:
    expiry = CredentialExpiry()

    first = [expiry.observe(UnauthorizedError(status=401), now) for now in (10.0, 12.0)]

    assert first == [True, False]
    assert expiry.in_doubt
    assert expiry.seconds_left(12.0, BOUND) == 10.0 + BOUND - 12.0


def test_a_doubt_that_lasted_for_the_bound_leaves_no_time() -> None:
    expiry = refused_at(10.0)

    assert [expiry.seconds_left(now, BOUND) for now in (10.0 + BOUND, 1000.0)] == [0.0, 0.0]


@pytest.mark.parametrize(
    "error", [None, ForbiddenError(), NotFoundError(), ConflictError(), GoneError(), InvalidError()]
)
def test_what_only_a_known_user_is_told_ends_the_doubt(error: ScopedCacheError | None) -> None:
    expiry = refused_at(10.0)

    expiry.observe(error, 12.0)

    assert not expiry.in_doubt
    assert expiry.seconds_left(100.0, BOUND) == BOUND


@pytest.mark.parametrize("error", [TransportError(), ServerError(status=500), TooManyRequestsError(status=429)])
def test_what_anybody_is_told_neither_begins_nor_ends_it(error: ScopedCacheError) -> None:
    doubted, trusted = refused_at(10.0), CredentialExpiry()

    begun = [expiry.observe(error, 12.0) for expiry in (doubted, trusted)]

    assert begun == [False, False]
    assert (doubted.in_doubt, trusted.in_doubt) == (True, False)
