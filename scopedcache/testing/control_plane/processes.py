"""A process of the control plane: started, paused, killed, restarted; and gone when its parent is gone."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import attrs

from ...errors import ScopedCacheError

TAIL_LINES: Final = 15
PORTS: Final = range(20_000, 32_000)
PR_SET_PDEATHSIG: Final = 1


class ProcessError(ScopedCacheError):
    """A process did not start, or ended by itself; the message carries the last lines of its log.

    Attributes:
        port_clash: True where the log says that an address was already in use: try again with other ports.
    """

    def __init__(self, message: str, *, port_clash: bool = False) -> None:
        super().__init__(message)
        self.port_clash = port_clash


@attrs.define(eq=False, repr=False)
class Process:
    """One program with its log file.

    `ready` is asked until it returns True; what it raises counts as "not yet". Methods block and may be called from
    any thread. The process ends when this interpreter ends, however it ends (Linux; elsewhere at a normal exit).
    """

    name: str
    command: Sequence[str]
    log: Path
    ready: Callable[[], bool] = attrs.field(default=lambda: True, kw_only=True)
    environ: dict[str, str] | None = attrs.field(default=None, kw_only=True)
    on_start: Callable[[], None] = attrs.field(default=lambda: None, kw_only=True)
    starts: int = attrs.field(default=0, init=False)
    paused: bool = attrs.field(default=False, init=False)
    _popen: subprocess.Popen[bytes] | None = attrs.field(default=None, init=False)

    @property
    def running(self) -> bool:
        """Tell whether the process exists; a paused one does."""
        return self._popen is not None and self._popen.poll() is None

    def is_running(self) -> bool:
        """Tell the same, as a function to hand over."""
        return self.running

    @property
    def pid(self) -> int | None:
        """Return the process id while it runs."""
        return self._popen.pid if self._popen is not None and self.running else None

    def start(self, timeout: float = 30.0) -> None:
        """Start it, and wait until it is ready. Does nothing while it runs.

        Raises:
            ProcessError: it ended, or was not ready in time; it is stopped then.
        """
        if not self.running:
            self.launch()
        try:
            self.wait_ready(timeout)
        except BaseException:
            self.stop(grace=0.0)
            raise

    def launch(self) -> None:
        """Start it without waiting."""
        self.on_start()
        with self.log.open("ab") as log:
            self._popen = _launcher.popen(self.command, log.fileno(), self.environ)
        self.starts += 1
        self.paused = False
        _alive.add(self)

    def wait_ready(self, timeout: float = 30.0) -> None:
        """Wait until it is ready. Raise ProcessError if it ends before, or is late."""
        deadline = time.monotonic() + timeout
        while not self._is_ready():
            if self._popen is not None and (code := self._popen.poll()) is not None:
                raise self._failed(f"ended with {code} before it was ready")
            if time.monotonic() > deadline:
                raise self._failed(f"was not ready in {timeout:g} s")
            time.sleep(0.02)

    def stop(self, grace: float = 1.0) -> None:
        """End it: SIGTERM, then SIGKILL after `grace` seconds. Does nothing when it is not running."""
        if self._popen is None:
            return
        self.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(grace)
        self.kill()

    def terminate(self) -> None:
        """Ask it to end (SIGTERM) without waiting; a paused one goes on to do so."""
        self._signal(signal.SIGTERM)
        self.resume()

    def kill(self) -> None:
        """End it at once with SIGKILL, as a crash would."""
        if self._popen is not None:
            self._signal(signal.SIGKILL)
            self._popen.wait()
            self.paused = False
        _alive.discard(self)

    def restart(self, timeout: float = 30.0) -> None:
        """End it and start it again with the same command; return when it is ready."""
        self.stop()
        self.start(timeout)

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open, nothing answers."""
        self._signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        """Let a paused process go on (SIGCONT)."""
        self._signal(signal.SIGCONT)
        self.paused = False

    def tail(self, lines: int = TAIL_LINES) -> str:
        """Return the last lines of the log."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 32_000))
            return b"\n".join(log.read().splitlines()[-lines:]).decode(errors="replace")

    def _is_ready(self) -> bool:
        try:
            return self.ready()
        except Exception:
            return False

    def _signal(self, number: signal.Signals) -> None:
        if self._popen is not None and self._popen.poll() is None:
            self._popen.send_signal(number)

    def _failed(self, what: str) -> ProcessError:
        tail = self.tail()
        return ProcessError(
            f"{self.name} {what}; the end of its log:\n{tail}", port_clash="address already in use" in tail
        )

    def __repr__(self) -> str:
        state = "paused" if self.paused else f"running, pid {self.pid}" if self.running else "not running"
        return f"<Process {self.name}: {state}, started {self.starts}×>"


def stop_together(processes: Iterable[Process], grace: float = 1.0) -> None:
    """End several at once: SIGTERM to all in this order, SIGKILL to what is left after `grace` seconds."""
    running = [process for process in processes if process.running]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + grace
    while any(process.running for process in running) and time.monotonic() < deadline:
        time.sleep(0.01)
    for process in running:
        process.kill()


def free_ports(count: int) -> list[int]:
    """Return TCP ports of 127.0.0.1 that were free a moment ago; another process may take one first.

    Below the range from which outgoing connections take theirs (32768 and up on Linux): a restarted server must find
    its port free again.
    """
    ports: list[int] = []
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            ports.append(port)
        if len(ports) == count:
            return ports
    raise ProcessError("no free port on 127.0.0.1")


class _Launcher:
    """Starts every process from one thread that never ends.

    The kernel sends the parent-death signal when the *thread* that forked ends, not the process: a child started by a
    worker thread of an event loop would die with that loop's executor.
    """

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def popen(self, command: Sequence[str], log: int, environ: dict[str, str] | None) -> subprocess.Popen[bytes]:
        answers: queue.SimpleQueue[subprocess.Popen[bytes] | OSError] = queue.SimpleQueue()

        def order() -> None:
            try:
                answers.put(
                    subprocess.Popen(
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        env=environ,
                        start_new_session=True,  # a Ctrl-C in the terminal is ours to act on
                        preexec_fn=functools.partial(_die_with_parent, os.getpid()) if _libc else None,
                    )
                )
            except OSError as error:
                answers.put(error)

        self._ensure_thread()
        self._orders.put(order)
        answer = answers.get()
        if isinstance(answer, OSError):
            raise ProcessError(f"{Path(command[0]).name} cannot be started: {answer.strerror}") from answer
        return answer

    def _ensure_thread(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._serve, name="control-plane-launcher", daemon=True)
                self._thread.start()

    def _serve(self) -> None:
        while True:
            self._orders.get()()


def _load_libc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    try:
        return ctypes.CDLL(None, use_errno=True)
    except OSError:
        return None


def _die_with_parent(parent: int) -> None:
    # Between fork and exec: nothing here may take a lock or import.
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def _stop_all() -> None:
    for process in list(_alive):
        process.kill()


_libc = _load_libc()
_launcher = _Launcher()
_alive: weakref.WeakSet[Process] = weakref.WeakSet()
atexit.register(_stop_all)
