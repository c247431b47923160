"""Processes: started and ended, with the end of their log where that fails."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from scopedcache.testing import wait_for
from scopedcache.testing.control_plane.processes import Process, ProcessError, free_ports, stop_together


def python(folder: Path, code: str, **options: object) -> Process:
    return Process("program", [sys.executable, "-c", code], folder / "program.log", **options)  # type: ignore[arg-type]


def test_a_process_that_ends_early_fails_with_the_end_of_its_log(tmp_path: Path) -> None:
    process = python(tmp_path, "print('address already in use'); raise SystemExit(3)", ready=lambda: False)
    with pytest.raises(ProcessError, match="program ended with 3 before it was ready") as raised:
        process.start()
    assert raised.value.port_clash
    assert str(raised.value).endswith("address already in use")


def test_a_process_that_is_late_is_ended(tmp_path: Path) -> None:
    process = python(tmp_path, "import time; time.sleep(30)", ready=lambda: False)
    with pytest.raises(ProcessError, match=r"was not ready in 0\.1 s") as raised:
        process.start(timeout=0.1)
    assert not raised.value.port_clash
    assert not process.running


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="no-such-program cannot be started"):
        Process("program", ["no-such-program"], tmp_path / "log").start()


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(30)"
    process = python(tmp_path, code, ready=lambda: (tmp_path / "program.log").read_text() == "deaf\n")
    process.start()
    stop_together([process], grace=0.05)
    assert repr(process) == "<Process program: not running, started 1×>"


def test_a_paused_process_can_be_stopped(tmp_path: Path) -> None:
    process = telling(tmp_path, signal.SIGTERM)
    process.start()
    process.pause()
    assert "paused" in repr(process)
    process.stop(grace=30.0)
    assert not process.running
    assert process.tail().splitlines() == ["ready", "told"]  # asked to end, and not killed


def test_a_process_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    process = telling(tmp_path, signal.SIGUSR1)
    thread = threading.Thread(target=process.start)
    thread.start()
    thread.join()
    wait_for(lambda: not Path(f"/proc/self/task/{thread.native_id}").exists(), what="the thread to be gone")
    assert process.pid is not None
    os.kill(process.pid, signal.SIGUSR1)
    wait_for(lambda: not process.running, what="its end")
    assert process.tail().splitlines() == ["ready", "told"]  # it did what it was asked to, and was not killed


def telling(folder: Path, number: signal.Signals) -> Process:
    """Return a process that says so when it is sent a signal, and ends."""
    code = f"import signal; signal.signal({int(number)}, lambda *_: exit('told'))"
    code += "; print('ready', flush=True); signal.pause()"
    return python(folder, code, ready=lambda: (folder / "program.log").read_text() == "ready\n")


def test_free_ports_differ() -> None:
    assert len(set(free_ports(10))) == 10
