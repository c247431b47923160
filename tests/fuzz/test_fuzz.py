"""Readers of foreign bytes hold their laws on what was found once, and on some more; `make fuzz` looks longer."""

import pytest

from .run import by_hypothesis
from .targets import CORPUS, TARGETS, corpus


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_kept_in_the_corpus_breaks_nothing(name: str) -> None:
    for data in corpus(name):
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_hundred_variations_break_nothing(name: str) -> None:
    assert by_hypothesis(name, examples=120) is None


def test_every_target_has_a_corpus() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
