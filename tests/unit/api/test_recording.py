"""A recording keeps what was asked and answered, never a secret, and never stands in the way."""

import base64
import errno
import json
import os
import stat

import pytest

from scopedcache import Client
from scopedcache.api.recorded_bodies import reduced_body, reduced_line, reduced_query
from scopedcache.api.recording import Recording
from scopedcache.api.recording_transport import RecordingTransport
from scopedcache.errors import ConfigurationError
from scopedcache.testing import EmbeddedCluster

CANARY = "canary-0a1b2c3d4e5f"
ENCODED = base64.b64encode(CANARY.encode()).decode()
APPLIED = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": {"key": ENCODED}})}
METADATA = {"name": "one", "namespace": "team", "resourceVersion": "7", "labels": {"app": "one"}}
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {**METADATA, "annotations": APPLIED},
    "data": {"key": ENCODED},
    "stringData": {"key": CANARY},
}
TOKEN = {
    "apiVersion": "authentication.k8s.io/v1",
    "kind": "TokenRequest",
    "spec": {"audiences": [CANARY]},
    "status": {"token": CANARY},
}
INVALID = {
    "apiVersion": "v1",
    "kind": "Status",
    "code": 422,
    "reason": "Invalid",
    "message": f'spec.password: Invalid value: "{CANARY}"',
    "details": {"causes": [{"reason": "FieldValueInvalid", "message": CANARY}]},
}
WITHOUT_KIND = {name: value for name, value in SECRET.items() if name not in ("apiVersion", "kind")}


def kept(document, path, **options):
    return json.dumps(reduced_body(json.dumps(document).encode(), path, **options))


@pytest.mark.parametrize("bodies", [False, True])
@pytest.mark.parametrize(
    ("document", "path"),
    [
        (SECRET, "/api/v1/namespaces/team/secrets/one"),
        (SECRET, "/apis/example.org/v1/somewhere/else"),
        ({"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": [WITHOUT_KIND]}, "/api/v1/secrets"),
        ({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": [SECRET]}, "/apis/example.org/v1/all"),
        ({"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": [WITHOUT_KIND]}, "/odd"),
        (TOKEN, "/api/v1/namespaces/team/serviceaccounts/one/token"),
        (TOKEN | {"kind": "TokenReview"}, "/apis/authentication.k8s.io/v1/tokenreviews"),
        (INVALID, "/api/v1/namespaces/team/configmaps"),
        ({"data": {"key": ENCODED, "plain": CANARY}}, "/api/v1/namespaces/team/secrets/one"),
    ],
    ids=["secret", "elsewhere", "list", "mixed list", "list elsewhere", "token", "review", "invalid value", "patch"],
)
def test_secrets_and_tokens_are_never_kept(document, path, bodies):
    shown = kept(document, path, bodies=bodies)

    assert CANARY not in shown
    assert ENCODED not in shown


@pytest.mark.parametrize("bodies", [False, True])
def test_secrets_in_the_events_of_a_watch_are_never_kept(bodies):
    line = json.dumps({"type": "ADDED", "object": SECRET}).encode()

    shown = json.dumps(reduced_line(line, "/api/v1/secrets", bodies=bodies))

    assert (CANARY in shown, ENCODED in shown, '"resourceVersion": "7"' in shown) == (False, False, True)


def test_an_object_is_reduced_to_the_metadata_that_a_cache_needs():
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {**METADATA, "annotations": APPLIED},
        "data": {"a": "b"},
    }

    assert json.loads(kept(body, "/api/v1/configmaps"))["json"] == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": METADATA,
    }


def test_what_is_no_object_of_kubernetes_is_kept_as_its_length():
    assert reduced_body(b"<html>" + CANARY.encode(), "/api/v1/pods") == {"bytes": 6 + len(CANARY)}


def test_a_query_keeps_what_is_known_to_be_harmless():
    asked = [("labelSelector", "app=one"), ("token", CANARY)]

    assert reduced_query(asked) == [["labelSelector", "app=one"], ["token", "[hidden]"]]


async def test_the_token_of_the_client_and_the_data_of_secrets_are_not_in_the_file(tmp_path):
    path = tmp_path / "recording.jsonl"
    with EmbeddedCluster.start() as cluster:
        cluster.create_namespace("team")
        cluster.create({**SECRET, "metadata": {"name": "one", "annotations": APPLIED}}, "team")
        async with cluster.client() as client:
            client.record(path, bodies=True)
            await client.get("secrets", "one", namespace="team")
            await client.list("secrets", namespace="team")
    text = path.read_text()

    assert [secret for secret in (CANARY, ENCODED, cluster.admin.token, "uthorization:") if secret in text] == []
    assert '"name":"one"' in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_file_that_is_there_is_not_overwritten(tmp_path):
    path = tmp_path / "recording.jsonl"
    path.write_text("of yesterday")
    with EmbeddedCluster.start() as cluster:
        async with cluster.client() as client:
            with pytest.raises(ConfigurationError, match="is there already: name another file"):
                client.record(path)

    assert path.read_text() == "of yesterday"


async def test_a_file_that_cannot_be_made_is_a_clear_error(tmp_path):
    with EmbeddedCluster.start() as cluster:
        async with cluster.client() as client:
            with pytest.raises(ConfigurationError, match="cannot be recorded into: No such file or directory"):
                client.record(tmp_path / "nowhere" / "recording.jsonl")


def test_a_recording_that_reaches_its_limit_says_so_and_ends(tmp_path, caplog):
    path = tmp_path / "recording.jsonl"
    recording = Recording(path, timer=lambda: 1.0, limit_bytes=2000)
    for number in range(100):
        recording.keep(number, failed="TransportError")
    lines = [json.loads(line) for line in path.read_text().splitlines()]

    assert lines[-1] == {"t": 0.0, "stopped": "the file reached its limit"}
    assert path.stat().st_size <= 2000
    assert [record.event for record in caplog.records] == ["recording.ended"]


async def test_a_full_disk_ends_the_recording_once_and_the_client_goes_on(tmp_path, caplog):
    room = [150]

    def write(file, content):
        if room[0] == 0:
            raise OSError(errno.ENOSPC, "as the system says it")
        taken = os.write(file, content[: room[0]])
        room[0] -= taken
        return taken

    recording = Recording(tmp_path / "recording.jsonl", timer=lambda: 1.0, write=write)
    with EmbeddedCluster.start() as cluster:
        transport = RecordingTransport(cluster.client().transport, recording)
        async with Client(transport) as client:
            answers = [await client.version() for _ in range(3)]

    assert len(set(answers)) == 1
    assert [record.error for record in caplog.records] == ["No space left on device"]
    assert not recording.active


async def test_nothing_is_recorded_unless_asked_for():
    with EmbeddedCluster.start() as cluster:
        async with cluster.client() as client:
            assert isinstance(client, Client)
            assert "Recording" not in repr(client)
