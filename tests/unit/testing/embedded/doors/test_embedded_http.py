"""The door on loopback: a certificate that clients accept, credentials, watches, and the ways they are lost."""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Iterator

import pytest

from scopedcache import Client, TransportError, UnauthorizedError
from scopedcache.testing import EmbeddedCluster, eventually
from scopedcache.testing.embedded import Fault
from scopedcache.testing.embedded.wire.protobuf import decode

MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": "default"}}


@pytest.fixture
def cluster() -> Iterator[EmbeddedCluster]:
    with EmbeddedCluster.start(http=True) as cluster:
        yield cluster


async def test_a_kubeconfig_leads_here(cluster: EmbeddedCluster) -> None:
    async with Client.connect(kubeconfig=cluster.admin.kubeconfig) as client:
        await client.create(MAP)
        assert await client.version() == "v1.36.2"
        assert [found.name for found in await client.list("configmaps", labels="!a")] == ["one"]
    assert cluster.audit.count(user="admin", verb="create", resource="configmaps", code=201) == 1


async def test_a_token_that_nobody_has_is_401(cluster: EmbeddedCluster) -> None:
    nobody = cluster.user("nobody")
    nobody.token = "wrong"
    nobody.write()
    async with Client.connect(kubeconfig=nobody.kubeconfig) as client:
        with pytest.raises(UnauthorizedError):
            await client.version()


async def test_a_watch_over_http_is_live_and_leaves_nothing_behind(cluster: EmbeddedCluster) -> None:
    version = str(cluster.storage.version)
    async with Client.connect(kubeconfig=cluster.admin.kubeconfig) as client:
        async with client.open_watch("configmaps", namespace="default", resource_version=version) as stream:
            cluster.create(MAP)
            chunks = stream.chunks()
            assert b'"name":"one"' in await anext(chunks)
            assert len(cluster.audit.open_watches(resource="configmaps")) == 1
        await eventually(lambda: not cluster.audit.open_watches())


@pytest.mark.parametrize("fault", [Fault(verb="watch", refuse=True), Fault(verb="watch", cut_after=0)])
async def test_a_connection_is_lost(cluster: EmbeddedCluster, fault: Fault) -> None:
    cluster.create(MAP)
    cluster.faults.add(fault)
    async with Client.connect(kubeconfig=cluster.admin.kubeconfig) as client:
        with pytest.raises(TransportError):
            async for _ in client.watch("configmaps", namespace="default"):
                pass


def test_the_certificate_is_its_own_authority(cluster: EmbeddedCluster) -> None:
    context = ssl.create_default_context(cafile=str(cluster.admin.kubeconfig.parent.parent / "server.crt"))
    with urllib.request.urlopen(f"{cluster.url}/readyz", context=context) as answer:
        assert answer.read() == b"ok"


def test_the_files_are_gone_with_the_cluster(cluster: EmbeddedCluster) -> None:
    assert cluster.admin.kubeconfig.exists()
    cluster.stop()
    assert not cluster.admin.kubeconfig.exists()


def test_a_body_in_protobuf_is_read() -> None:
    body = b"k8s\x00\n\x0f\n\x02v1\x12\tNamespace\x12\x07\n\x05\n\x01a\x12\x00\x1a\x00"
    assert decode(body) == {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}
    with pytest.raises(ValueError, match="does not begin"):
        decode(b"{}")
