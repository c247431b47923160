"""Credentials from an exec plugin: a program that prints an ExecCredential."""

import asyncio
import contextlib
import json
import os
import pty
import sys
import textwrap
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from scopedcache.api.configuration import RELOAD_PAUSE_SECONDS, load
from scopedcache.api.identity.exec_credential import credential_in, exec_info
from scopedcache.api.identity.exec_plugin import OUTPUT_LIMIT_BYTES, TIME_LIMIT_SECONDS, ExecSource
from scopedcache.api.identity.rest_config import Endpoint, ExecPlugin, Pem
from scopedcache.api.transport import REQUEST_TIMEOUT_SECONDS
from scopedcache.errors import ConfigurationError
from scopedcache.event_logger import event_of
from scopedcache.testing import eventually

V1 = "client.authentication.k8s.io/v1"
V1BETA1 = "client.authentication.k8s.io/v1beta1"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEAD = f"import json, os, sys, pathlib, time\nV1 = {V1!r}\n"
COUNTING = """
calls = pathlib.Path(__file__).with_suffix(".calls")
number = len(calls.read_text()) + 1 if calls.exists() else 1
calls.write_text("." * number)
"""


def printing(status, *, version=V1, kind="ExecCredential"):
    return f"print({json.dumps(json.dumps({'apiVersion': version, 'kind': kind, 'status': status}))})"


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Plugins:
    """Writes plugins, and kubeconfigs that name them."""

    def __init__(self, folder):
        self.folder = folder

    def write(self, body, name="plugin"):
        path = self.folder / name
        path.write_text(f"#!{sys.executable}\n{HEAD}{textwrap.dedent(body)}")
        path.chmod(0o755)
        return path

    def calls(self, name="plugin"):
        file = (self.folder / name).with_suffix(".calls")
        return len(file.read_text()) if file.exists() else 0

    def kubeconfig(self, command, cluster=None, user=None, **more):
        run = {"apiVersion": V1, "command": str(command), "interactiveMode": "Never", **more}
        cluster = {"server": "http://127.0.0.1:1", **(cluster or {})}
        document = {
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"exec": run, **(user or {})}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        path = self.folder / "kubeconfig"
        path.write_text(json.dumps(document))
        return path

    def configured(self, body, **more):
        return load(self.kubeconfig(self.write(body), **more))


@pytest.fixture
def plugins(tmp_path):
    return Plugins(tmp_path)


# -- what it is told -------------------------------------------------------------------------------------------------


async def test_the_token_of_a_plugin_is_the_header(plugins):
    assert await plugins.configured(printing({"token": "t"})).authorization() == "Bearer t"


async def test_a_plugin_is_not_run_before_somebody_asks(plugins):
    plugins.configured(COUNTING + printing({"token": "t"}))
    assert plugins.calls() == 0


async def test_arguments_and_environment_are_the_plugins_own_before_ours(plugins, monkeypatch):
    monkeypatch.setenv("A", "inherited")
    monkeypatch.setenv("B", "inherited")
    body = """
    told = "-".join([*sys.argv[1:], os.environ["A"], os.environ["B"]])
    print(json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": {"token": told}}))
    """
    env = [{"name": "A", "value": "own"}, {"name": "EMPTY", "value": None}]
    found = plugins.configured(body, args=["one", "two words"], env=env)
    assert await found.authorization() == "Bearer one-two words-own-inherited"


async def test_a_path_starts_from_the_folder_of_its_kubeconfig_and_a_bare_name_is_looked_up(plugins, monkeypatch):
    (plugins.folder / "bin").mkdir()
    plugins.write(printing({"token": "by-path"}), "bin/tool")
    monkeypatch.chdir("/")
    by_path = await load(plugins.kubeconfig("bin/tool")).authorization()
    monkeypatch.setenv("PATH", f"{plugins.folder / 'bin'}:{os.environ['PATH']}")
    assert (by_path, await load(plugins.kubeconfig("tool")).authorization()) == ("Bearer by-path", "Bearer by-path")


