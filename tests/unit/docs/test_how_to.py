"""What the how-to pages show, does what they say."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import attrs
import pytest

import scopedcache as sc
from scopedcache.kit import Conditions, crd
from scopedcache.testing import EmbeddedCluster, Identity, eventually, virtual_time

from .blocks import load


@attrs.frozen
class PageSpec:
    text: str = ""


@attrs.frozen
class PageStatus:
    phase: str = ""
    missing: str | None = None
    conditions: Conditions = attrs.field(factory=list)


CRD = crd("example.com", "v1", "Page", PageSpec, status=PageStatus, required=False)
PAGES = "pages.example.com"
CONFIG_MAP = sc.GVK("", "v1", "ConfigMap")


@pytest.fixture
def cluster(embedded_cluster: EmbeddedCluster) -> EmbeddedCluster:
    """Return a cluster with a Page, and with alice, who may see Pages and write their status."""
    embedded_cluster.create(CRD)
    add_page(embedded_cluster, "one")
    alice = embedded_cluster.user("alice")
    embedded_cluster.grant(alice, ["list", "watch"], [PAGES])
    embedded_cluster.grant(alice, ["patch"], ["pages.example.com/status"])
    return embedded_cluster


def add_page(cluster: EmbeddedCluster, name: str, namespace: str = "default") -> None:
    cluster.create({"apiVersion": "example.com/v1", "kind": "Page", "metadata": {"name": name}}, namespace)


def page_of(cluster: EmbeddedCluster, name: str = "one") -> sc.Object:
    return sc.Object.from_dict(cluster.get(PAGES, name, "default") or {})


def run(
    cluster: EmbeddedCluster,
    controller: Callable[[sc.ScopedCache], sc.Controller],
    story: Callable[[sc.ScopedCache], Awaitable[None]],
    who: Identity | None = None,
) -> None:
    """Run a controller of a page in virtual time while a story happens."""

    async def main() -> None:
        async with sc.ScopedCache(cluster.client(who)) as cache, asyncio.TaskGroup() as tasks:
            running = tasks.create_task(controller(cache).run(cache))
            await story(cache)
            running.cancel()

    virtual_time.run(main())


def read(cluster: EmbeddedCluster, story: Callable[[sc.ScopedCache], Awaitable[None]], who: Identity) -> None:
    async def main() -> None:
        async with sc.ScopedCache(cluster.client(who)) as cache:
            await story(cache)

    virtual_time.run(main())


@pytest.mark.parametrize("way", ["opening", "owning"])
def test_a_child_that_is_deleted_is_made_again_whether_it_was_opened_or_declared(cluster, way):
    async def story(_):
        await eventually(lambda: cluster.get("configmaps", "one", "default"))
        cluster.delete("configmaps", "one", "default")
        await eventually(lambda: cluster.get("configmaps", "one", "default"))

    run(cluster, getattr(load("how-to/open-or-owns.md"), way), story)


def test_a_setting_that_is_watched_concerns_every_page_beside_it(cluster, capsys):
    async def story(_):
        await eventually(lambda: "None" in capsys.readouterr().out)
        cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}, "default")
        await eventually(lambda: "settings" in capsys.readouterr().out)

    run(cluster, load("how-to/open-or-owns.md").watching, story)


def test_the_rights_of_the_page_serve_the_needs_of_the_page(cluster):
    page = load("how-to/exact-rights.md")
    for manifest in page.PROGRAM.manifests("rbac"):
        cluster.create(manifest)
    account = cluster.service_account("pages-system", "pages")
    cluster.bind(account, "pages-in-namespace", namespace="default")

    async def story(cache):
        scope = await cache.open(page_of(cluster), *page.NEEDS)
        scope.check()
        cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "registry"}}, "default")
        await eventually(lambda: shown(scope, page.SECRET, "registry"))

    read(cluster, story, account)


def test_what_is_missing_is_said_in_words_of_ones_own(cluster):
    alice = cluster.user("alice")

    def status():
        return (cluster.get(PAGES, "one", "default") or {}).get("status", {})

    async def story(_):
        await eventually(lambda: status().get("phase") == "Waiting")
        assert status()["missing"] == "list configmaps in namespace default, watch configmaps in namespace default"
        cluster.grant(alice, ["list", "watch"], ["configmaps"], namespace="default")
        await eventually(lambda: status().get("phase") == "Ready")

    run(cluster, load("how-to/react-to-denial.md").controller, story, alice)


def test_an_optional_need_is_done_without(cluster):
    alice, page = cluster.user("alice"), load("how-to/react-to-denial.md")
    cluster.grant(alice, ["list", "watch"], ["configmaps"], namespace="default")

    async def story(cache):
        assert await page.with_or_without_secrets(cache, page_of(cluster)) == "0 texts, secrets not allowed"
        cluster.grant(alice, ["list", "watch"], ["secrets"], namespace="default")
        seen = []

        async def look():
            seen.append(await page.with_or_without_secrets(cache, page_of(cluster)))

        page.tell(cache, lambda cause, name, error: seen.append(cause))
        await eventually(lambda: "granted" in seen or "synced" in seen, within=cache.bound)
        await look()
        assert seen[-1] == "0 texts, 0 secrets"

    read(cluster, story, alice)


def test_a_namespace_that_is_denied_is_named_and_the_others_are_read(cluster):
    alice, page = cluster.user("alice"), load("how-to/react-to-denial.md")
    cluster.create_namespace("other")
    cluster.grant(alice, ["list", "watch"], ["configmaps"], namespace="default")

    async def story(cache):
        found = await page.everywhere(cache, page_of(cluster), ["default", "other"])
        assert found["default"] == "0 texts"
        assert found["other"].startswith("may not list configmaps in namespace other (Forbidden since ")

    read(cluster, story, alice)


def test_a_subscriber_hears_of_what_is_lost_and_granted(cluster):
    alice, heard = cluster.user("alice"), []
    right = cluster.grant(alice, ["list", "watch"], ["configmaps"], namespace="default")

    async def story(cache):
        load("how-to/react-to-denial.md").tell(cache, lambda *words: heard.append(words[:2]))
        await cache.open(page_of(cluster), CONFIG_MAP)
        right.revoke()
        await eventually(lambda: ("denied", "one") in heard, within=cache.bound)
        right.restore()
        await eventually(lambda: ("granted", "one") in heard, within=cache.bound)

    read(cluster, story, alice)


def test_readyz_names_who_waits(cluster):
    alice, page = cluster.user("alice"), load("how-to/readyz.md")

    async def story(cache):
        manager = sc.Manager(cache)
        with pytest.raises(sc.ForbiddenError):
            await cache.open(page_of(cluster), CONFIG_MAP)
        [line] = page.who_waits(manager)
        assert line.startswith("Page default/one: may not ")
        assert "list configmaps" in line
        assert set(manager.summary()) >= FIELDS

    read(cluster, story, alice)


def test_a_manager_with_sharding_has_a_part_and_says_which(cluster):
    page, replica = load("how-to/replicas.md"), cluster.user("replica")
    cluster.create(crd("cache.example.com", "v1", "Memcached", PageSpec, required=False))
    cluster.create_namespace("operators")
    cluster.grant(replica, ["list", "watch"], ["memcacheds.cache.example.com"])
    cluster.grant(
        replica, ["get", "list", "create", "update", "delete"], ["leases.coordination.k8s.io"], namespace="operators"
    )

    async def story(cache):
        manager, stop = page.manager(cache), asyncio.Event()
        running = asyncio.create_task(manager.run(stop))
        await eventually(lambda: manager.leading, within=10)
        sharding = manager.summary()["sharding"]
        assert ([part["state"] for part in sharding["parts"]], sharding["server_filters"]) == (["held"], False)
        stop.set()
        await running

    read(cluster, story, replica)


def shown(scope, kind, name):
    """Tell whether a scope shows an object; what is optional may not be there yet."""
    try:
        return scope.get(kind, name) is not None
    except sc.CacheError:
        return False


FIELDS = {"reasons", "degraded", "effective_bound", "waiting", "totals", "open_watches", "controllers", "leader"}


def test_a_plain_reconciler_blocks_nobody(cluster):
    controller = load("how-to/blocking-code.md").controller

    async def main() -> None:
        async with sc.ScopedCache(cluster.client()) as cache, asyncio.TaskGroup() as tasks:
            running = tasks.create_task(controller(cache).run(cache))
            await eventually(lambda: cluster.get("configmaps", "one", "default"))
            running.cancel()

    asyncio.run(main())
