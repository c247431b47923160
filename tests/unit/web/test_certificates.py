"""Certificates in Secrets: made, loaded, renewed, and trusted by webhooks, in virtual time."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import attrs
import pytest

import scopedcache as sc
from scopedcache.clock import wall_time
from scopedcache.testing import EmbeddedCluster, Grant, eventually, virtual_time
from scopedcache.web import Certificates, KeyPair, WebhookConfiguration
from scopedcache.web.authority import AUTHORITY_LIFE, LEAF_LIFE, is_signed_by

VERBS = ("get", "list", "watch", "create", "update")
HOOKS = "validatingwebhookconfigurations.admissionregistration.k8s.io"
WEBHOOK = WebhookConfiguration("Validating", "capsule")


@attrs.define
class Clock:
    """The date, which a test sets."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return wall_time() + self.ahead


@attrs.frozen
class World:
    cluster: EmbeddedCluster
    certificates: Certificates
    clock: Clock
    grant: Grant

    def data(self, name: str) -> dict[str, bytes]:
        secret = self.cluster.get("secrets", name, "system") or {}
        return {key: base64.b64decode(value) for key, value in secret.get("data", {}).items()}

    def pair(self, name: str) -> KeyPair:
        data = self.data(name)
        return KeyPair(data.get("tls.crt", b""), data.get("tls.key", b""))

    def bundles(self) -> list[str]:
        found = self.cluster.get(HOOKS, "capsule") or {}
        return [hook["clientConfig"].get("caBundle", "") for hook in found.get("webhooks", [])]

    def bundle(self) -> str:
        return base64.b64encode(self.data("capsule-ca")["ca.crt"]).decode()

    def whole(self) -> bool:
        authority, leaf = self.pair("capsule-ca").parsed(), self.pair("capsule-tls").parsed()
        return authority is not None and leaf is not None and is_signed_by(leaf, authority)


def webhooks() -> dict[str, object]:
    hook = {
        "clientConfig": {"service": {"namespace": "system", "name": "capsule"}}, "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }  # fmt: skip
    named = [{**hook, "name": f"{name}.capsule.example.com"} for name in ("a", "b")]
    about = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    return {**about, "metadata": {"name": "capsule"}, "webhooks": named}


@asynccontextmanager
async def running(
    cluster: EmbeddedCluster, *, hooks: Iterable[WebhookConfiguration] = (WEBHOOK,)
) -> AsyncIterator[World]:
    operator, clock = cluster.user("operator"), Clock()
    grant = cluster.grant(operator, VERBS, ["secrets"], namespace="system")
    cluster.grant(operator, VERBS, [HOOKS])
    async with cluster.client(operator) as client, sc.ScopedCache(client) as cache:
        made = Certificates(cache, "system", hosts=["capsule"], name="capsule", webhooks=hooks, timer=clock)
        tasks = [asyncio.create_task(runnable()) for runnable in made.runnables]
        try:
            yield World(cluster, made, clock, grant)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended


@pytest.fixture
def cluster():
    with EmbeddedCluster.start() as cluster:
        cluster.create_namespace("system")
        cluster.create(webhooks())
        yield cluster


def test_what_is_missing_is_made_loaded_and_trusted(cluster: EmbeddedCluster) -> None:
    async def main() -> None:
        async with running(cluster) as world:
            await world.certificates.loaded()
            assert world.whole()
            await eventually(lambda: world.bundles() == [world.bundle()] * 2, within=2.0)

    virtual_time.run(main())


@pytest.mark.parametrize("gone", ["capsule-ca", "capsule-tls"])
def test_a_secret_that_is_deleted_is_made_anew_at_once(cluster: EmbeddedCluster, gone: str) -> None:
    async def main() -> None:
        async with running(cluster) as world:
            await world.certificates.loaded()
            cluster.delete("secrets", gone, "system")
            await eventually(lambda: world.whole() and world.bundles() == [world.bundle()] * 2, within=2.0)

    virtual_time.run(main())


def test_a_secret_that_is_spoiled_is_made_anew(cluster: EmbeddedCluster) -> None:
    async def main() -> None:
        async with running(cluster) as world:
            await world.certificates.loaded()
            cluster.patch("secrets", "capsule-tls", {"data": {"tls.crt": "bm8="}}, "system")
            await eventually(world.whole, within=2.0)

    virtual_time.run(main())


def test_a_leaf_is_renewed_in_time_and_its_authority_stays(cluster: EmbeddedCluster) -> None:
    async def main() -> None:
        async with running(cluster) as world:
            await world.certificates.loaded()
            authority, leaf = world.pair("capsule-ca"), world.pair("capsule-tls")
            world.clock.ahead = LEAF_LIFE * 0.7
            await eventually(lambda: world.pair("capsule-tls") != leaf, within=61.0)
            assert (world.pair("capsule-ca"), world.whole()) == (authority, True)

    virtual_time.run(main())


def test_an_expired_authority_is_replaced_everywhere(cluster: EmbeddedCluster) -> None:
    async def main() -> None:
        async with running(cluster) as world:
            await world.certificates.loaded()
            before = world.bundles()
            world.clock.ahead = AUTHORITY_LIFE + timedelta(days=1)
            await eventually(lambda: world.bundles() != before and world.whole(), within=61.0)
            assert world.bundles() == [world.bundle()] * 2

    virtual_time.run(main())


def test_a_configuration_that_comes_later_gets_its_bundle(cluster: EmbeddedCluster) -> None:
    cluster.delete(HOOKS, "capsule")

    async def main() -> None:
        async with running(cluster) as world:
            await world.certificates.loaded()
            cluster.create(webhooks())
            await eventually(lambda: world.bundles() == [world.bundle()] * 2, within=2.0)

    virtual_time.run(main())


def test_lost_rights_end_nothing_and_the_grant_heals(cluster: EmbeddedCluster) -> None:
    async def main() -> None:
        async with running(cluster) as world:
            await world.certificates.loaded()
            world.grant.revoke()
            cluster.delete("secrets", "capsule-tls", "system")
            await asyncio.sleep(60.0)
            assert cluster.get("secrets", "capsule-tls", "system") is None
            world.grant.restore()
            await eventually(world.whole, within=45.0)

    virtual_time.run(main())


def test_nothing_is_written_while_all_is_well(cluster: EmbeddedCluster) -> None:
    async def main() -> None:
        async with running(cluster) as world:
            await world.certificates.loaded()
            await asyncio.sleep(5.0)
            before = cluster.storage.version
            await asyncio.sleep(600.0)
            assert cluster.storage.version == before

    virtual_time.run(main())
