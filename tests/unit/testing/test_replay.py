"""What was recorded is played: the same rights are lost and gained, the same objects seen, at the same time."""

import asyncio
import json
import subprocess
import sys

import pytest

from examples.memcached_operator.__main__ import PROGRAM
from scopedcache import GVK, Client, ForbiddenError, ScopedCache
from scopedcache.cache.owner import OwnerId
from scopedcache.errors import ConfigurationError, TransportError
from scopedcache.kinds import ObjectKey
from scopedcache.testing import EmbeddedCluster, virtual_time
from scopedcache.testing.embedded import Fault
from scopedcache.testing.recorded import read_recording
from scopedcache.testing.replay import ReplayTransport

NO_PORTS = ("--health-probe-bind-address=0", "--metrics-bind-address=0")
CONFIG_MAP = GVK("", "v1", "ConfigMap")
OWNER = OwnerId(GVK("example.org", "v1", "Owner"), ObjectKey("team", "owner"), "a-uid")


def config_map(name):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


async def lived(cache, script):
    """Open, let the script go on, and tell what happened when."""
    began, told = virtual_time.now(), []
    cache.subscribe(lambda change: told.append((change.cause, round(virtual_time.now() - began))))
    scope = await cache.open(OWNER, CONFIG_MAP)
    seen: list[object] = [sorted(obj.name for obj in scope.list(CONFIG_MAP))]
    for step in script:
        await virtual_time.after(3.0)
        step()
        await virtual_time.after(20.0)
        try:
            handle = cache.namespaces["team"][OWNER.uid]
            seen.append(sorted(obj.name for obj in handle.list(CONFIG_MAP)))
        except KeyError:
            seen.append("not open")
    return told, seen


@pytest.fixture
def recorded(tmp_path):
    """Return a recording of a right that is taken and given again, and what was seen when it was made."""
    path = tmp_path / "recording.jsonl"

    async def make():
        with EmbeddedCluster.start() as cluster:
            cluster.create_namespace("team")
            cluster.create(config_map("first"), "team")
            operator = cluster.user("operator")
            grant = cluster.grant(operator, verbs=["list", "watch"], resources=["configmaps"], namespace="team")
            script = [lambda: cluster.create(config_map("second"), "team"), grant.revoke, grant.restore]
            async with (
                cluster.client(operator) as client,
                ScopedCache(client, record=path, chance=lambda: 0.5) as cache,
            ):
                return await lived(cache, script)

    return path, virtual_time.run(make())


def test_a_replay_tells_what_was_told_when_it_was_recorded(recorded):
    path, before = recorded

    async def again():
        transport = ReplayTransport(read_recording(path))
        async with Client(transport) as client, ScopedCache(client, chance=lambda: 0.5) as cache:
            return await lived(cache, [lambda: None] * 3), dict(transport.unknown)

    assert before[1] == [["first"], ["first", "second"], "not open", ["first", "second"]]
    assert virtual_time.run(again()) == (before, {})


def test_a_request_that_was_not_made_then_is_refused_and_counted(recorded):
    async def ask():
        transport = ReplayTransport(read_recording(recorded[0]))
        async with Client(transport) as client:
            with pytest.raises(TransportError, match="the recording holds no such request: GET /version"):
                await client.version()
        return dict(transport.unknown)

    assert virtual_time.run(ask()) == {"GET /version": 1}


def test_a_refusal_is_played_as_one(tmp_path):
    path = tmp_path / "recording.jsonl"

    async def make():
        with EmbeddedCluster.start() as cluster:
            async with cluster.client(cluster.user("nobody")) as client:
                client.record(path)
                with pytest.raises(ForbiddenError):
                    await client.list("configmaps", namespace="team")

    async def again():
        async with Client(ReplayTransport(read_recording(path))) as client:
            with pytest.raises(ForbiddenError, match="may not list configmaps in namespace team"):
                await client.list("configmaps", namespace="team")

    virtual_time.run(make())
    virtual_time.run(again())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no recording"),
        (b"\x00\xff\n", "is no recording"),
        (
            b'{"recording":"scopedcache","version":99,"bodies":false}\n',
            "is of version 99; this release reads version 1",
        ),
        (b'{"recording":"scopedcache","version":1,"bodies":false}\n[]\n', "line 2: not a line of a recording"),
        (b'{"recording":"scopedcache","version":1}\n{"t":1,"n":7,"failed":"x"}\n', "line 2: not a line of a recording"),
    ],
)
def test_a_file_that_is_no_recording_is_a_clear_error(tmp_path, content, words):
    path = tmp_path / "file"
    path.write_bytes(content)

    with pytest.raises(ConfigurationError, match=words):
        read_recording(path)


def test_a_last_line_that_is_cut_off_is_the_end(recorded):
    path, _ = recorded
    whole = read_recording(path)
    path.write_bytes(path.read_bytes() + b'{"t":99999.0,"n":1,"fai')

    assert read_recording(path).seconds == whole.seconds


def test_the_command_tells_what_a_recording_holds(recorded):
    command = [sys.executable, "-m", "scopedcache.testing", "replay", str(recorded[0])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
    assert "WATCH /api/v1/namespaces/team/configmaps" in done.stdout


def test_the_command_says_why_a_file_cannot_be_played(tmp_path):
    command = [sys.executable, "-m", "scopedcache.testing", "replay", str(tmp_path / "nothing")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot be read: No such file or directory" in done.stderr


def test_lines_of_a_recording_are_json_objects_with_a_version_first(recorded):
    first, *others = [json.loads(line) for line in recorded[0].read_text().splitlines()]

    assert first == {"recording": "scopedcache", "version": 1, "bodies": False}
    assert {type(line) for line in others} == {dict}


def test_the_command_plays_a_recording_to_a_program(tmp_path):
    path = tmp_path / "recording.jsonl"

    async def make():
        with EmbeddedCluster.start() as cluster:
            cluster.faults.add(Fault(latency=0.005))  # where all happens in one instant, nothing comes after its cause
            cluster.apply("examples/memcached_operator/config/crd.yaml")
            cluster.create_namespace("team")
            memcached = {"apiVersion": "cache.example.com/v1alpha1", "kind": "Memcached", "metadata": {"name": "m"}}
            cluster.create({**memcached, "spec": {"size": 1}}, "team")
            async with cluster.client() as client:
                client.record(path, bodies=True)
                options = PROGRAM.parser().parse_args([*NO_PORTS, "--no-leader-elect"])
                cache, manager = PROGRAM.put_together(client, options)
                async with cache:
                    stop = asyncio.Event()
                    running = asyncio.create_task(manager.run(stop))
                    await virtual_time.after(20.0)
                    stop.set()
                    await running

    virtual_time.run(make())
    program = ["--program", "examples.memcached_operator", "--", "--log-format=json"]
    command = [sys.executable, "-m", "scopedcache.testing", "replay", str(path), *program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert '"event": "child.create", "namespace": "team", "name": "m"' in done.stderr
    assert "not in the recording" not in done.stdout