async def test_a_bare_name_is_not_found_in_the_working_directory(plugins, monkeypatch):
    plugins.write(printing({"token": "trap"}), "tool")
    monkeypatch.chdir(plugins.folder)
    monkeypatch.setenv("PATH", f":.:{os.environ['PATH']}")
    with pytest.raises(ConfigurationError, match="the exec plugin 'tool' cannot be run: it is not in PATH"):
        await load(plugins.kubeconfig("tool")).authorization()


def test_a_plugin_is_told_its_cluster_only_where_it_asks():
    endpoint = Endpoint("https://kube:6443", Pem(data=b"CA"), server_name="name", proxy="http://p:1", verify=False)
    asking = ExecPlugin("x", V1, "Never", provide_cluster_info=True, cluster_config={"audience": "a"})
    silent = ExecPlugin("x", V1BETA1, "Never")
    told = [json.loads(exec_info(plugin, endpoint, b"CA", interactive=False)) for plugin in (asking, silent)]
    assert told == [
        {
            "kind": "ExecCredential",
            "apiVersion": V1,
            "spec": {
                "interactive": False,
                "cluster": {
                    "server": "https://kube:6443",
                    "tls-server-name": "name",
                    "insecure-skip-tls-verify": True,
                    "certificate-authority-data": "Q0E=",
                    "proxy-url": "http://p:1",
                    "config": {"audience": "a"},
                },
            },
        },
        {"kind": "ExecCredential", "apiVersion": V1BETA1, "spec": {"interactive": False}},
    ]


async def test_what_it_is_told_arrives(plugins):
    body = """
    told = json.loads(os.environ["KUBERNETES_EXEC_INFO"])["spec"]["cluster"]
    token = told["server"] + " " + told["config"]["a"]
    print(json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": {"token": token}}))
    """
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"a": "b"}}
    found = plugins.configured(body, provideClusterInfo=True, cluster={"extensions": [extension]})
    assert await found.authorization() == "Bearer http://127.0.0.1:1 b"


# -- what it may print -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [V1, V1BETA1])
async def test_both_versions_are_spoken(plugins, version):
    found = plugins.configured(printing({"token": "t"}, version=version), apiVersion=version)
    assert await found.authorization() == "Bearer t"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("print('Logging in …')", "printed no ExecCredential"),
        ("", "printed no ExecCredential"),
        ("print('[]')", "printed no ExecCredential"),
        ('print(\'{"status": {"token": 5}}\')', "printed no ExecCredential"),
        (printing({}), "printed neither a token nor a client certificate"),
        (printing(None), "printed neither a token nor a client certificate"),
        (printing({"token": None}), "printed neither a token nor a client certificate"),
        (printing({"token": ""}), "printed neither a token nor a client certificate"),
        (printing({"token": "a\nb"}), "printed a token with a line break"),
        (printing({"clientCertificateData": "x"}), "printed a client certificate without its key"),
        (printing({"clientKeyData": "x", "token": "t"}), "printed a client certificate without its key"),
        (printing({"clientCertificateData": "x", "clientKeyData": "y"}), "printed no usable client certificate"),
        (printing({"token": "t"}, version=V1BETA1), "printed another kind or version"),
        (printing({"token": "t"}, kind="Pod"), "printed another kind or version"),
        (printing({"token": "t", "expirationTimestamp": "soon"}), "printed an expirationTimestamp that is no time"),
    ],
)
async def test_what_is_no_credential_is_named_and_not_quoted(plugins, body, words):
    with pytest.raises(ConfigurationError, match=rf"the exec plugin '{plugins.folder}/plugin' {words}"):
        await plugins.configured(body).authorization()


async def test_a_plugin_that_prints_without_end_is_ended(plugins):
    with pytest.raises(ConfigurationError, match=f"printed more than {OUTPUT_LIMIT_BYTES} bytes"):
        await plugins.configured("while True: print('x' * 4096)").authorization()


