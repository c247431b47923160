"""Somebody else's program as a judge: asked once for each text, and quoted."""

import asyncio
import sys
from pathlib import Path

import pytest

from scopedcache.kit import Checker

JUDGE = """
import sys
text = sys.stdin.read()
open(sys.argv[1], "a").write("x")
if "wrong" in text:
    print("line 1:\\n  it says wrong")
    sys.exit(3)
if "silent" in text:
    sys.exit(4)
"""


@pytest.fixture
def judged(tmp_path):
    return tmp_path / "judged"


@pytest.fixture
def checker(tmp_path, judged):
    judge = tmp_path / "judge.py"
    judge.write_text(JUDGE)
    return Checker(sys.executable, str(judge), str(judged))


# A process of its own takes the machine's time, whatever the loop's is.
def complaints(checker, *texts):
    async def ask():
        return [await checker.complaint(text) for text in texts]

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(ask())


def test_nothing_is_said_of_what_is_right(checker):
    assert complaints(checker, "right") == [""]


def test_what_is_wrong_is_told_in_the_programs_words_in_one_line(checker):
    assert complaints(checker, "wrong") == ["line 1: it says wrong"]


def test_a_program_without_words_is_told_by_its_status(checker):
    assert complaints(checker, "silent") == ["it ended with status 4"]


def test_each_text_is_judged_once(checker, judged):
    complaints(checker, "right", "wrong", "right", "wrong")

    assert judged.read_text() == "xx"


def test_a_program_that_is_not_there_is_told_at_once():
    with pytest.raises(ValueError, match="/nowhere/promtool is not there"):
        Checker("/nowhere/promtool", "check")


def test_a_program_that_went_away_is_an_error_and_no_verdict(tmp_path):
    program = tmp_path / "judge"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    checker = Checker(str(program))
    Path(program).unlink()

    with pytest.raises(OSError, match="No such file"):
        complaints(checker, "right")
