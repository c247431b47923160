"""What a person may get wrong: one line that names the cause and the fix, a documented exit status, no traceback."""

import asyncio
import copy
import json
import socket

import pytest

import examples.memcached_operator.__main__ as command
from scopedcache.testing import eventually
from tests.unit.clock import after, now
from tests.unit.cluster import DEPLOYMENT, LEASE, NEVER_SECONDS, Cluster
from tests.unit.examples.conftest import begin
from tests.unit.examples.objects import CRD, manifest
from tests.unit.kubeconfig import kubeconfig

HTML = {"code": 200, "html": True}
CUT = {"refuse": True}
SILENT = {"latency": NEVER_SECONDS}


def shows_deployment(server, name="m"):
    return lambda: server.find(DEPLOYMENT, name, "a")


def only_line(operator):
    """Return the one line of a start that failed: nothing else is said but that it starts."""
    lines = [line for line in operator.lines if '"operator.starting"' not in line]
    assert len(lines) == 1, operator.log.read_text()
    return lines[0]


def failure(operator):
    """Return (exit status, error, advice) of a run that ended by itself."""
    status, line = operator.end(), json.loads(only_line(operator))
    assert (line["event"], line["level"], "traceback" in line) == ("operator.failed", "critical", False)
    return status, line["error"], line.get("advice", "")


# -- the kubeconfig --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (None, [], "does not exist; name one with --kubeconfig or KUBECONFIG"),
        ("clusters: [b", [], "it is not YAML (line "),
        ("", [], "file is empty"),
        ("just words", [], "cannot be used"),
        (kubeconfig("http://127.0.0.1:1"), ["--context", "prod"], "has no context 'prod'; it has: testing"),
        (kubeconfig("nonsense/path"), [], "the server address 'nonsense/path' is not an http(s) URL"),
        (kubeconfig("https://127.0.0.1:1", ca="/nowhere/ca.crt"), [], "/nowhere/ca.crt"),
        (kubeconfig("http://127.0.0.1:1", tokenFile="/nowhere/token"), [], "/nowhere/token"),
    ],
    ids=["missing", "broken", "empty", "words", "context", "address", "CA file", "token file"],
)
def test_a_kubeconfig_that_cannot_be_used_is_named(operator, tmp_path, content, arguments, words):
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    status, error, _ = failure(operator("--kubeconfig", path, *arguments))

    assert status == 3
    assert words in error


def test_in_text_the_failure_is_one_line_too(operator, tmp_path):
    run = operator("--kubeconfig", tmp_path / "none", "--log-format", "text")

    assert run.end() == 3
    assert "CRITICAL operator.failed error=" in only_line(run)


def test_with_v_the_traceback_is_there(operator, tmp_path):
    run = operator("--kubeconfig", tmp_path / "none", "-v")

    assert run.end() == 3
    assert "Traceback" in json.loads(only_line(run))["traceback"]


# -- the server ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "error", "advice"),
    [
        ("http://127.0.0.1:1", "http://127.0.0.1:1 cannot be connected to: Connection refused", "the server runs"),
        ("https://no-such-host.invalid", "https://no-such-host.invalid cannot be connected to", "its address"),
    ],
)
def test_a_server_that_cannot_be_reached_is_named(operator, tmp_path, server, error, advice):
    path = tmp_path / "config"
    path.write_text(kubeconfig(server, token="x"))
    status, said, told = failure(operator("--kubeconfig", path))

    assert status == 3
    assert error in said
    assert advice in told


@pytest.mark.parametrize(
    ("trouble", "words", "advice"),
    [
        (HTML, "the answer is text/html, not JSON", "no Kubernetes API server"),
        ({**HTML, "code": 403}, "403 from something that is not the API server", "its address"),
        ({"code": 401}, "401", "put a new token or certificate into the kubeconfig"),
        ({"code": 503}, "503", "look at its log"),
        (CUT, "closed the connection without an answer", "the server runs"),
    ],
    ids=["HTML", "HTML 403", "expired token", "503", "cut"],
)
def test_a_server_that_is_of_no_use_is_named(operator, server, kubeconfig, trouble, words, advice):
    server.trouble(**trouble)
    status, error, told = failure(operator("--kubeconfig", kubeconfig))

    assert status == 3
    assert words in error
    assert advice in told
    assert server.operator.token not in error


def test_a_server_that_forbids_its_version_is_there_all_the_same(operator, server, kubeconfig):
    refused = server.trouble("", verb="get", times=1, code=403)  # the first request of all

    operator("--kubeconfig", kubeconfig, "--no-leader-elect").await_readiness(200)

    assert [one.uri for one in server.embedded.audit.requests(code=403)] == ["/version"]
    assert refused.struck == 1


