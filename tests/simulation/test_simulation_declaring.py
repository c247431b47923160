"""Whatever happens in whatever order: what is promised holds, to operators that declare what they own."""

from __future__ import annotations

import pytest

from tests.simulation.run import live
from tests.simulation.test_simulation import SEEDS


@pytest.mark.parametrize("setting", ["declaring", "in namespaces"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_controller_keeps_its_promises_through_half_an_hour_of_trouble(seed: int, setting: str) -> None:
    live(seed, setting)
