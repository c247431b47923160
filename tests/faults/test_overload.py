"""Overload, small enough for every run and without the machine's time: nothing is lost."""

from __future__ import annotations

import pytest

from . import steps
from .overload import Figure, denied, flooded, listed, opened


@pytest.mark.parametrize(
    "load",
    [
        lambda: flooded(events=5_000, objects=100),
        lambda: listed(objects=5_000),
        lambda: opened(scopes=300, places=3),
        lambda: denied(owners=300),
    ],
    ids=["events", "objects", "scopes", "denials"],
)
def test_nothing_is_lost(load) -> None:  # type: ignore[no-untyped-def]
    figure: Figure = steps.run(load())

    assert figure.lost == 0
