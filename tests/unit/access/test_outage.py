"""Whether the server is away, and which answer says that it is back."""

from __future__ import annotations

import pytest

from scopedcache.access.outage import Outage
from scopedcache.errors import ForbiddenError, NotFoundError, ScopedCacheError, ServerError, TransportError

REFUSED = TransportError("connection refused")
LOST = TransportError("connection lost", connected=True)
FAILED = ServerError("down", status=503)


@pytest.mark.parametrize(
    ("error", "review", "away"),
    [
        (REFUSED, False, True),
        (REFUSED, True, True),
        (LOST, False, False),
        (LOST, True, True),
        (FAILED, False, False),
        (FAILED, True, True),
        (ForbiddenError("no"), True, False),
        (NotFoundError("no", status=404), False, False),
        (None, True, False),
    ],
)
def test_what_says_that_the_server_is_away(error: ScopedCacheError | None, review: bool, away: bool) -> None:
    outage = Outage()
    outage.observe(error, review=review)

    assert outage.away is away


def test_the_first_good_answer_ends_it_once() -> None:
    outage = Outage()
    outage.observe(REFUSED, review=False)

    told = [outage.observe(None, review=review) for review in (True, False, True)]

    assert (told, outage.ended, outage.away) == ([True, False, False], 1, False)


@pytest.mark.parametrize("error", [REFUSED, LOST, FAILED, ForbiddenError("starting")])
def test_no_error_ends_it(error: ScopedCacheError) -> None:
    outage = Outage()
    outage.observe(REFUSED, review=True)

    told = outage.observe(error, review=True)

    assert (told, outage.away) == (False, True)