# -- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--workers", "0"], "workers= is at least 1, not 0"),
        (["--workers", "many"], "--workers: invalid int value: 'many'"),
        (["--detection-bound", "0.1"], "detection_bound=0.1 s is too short: 2.55 s is the least"),
        (["--detection-bound", "nan"], "detection_bound=nan s is too short"),
        (["--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_an_option_that_makes_no_sense_is_named_before_anything_is_asked(
    operator, server, kubeconfig, arguments, words
):
    run = operator("--kubeconfig", kubeconfig, *arguments)

    assert run.end() == 2
    assert words in only_line(run)
    assert server.embedded.audit.count(user=server.operator.username) == 0


@pytest.mark.parametrize("option", ["--health-probe-bind-address", "--metrics-bind-address", "--health-address"])
@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_named(operator, kubeconfig, option, address):
    status, error, _ = failure(operator("--kubeconfig", kubeconfig, option, address))

    assert (status, error) == (3, f"'{address}' is not an address to listen on; write it as host:port, e.g. :8081")


def test_a_port_in_use_is_named_with_what_to_do(operator, kubeconfig):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        status, error, _ = failure(operator("--kubeconfig", kubeconfig, "--health-probe-bind-address", address))

    assert status == 3
    assert error.startswith(f"cannot listen on {address}: another process listens there; stop it, or choose another")


def test_every_exit_status_is_documented():
    rows = [line.split("|")[1].strip() for line in (command.__doc__ or "").splitlines() if line.startswith("| ")]

    assert rows == ["Exit status", "0", "1", "2", "3"]


# -- stopping --------------------------------------------------------------------------------------------------------


def test_SIGTERM_while_it_waits_for_the_first_answer_ends_it(operator, server, kubeconfig):
    silence = server.trouble(**SILENT)
    run = operator("--kubeconfig", kubeconfig)
    run.until(lambda: silence.struck, "the first request")

    assert (run.terminate(), run.lines) == (0, [])


def test_SIGTERM_ends_it_with_its_Lease_released(operator, server, kubeconfig):
    run = operator("--kubeconfig", kubeconfig)
    run.await_event("leader.elected")

    assert run.terminate() == 0
    assert server.find(LEASE, command.LEASE, command.SYSTEM)["spec"]["holderIdentity"] == ""


def test_SIGTERM_ends_it_though_the_server_answers_nothing_any_more(operator, server, kubeconfig):
    run = operator("--kubeconfig", kubeconfig)
    run.await_event("leader.elected")
    server.trouble(**SILENT)
    server.write(manifest())

    assert run.terminate() == 0
    assert [line["event"] for line in map(json.loads, run.lines)][-1] == "manager.stopped"


async def test_it_ends_within_five_seconds_though_the_server_answers_nothing_any_more(server, rights):
    """The same in virtual time: busy machines have no part in it."""
    options = command.PROGRAM.parser().parse_args([])
    options.health_address = options.metrics_address = None
    async with server.client() as client:
        cache, manager = command.PROGRAM.put_together(client, options)
        stop = asyncio.Event()
        async with cache:
            running = asyncio.create_task(manager.run(stop))
            await eventually(lambda: manager.leading and manager.ready)
            server.trouble(**SILENT)
            server.write(manifest())
            await after(1)
            stopped = now()
            stop.set()
            await running
        assert now() - stopped <= 5


# -- while it runs ---------------------------------------------------------------------------------------------------


def test_a_CRD_that_is_not_installed_yet_is_waited_for_in_one_line(operator, server, kubeconfig):
    server.embedded.delete("customresourcedefinitions.apiextensions.k8s.io", CRD["metadata"]["name"])
    run = operator("--kubeconfig", kubeconfig, "--no-leader-elect")
    line = run.await_event("kind.not_served")
    assert "check that its CRD is installed" in line["error"]
    assert run.await_readiness(503)["controllers"]["memcached"]["not_served"] == [
        "Memcached.v1alpha1.cache.example.com"
    ]
    asked = server.embedded.audit.mark()
    run.until(lambda: server.embedded.audit.count(asked, resource=""), "it asks again")
    server.embedded.create(CRD)
    run.await_event("kind.served")
    run.await_readiness(200)
    server.write(manifest())
    run.until(shows_deployment(server), "the Deployment")

    assert len(run.events("kind.not_served")) == 1
    assert [line for line in run.events("task.failed") if line["level"] == "error"] == []


@pytest.mark.parametrize("what", [HTML, {"code": 401}, {"code": 503}, CUT], ids=["HTML", "expired token", "503", "cut"])
def test_what_would_end_a_start_does_not_end_a_run_and_heals(operator, server, kubeconfig, what):
    run = operator("--kubeconfig", kubeconfig, "--no-leader-elect", "--detection-bound", "3")
    run.await_readiness(200)
    trouble = server.trouble(**what)
    server.end_watches()
    run.until(lambda: trouble.struck >= 3, "it tries again")
    trouble.over()
    server.write(manifest())
    run.until(shows_deployment(server), "the Deployment")

    run.await_readiness(200)
    assert "Traceback" not in run.log.read_text()
    assert server.operator.token not in run.log.read_text()


def test_credentials_that_expire_while_it_runs_make_it_unready_until_they_are_renewed(operator, server, kubeconfig):
    run = operator("--kubeconfig", kubeconfig, "--no-leader-elect", "--detection-bound", "3")
    run.await_readiness(200)
    expired = server.trouble(code=401)
    run.await_readiness(503)
    expired.over()

    run.await_readiness(200)


def test_a_line_over_the_limit_ends_a_watch_and_not_the_process(operator, server, kubeconfig):
    run = operator("--kubeconfig", kubeconfig, "--no-leader-elect")
    run.await_readiness(200)
    server.trouble(verb="watch", oversize=65 * 2**20, times=1)
    server.end_watches()
    said = run.await_event("watch.interrupted")
    server.write(manifest())
    run.until(shows_deployment(server), "the Deployment")

    assert "limit" in said["error"]
    assert len(json.dumps(said)) < 1000


def test_a_negative_size_that_a_schema_let_through_is_one_failing_object_and_delays_no_other(operator):
    lenient = copy.deepcopy(CRD)
    (version,) = lenient["spec"]["versions"]
    del version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["size"]["minimum"]
    with Cluster.running(http=True, definitions=[lenient]) as server:
        begin(server)
        run = operator("--kubeconfig", server.operator.kubeconfig, "--no-leader-elect", "--workers", "1")
        server.write(manifest("bad", size=-1))
        server.write(manifest("good"))
        run.until(shows_deployment(server, "good"), "the other's Deployment")
        said = run.await_event("reconcile.failed")

    assert (said["key"], "422" in said["error"], "traceback" in said) == ("a/bad", True, False)
