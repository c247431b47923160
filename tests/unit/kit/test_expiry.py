"""Objects that live for a while."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scopedcache import Object
from scopedcache.kit import expires_in

NOW = datetime(2026, 1, 1, 0, 10, tzinfo=UTC)


def born(at: str | None) -> Object:
    return Object.from_dict({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x", "creationTimestamp": at}})


def test_what_is_left_counts_from_the_creation() -> None:
    assert expires_in(born("2026-01-01T00:00:00Z"), 900, now=NOW) == 300


def test_below_zero_it_is_over() -> None:
    assert expires_in(born("2026-01-01T00:00:00Z"), 60, now=NOW) == -540


def test_what_was_never_created_has_no_age() -> None:
    with pytest.raises(ValueError, match="not created yet"):
        expires_in(born(None), 60)
