"""Rows in virtual time: a pause costs nothing, and what is a process elsewhere is a task that looks like one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scopedcache.testing import EmbeddedCluster
from scopedcache.testing.virtual_time import VirtualTimeLoop
from tests.acceptance.clock import LoopTime, going_by, now, pause
from tests.acceptance.in_process import LOGGERS, Inside, LoopProcess, virtual_loop
from tests.acceptance.program import JSONLog
from tests.acceptance.waiting import Failed, eventually, never

LOGGER = logging.getLogger("scopedcache.rows")


@pytest.fixture
def loop(caplog):
    for name in LOGGERS:
        caplog.set_level(logging.INFO, logger=name)
    with virtual_loop() as found, going_by(LoopTime(found)):
        yield found


def talker(loop: VirtualTimeLoop, log: Path, *words: str) -> LoopProcess:
    """Return one that says a word every second, and then waits until it is stopped."""

    async def main(stop: asyncio.Event, _: Callable[[str], None]) -> None:
        for word in words:
            LOGGER.info(word)
            await asyncio.sleep(1.0)
        await stop.wait()
        LOGGER.info("stopped")

    return LoopProcess("program", main, log, loop)


def test_a_pause_lets_everything_happen_that_is_due_in_it(loop):
    seen: list[object] = []
    for seconds in (1, 2, 4):
        loop.call_later(seconds, seen.append, seconds)
    began = now()
    pause(3.0)
    assert (seen, now() - began) == ([1, 2], 3.0)


def test_a_pause_ends_when_all_that_is_due_at_its_end_has_been_done(loop):
    seen: list[object] = []

    async def two_turns_later() -> None:
        await asyncio.sleep(2.0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        seen.append(True)

    task = loop.create_task(two_turns_later())
    pause(2.0)
    assert seen == [True]
    assert task.done()


def test_what_comes_in_time_is_waited_for_and_measured(loop):
    seen: list[object] = []
    loop.call_later(2.0, seen.append, True)
    took = eventually("it comes", lambda: None if seen else "nothing yet", within=5.0)
    assert took == pytest.approx(2.0, abs=0.1)


def test_what_does_not_come_fails_after_its_time_and_no_later(loop):
    began = now()
    with pytest.raises(Failed, match="not within 300 s; nothing yet"):
        eventually("it comes", lambda: "nothing yet", within=300.0)
    assert now() - began == pytest.approx(300.0, abs=0.2)


def test_what_must_not_come_is_watched_for_the_whole_time(loop):
    seen: list[object] = []
    loop.call_later(59.0, seen.append, True)
    with pytest.raises(Failed, match="after 59"):
        never("it comes", lambda: "it is here" if seen else None, during=60.0)


def test_time_is_the_machines_again_after_the_block():
    with virtual_loop() as loop, going_by(LoopTime(loop)):
        pause(1000.0)
        assert now() == loop.time()
    assert time.monotonic() <= now() <= time.monotonic()


def test_a_program_runs_only_while_rows_pause(loop, tmp_path):
    program = talker(loop, tmp_path / "log", "one", "two")
    program.launch()
    assert JSONLog(tmp_path / "log").events() == []
    pause(0.5)
    assert [line["event"] for line in JSONLog(tmp_path / "log").events()] == ["one"]
    program.stop(grace=5.0)
    assert [line["event"] for line in JSONLog(tmp_path / "log").events()] == ["one", "two", "stopped"]
    assert not program.running


def test_the_lines_of_two_programs_do_not_mix(loop, tmp_path):
    both = [talker(loop, tmp_path / name, name) for name in ("first", "second")]
    for program in both:
        program.launch()
    pause(0.5)
    for program, name in zip(both, ("first", "second"), strict=True):
        program.stop(grace=5.0)
        assert [line["event"] for line in JSONLog(tmp_path / name).events()] == [name, "stopped"]


def test_a_program_begins_a_log_of_its_own(loop, tmp_path):
    (tmp_path / "log").write_text('{"event": "from an older run"}\n')
    program = talker(loop, tmp_path / "log", "one")
    program.launch()
    pause(0.5)
    assert [line["event"] for line in JSONLog(tmp_path / "log").events()] == ["one"]
    program.stop(grace=5.0)


def test_a_program_leaves_nothing_in_the_logging_of_the_process(loop, tmp_path):
    before = [list(logging.getLogger(name).handlers) for name in LOGGERS]
    program = talker(loop, tmp_path / "log", "one")
    program.launch()
    pause(0.5)
    program.stop(grace=5.0)
    assert [list(logging.getLogger(name).handlers) for name in LOGGERS] == before


def test_a_program_may_be_launched_again_and_is_another_one_then(loop, tmp_path):
    program = talker(loop, tmp_path / "log", "one")
    pids = set()
    for _ in range(2):
        program.launch()
        pause(0.5)
        assert program.running
        pids.add(program.pid)
        program.stop(grace=5.0)
    assert len(pids) == 2


def test_a_program_that_swallows_its_cancellation_is_told_and_heard_no_more(loop, tmp_path):
    async def main(_: asyncio.Event, __: Callable[[str], None]) -> None:
        for _turn in range(3):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(100.0)

    before = list(logging.getLogger("scopedcache").handlers)
    program = LoopProcess("program", main, tmp_path / "log", loop)
    program.launch()
    pause(0.1)
    with pytest.raises(Failed, match="was cancelled and goes on"):
        program.stop(grace=5.0)
    assert list(logging.getLogger("scopedcache").handlers) == before


def test_options_that_make_no_sense_are_the_end_of_the_program_not_of_the_rows(loop, tmp_path):
    with EmbeddedCluster.start() as cluster:
        account = cluster.service_account("system", "operator")
        program = Inside(cluster, loop).operator(account, ["--workers=many"], tmp_path / "log")
        program.process.launch()
        pause(0.1)
        assert "ends with status 2" in (program.unexpected_end() or "")
        program.process.stop(grace=1.0)


def test_a_program_that_does_not_stop_is_ended_after_its_grace(loop, tmp_path):
    async def main(_: asyncio.Event, __: Callable[[str], None]) -> None:
        await asyncio.Event().wait()

    program = LoopProcess("program", main, tmp_path / "log", loop)
    program.launch()
    began = now()
    program.stop(grace=5.0)
    assert not program.running
    assert now() - began == pytest.approx(5.0, abs=0.1)


def test_a_program_that_fails_says_why(loop, tmp_path):
    async def main(_: asyncio.Event, __: Callable[[str], None]) -> None:
        raise RuntimeError("no such thing")

    program = LoopProcess("program", main, tmp_path / "log", loop)
    program.launch()
    pause(0.1)
    assert not program.running
    assert "RuntimeError: no such thing" in program.tail()
    program.stop(grace=1.0)
