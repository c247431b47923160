"""An operator that has IPv6 alone: its server is reached at [::1], and it answers probes there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
import yaml

import scopedcache as sc
from scopedcache.testing import EmbeddedCluster, eventually


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6, not even on loopback")


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def over_ipv6(url: str) -> AsyncIterator[int]:
    """Yield a port on [::1] that leads to a server."""
    target = urlsplit(url)

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection(target.hostname, target.port)
        await asyncio.gather(copy(reader, ours), copy(theirs, writer))

    async with await asyncio.start_server(forward, "::1", 0, family=socket.AF_INET6) as server:
        yield server.sockets[0].getsockname()[1]
        server.close()


async def test_a_cache_and_its_probes_need_no_ipv4(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    owner = sc.Object.from_dict(cluster.get("serviceaccounts", "default", "default") or {})
    config = yaml.safe_load(cluster.admin.kubeconfig.read_text())
    async with over_ipv6(cluster.url) as port:
        config["clusters"][0]["cluster"] |= {"server": f"https://[::1]:{port}", "tls-server-name": "localhost"}
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(config))
        async with sc.ScopedCache.connect(kubeconfig=kubeconfig) as cache, asyncio.TaskGroup() as tasks:
            manager = sc.Manager(cache, health_address="[::1]:0")
            running = tasks.create_task(manager.run())
            scope = await cache.open(owner, "configmaps")
            cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}}, "default")
            await eventually(lambda: scope.get("configmaps", "new"), within=20)
            [address] = manager.addresses
            async with aiohttp.ClientSession() as session, session.get(f"http://{address}/healthz") as answer:
                status = answer.status
            running.cancel()

    assert status == 200
    assert str(address).startswith("[::1]:")
