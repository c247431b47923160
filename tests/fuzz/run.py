"""Fuzzing by hypothesis: pieces of what is kept in the corpus, put together anew, and any bytes between them."""

from __future__ import annotations

import time

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .targets import TARGETS, corpus

ROUND_EXAMPLES = 500


def by_hypothesis(name: str, *, seconds: float = 0.0, examples: int = ROUND_EXAMPLES) -> bytes | None:
    """Return the smallest bytes found that break the law of a target; None where none were."""
    target, kept = TARGETS[name], corpus(name)
    piece = st.sampled_from(kept).flatmap(
        lambda whole: st.tuples(st.integers(0, len(whole)), st.integers(0, len(whole))).map(
            lambda ends: whole[min(ends) : max(ends)]
        )
    )
    mixed = st.lists(st.one_of(piece, st.binary(max_size=4)), max_size=6).map(b"".join)
    edited = st.tuples(st.sampled_from(kept), st.integers(0, 4096), st.binary(max_size=3), st.integers(0, 3)).map(edit)
    broken: list[bytes] = []

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=seconds == 0.0,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(mixed, edited))
    def hold(data: bytes) -> None:
        try:
            target(data)
        except Exception:
            broken.append(data)
            raise

    end = time.monotonic() + seconds
    while True:
        try:
            hold()
        except Exception:  # whatever it was, hypothesis has made it small
            return min(broken, key=len)
        if time.monotonic() >= end:
            return None


def edit(what: tuple[bytes, int, bytes, int]) -> bytes:
    """Return bytes of which some are replaced."""
    whole, at, put, gone = what
    at = min(at, len(whole))
    return whole[:at] + put + whole[at + gone :]
