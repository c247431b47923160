"""`scopedcache top`: a running operator, looked at through its health port."""

import contextlib
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from scopedcache.cli.operator_page import OperatorPage
from scopedcache.cli.operator_view import report
from scopedcache.cli.report import Table
from scopedcache.controller.manager.health_server import HealthServer
from scopedcache.sync import Portal

INFORMER = {"kind": "pods", "namespace": "a", "state": "synced", "objects": 3, "events": 10, "relists": 1, "age": 4.2}
SCOPE = {"owner": "Memcached a/m", "namespace": "a", "state": "open", "verdict": "allowed", "kinds": ["Pod"]}
WELL = {
    "leader": {"leading": True},
    "controllers": {"memcached": {"queue": {"ready": 2, "delayed": 1}, "workers": {"busy": 1, "of": 4}}},
    "effective_bound": 10.0,
    "open_watches": 1,
    "totals": {"scopes": 7, "waiting": 0, "informers": 1},
    "snapshot": {"scopes": [SCOPE], "informers": [INFORMER]},
}
LACKING = {**WELL, "reasons": ["may not list pods in namespace b (Forbidden since 2026-01-01T00:00:00Z)"]}


@pytest.fixture
def serving():
    """Return a function that serves a page; what it returns is the address, and what stops it."""
    with contextlib.ExitStack() as stack:

        def served(content):
            running = contextlib.ExitStack()
            portal = running.enter_context(Portal.start(timeout=10.0))
            server = HealthServer("127.0.0.1:0", ready=lambda: True, state=lambda: content)
            running.enter_context(portal.entered(lambda: server))
            stack.push(running)
            return str(server.address), running.close

        yield served


def page(content):
    return OperatorPage({"ready": True, **content})


def test_without_a_terminal_it_is_one_look(command, serving):
    ended = command("top", "--address", serving(WELL)[0])

    assert ended.status == 0
    assert ended.out.splitlines()[:3] == [
        "ready · leads · changes noticed in 10 s",
        "7 scopes · 0 waiting · 1 watches · 3 objects",
        "memcached: 1 of 4 workers busy, 2 queued, 1 delayed",
    ]


def test_a_right_that_is_missing_is_shown_and_is_status_4(command, serving):
    ended = command("top", "--address", serving(LACKING)[0])

    assert (ended.status, ended.out.splitlines()[-1].split()) == (
        4,
        ["list", "pods", "in", "namespace", "b", "2026-01-01T00:00:00Z"],
    )


def test_programs_get_the_whole_page(command, serving):
    ended = command("top", "--address", serving(WELL)[0], "-o", "json")

    assert json.loads(ended.out)["snapshot"] == WELL["snapshot"]


def test_rates_are_between_two_looks():
    later = page({**WELL, "snapshot": {"informers": [{**INFORMER, "events": 40}]}})

    shown = report(later, page(WELL), 2.0)
    assert shown.data["eventsPerSecond"] == 15.0
    assert [block.rows[0][4] for block in shown.blocks if isinstance(block, Table)] == ["15.0"]


def test_an_operator_that_began_anew_has_no_negative_rate():
    later = page({**WELL, "snapshot": {"informers": [{**INFORMER, "events": 1}]}})

    assert report(later, page(WELL), 2.0).data["eventsPerSecond"] == 0.0


def test_how_many_are_not_shown_is_said():
    titles = [block.title for block in report(page(WELL)).blocks if isinstance(block, Table)]

    assert titles == ["Scopes (the first 1 of 7)", "Watches"]


@pytest.mark.parametrize("content", [{}, {"controllers": {"m": {"running": False}}}, {"snapshot": {"scopes": [{}]}}])
def test_a_page_that_tells_little_is_shown_all_the_same(content):
    assert report(page(content)).blocks


def test_another_server_is_one_line(command, cluster):
    ended = command("top", "--address", cluster.url)

    assert (ended.status, ended.out, ended.err.count("\n")) == (3, "", 1)


def test_a_server_that_goes_while_somebody_looks_is_one_line_and_status_3(serving):
    address, stop = serving(WELL)
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    arguments = [sys.executable, "-m", "scopedcache.cli", "top", "--address", address, "--interval", "0.1"]
    environment = {**os.environ, "TERM": "xterm"}
    with subprocess.Popen(arguments, stdin=end, stdout=end, stderr=subprocess.PIPE, env=environment) as process:
        os.close(end)
        shown = read_until(terminal, b"events/s")
        stop()
        drain(terminal)
        errors = process.stderr.read().decode() if process.stderr else ""

    assert b"Memcached a/m" in shown
    assert (process.returncode, errors.count("\n")) == (3, 1)
    assert f"no operator answers at {address}" in errors


def read_until(terminal, words):
    """Return what is shown on a terminal until these words are."""
    shown = b""
    while words not in shown:
        shown += os.read(terminal, 4096)
    return shown


def drain(terminal):
    """Read a terminal until the program has let go of it."""
    with contextlib.suppress(OSError):
        while os.read(terminal, 4096):
            pass
    os.close(terminal)