# -- how it fails ----------------------------------------------------------------------------------------------------


async def test_a_plugin_that_fails_is_named_with_its_words_in_one_line(plugins):
    body = "sys.exit('\\x1b[31mno session\\x1b[0m\\nrun login')"
    with pytest.raises(ConfigurationError) as caught:
        await plugins.configured(body, installHint="Install it\nfirst.").authorization()
    assert str(caught.value) == (
        f"the exec plugin '{plugins.folder}/plugin' ended with exit code 1: no session run login (Install it first.)"
    )


async def test_a_plugin_that_is_not_there_is_named_with_the_hint(plugins):
    for command in ("no-such-tool", "./no-such-tool"):
        with pytest.raises(ConfigurationError, match=r"no-such-tool' cannot be run: .*; Get it from example\.com"):
            await load(plugins.kubeconfig(command, installHint="Get it from example.com")).authorization()


async def test_a_plugin_that_is_no_program_is_named(plugins):
    (plugins.folder / "text").write_text("hello")
    with pytest.raises(ConfigurationError, match="cannot be run: Permission denied"):
        await load(plugins.kubeconfig("./text")).authorization()


def has_ended(pid: int) -> bool:
    """Tell whether a process has ended, which takes a moment after it was killed."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


async def test_a_plugin_that_hangs_is_ended_with_what_it_started(plugins):
    """The child would hold the output open, and live on."""
    body = """
    import subprocess
    child = subprocess.Popen(["sleep", "1000"])
    pathlib.Path(__file__).with_suffix(".child").write_text(str(child.pid))
    sys.stderr.write("waiting for the browser"); sys.stderr.flush()
    child.wait()
    """
    plugin = ExecPlugin(str(plugins.write(body)), V1, "Never")
    source = ExecSource(plugin, Endpoint("https://x"), time_limit=1.0)
    with pytest.raises(ConfigurationError, match=r"did not end within 1 s: waiting for the browser"):
        await source.fetch()
    child = int((plugins.folder / "plugin.child").read_text())
    await eventually(lambda: has_ended(child))


def test_a_plugin_has_less_time_than_the_request_that_waits_for_it():
    assert TIME_LIMIT_SECONDS < REQUEST_TIMEOUT_SECONDS


async def test_who_stops_waiting_leaves_the_plugin_to_the_others_and_closing_ends_it(plugins):
    configuration = plugins.configured(COUNTING + "time.sleep(1000)")
    first, second = (asyncio.ensure_future(configuration.authorization()) for _ in range(2))
    async with asyncio.timeout(20):
        while not plugins.calls():  # noqa: ASYNC110  # another process says so
            await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.wait([first])
    await configuration.close()
    with pytest.raises(ConfigurationError, match="this client is closed"):
        await second
    assert (first.cancelled(), plugins.calls()) == (True, 1)


# -- whom it may ask -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def standard_input(descriptor, monkeypatch):
    with open(descriptor, closefd=False) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        kept = os.dup(0)
        os.dup2(descriptor, 0)
        try:
            yield
        finally:
            os.dup2(kept, 0)
            os.close(kept)


ASKING = """
told = json.loads(os.environ["KUBERNETES_EXEC_INFO"])["spec"]["interactive"]
token = f"{told} {os.isatty(0)}"
print(json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": {"token": token}}))
"""


@pytest.mark.parametrize(
    ("mode", "terminal", "expected"),
    [
        ("Never", True, "Bearer False False"),
        ("IfAvailable", True, "Bearer True True"),
        ("IfAvailable", False, "Bearer False False"),
        ("Always", True, "Bearer True True"),
    ],
)
async def test_a_plugin_gets_our_terminal_only_where_it_may_ask(plugins, monkeypatch, mode, terminal, expected):
    main, other = pty.openpty()
    reading, writing = os.pipe()
    with standard_input(other if terminal else reading, monkeypatch):
        found = await plugins.configured(ASKING, interactiveMode=mode).authorization()
    for descriptor in (main, other, reading, writing):
        os.close(descriptor)
    assert found == expected


async def test_a_plugin_that_has_to_ask_is_not_run_without_a_terminal(plugins, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ConfigurationError, match="has to ask somebody"):
        await plugins.configured(COUNTING, interactiveMode="Always").authorization()
    assert plugins.calls() == 0


# -- how long it holds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("until", "seconds"),
    [
        ("2026-01-01T01:00:00Z", 3600.0),
        ("2026-01-01T01:00:00+01:00", 0.0),
        ("2025-12-31T23:00:00.123456789Z", -3599.876544),
        (None, float("inf")),
        ("", float("inf")),
    ],
)
def test_a_credential_holds_until_it_expires(until, seconds):
    printed = {"apiVersion": V1, "kind": "ExecCredential", "status": {"token": "t", "expirationTimestamp": until}}
    found = credential_in(ExecPlugin("x", V1, "Never"), json.dumps(printed).encode(), NOW)
    assert found.fresh_seconds == found.valid_seconds == pytest.approx(seconds)


NUMBERED = (
    COUNTING
    + """
status = {"token": f"token-{number}"} | json.loads(sys.argv[1])
print(json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": status}))
"""
)


def numbered(plugins, status, clock):
    path = plugins.kubeconfig(plugins.write(NUMBERED), args=[json.dumps(status)])
    return load(path, timer=clock)


async def test_a_plugin_is_run_once_for_all_who_wait_and_not_again_while_its_credential_holds(plugins):
    clock = Clock()
    configuration = numbered(plugins, {}, clock)
    headers = await asyncio.gather(*(configuration.authorization() for _ in range(20)))
    clock.now += 86400
    assert (set(headers), await configuration.authorization(), plugins.calls()) == (
        {"Bearer token-1"},
        "Bearer token-1",
        1,
    )


async def test_an_expired_credential_is_replaced_without_a_401(plugins):
    clock = Clock()
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    configuration = numbered(plugins, {"expirationTimestamp": soon}, clock)
    first = await configuration.authorization()
    clock.now += 3600
    assert (first, await configuration.authorization()) == ("Bearer token-1", "Bearer token-2")


async def test_a_plugin_is_asked_again_after_a_401_once_for_all(plugins):
    clock = Clock()
    configuration = numbered(plugins, {}, clock)
    refused = await configuration.authorization()
    clock.now += RELOAD_PAUSE_SECONDS
    answers = await asyncio.gather(*(configuration.reload(refused) for _ in range(10)))
    assert (answers, await configuration.authorization(), plugins.calls()) == ([True] * 10, "Bearer token-2", 2)


async def test_an_expired_credential_whose_plugin_fails_is_not_sent(plugins):
    clock = Clock()
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    configuration = numbered(plugins, {"expirationTimestamp": soon}, clock)
    await configuration.authorization()
    plugins.write(COUNTING + "sys.exit('logged out')")
    clock.now += 3600
    for _ in range(5):  # and it is not run again for each who asks
        with pytest.raises(ConfigurationError, match="logged out"):
            await configuration.authorization()
    calls = plugins.calls()
    plugins.write(NUMBERED)
    clock.now += RELOAD_PAUSE_SECONDS
    assert (calls, await configuration.authorization()) == (2, "Bearer token-3")


async def test_a_credential_that_holds_is_kept_where_the_plugin_fails_after_a_401(plugins, caplog):
    clock = Clock()
    configuration = numbered(plugins, {}, clock)
    refused = await configuration.authorization()
    plugins.write("sys.exit(3)")
    clock.now += RELOAD_PAUSE_SECONDS
    assert (await configuration.reload(refused), await configuration.authorization()) == (False, refused)
    assert [event_of(record) for record in caplog.records] == ["credentials.unreadable"]
