"""Whatever happens in whatever order: what is promised holds."""

from __future__ import annotations

import pytest

from tests.simulation.run import SETTINGS, live

# `python -m tests.simulation` lives through as many as you like.
SEEDS = [*range(12), *(44, 170)]  # the last ones found a defect


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_cache_keeps_its_promises_through_half_an_hour_of_trouble(setting: str, seed: int) -> None:
    live(seed, setting)
