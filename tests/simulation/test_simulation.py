"""Whatever happens in whatever order: what is promised holds, to operators that open and to replicas.

Those that declare are in a file of their own, for a file is what a process of the tests takes.
"""

from __future__ import annotations

import pytest

from tests.simulation.run import live

# `python -m tests.simulation` lives through as many as you like.
SEEDS = [*range(14), *(44, 170)]  # the last ones found a defect


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cache_keeps_its_promises_through_half_an_hour_of_trouble(seed: int) -> None:
    live(seed, "opening")


# Each with a cache of its own: they take four times as long.
@pytest.mark.parametrize("seed", range(2))
def test_two_replicas_keep_theirs(seed: int) -> None:
    live(seed, "replicas")
