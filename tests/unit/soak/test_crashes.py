"""Who wrote when one of two should have been silent."""

import pytest

from tests.soak.crashes import second_writers


@pytest.mark.parametrize("logs", [[], [[], []], [["1", "2"], ["3"]], [["3"], [], ["1", "2"]]])
def test_processes_that_write_one_after_the_other_are_fine(logs):
    assert second_writers(logs) is None


def test_a_process_that_writes_again_after_another_one_is_found():
    assert second_writers([["1", "3"], ["2"]]) == "processes [0] wrote again after another one had"
