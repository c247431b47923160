"""Whatever happens in whatever order: what is promised holds."""

from __future__ import annotations

import pytest

from tests.simulation.run import SETTINGS, live

# `python -m tests.simulation` lives through as many as you like.
SEEDS = [*range(14), *(44, 170)]  # the last ones found a defect
# Two replicas, each with a cache of its own, take four times as long.
LIVES = [(setting, seed) for setting in SETTINGS for seed in (range(2) if setting == "replicas" else SEEDS)]


@pytest.mark.parametrize(("setting", "seed"), LIVES)
def test_a_cache_keeps_its_promises_through_half_an_hour_of_trouble(setting: str, seed: int) -> None:
    live(seed, setting)
