"""The dashboard and the alert rules, asked of a real Prometheus that scrapes the Memcached operator.

`.ci/debian prometheus` unpacks one, `make test-monitoring` runs this.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
import attrs
import pytest
import yaml

from examples.memcached_operator.__main__ import PROGRAM
from scopedcache import Client, ScopedCacheError
from scopedcache.metrics import DECLARED, WORK_SECONDS
from scopedcache.testing import EmbeddedCluster, eventually
from scopedcache.testing.embedded import Fault
from tests.acceptance.world import ACCOUNT, CONFIG, SYSTEM, memcached, set_up

DOCS: Final = Path(__file__).parents[2] / "docs" / "monitoring"
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
UNPACKED: Final = CACHE / "scopedcache" / "debian" / "unpacked" / "usr" / "bin"
NAMESPACES: Final = ("allowed-one", "allowed-two", "denied")
COMPARED: Final = re.compile(r"\s(?:>|<|==)\s")
SECONDS: Final = 60.0


def program(name: str) -> str:
    found = shutil.which(name) or (str(UNPACKED / name) if (UNPACKED / name).exists() else None)
    if found is None:
        words = f"no {name}: .ci/debian prometheus unpacks Debian's"
        if os.environ.get("PROGRAMS") == "required":
            pytest.fail(words)
        pytest.skip(words)
    return found


def rules() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load((DOCS / "alerts.yaml").read_text())["groups"]:
        yield from group["rules"]


def dashboard_queries() -> dict[str, str]:
    """Return the queries of every panel, as Grafana would send them."""
    panels = json.loads((DOCS / "dashboard.json").read_text())["panels"]
    return {
        f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "15s").replace("$job", ".*")
        for panel in panels
        for target in panel.get("targets", ())
    }


def alert_queries() -> dict[str, str]:
    """Return what every alert compares, so that it returns series where nothing is wrong; ranges as short as a test."""
    queries = {}
    for rule in rules():
        for side, words in enumerate(COMPARED.split(rule["expr"])):
            if not re.fullmatch(r"[\d.]+", words.strip()):
                queries[f"{rule['alert']} {side}"] = re.sub(r"\[\d+m\]", "[15s]", words.removeprefix("1.5 * "))
    return queries


@attrs.define
class Prometheus:
    """A running server."""

    url: str
    session: aiohttp.ClientSession

    async def query(self, words: str) -> list[dict[str, Any]]:
        try:
            async with self.session.get(f"{self.url}/api/v1/query", params={"query": words}) as answer:
                if answer.status == 503:
                    return []  # it starts
                body = await answer.json()
        except aiohttp.ClientConnectionError:
            return []  # it does not listen yet
        assert body["status"] == "success", f"{words}: {body.get('error')}"
        found: list[dict[str, Any]] = body["data"]["result"]
        return found

    async def unanswered(self, queries: dict[str, str]) -> list[str]:
        """Return the queries without a series, once each had its time."""
        left = dict(queries)

        async def all_answered() -> bool:
            for name, words in list(left.items()):
                if await self.query(words):
                    del left[name]
            return not left

        with suppress(AssertionError):
            await eventually(all_answered, within=SECONDS)
        return sorted(left)


@asynccontextmanager
async def prometheus(target: str, folder: Path) -> AsyncIterator[Prometheus]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    shutil.copy(DOCS / "alerts.yaml", folder)
    scrape = {"job_name": "memcached-operator", "static_configs": [{"targets": [target]}]}
    every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config = {"global": every, "rule_files": ["alerts.yaml"], "scrape_configs": [scrape]}
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    process = await asyncio.create_subprocess_exec(
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=error",
    )
    try:
        async with aiohttp.ClientSession() as session:
            yield Prometheus(f"http://{address}", session)
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def operator() -> AsyncIterator[tuple[EmbeddedCluster, Client, str]]:
    """Run the Memcached operator; yield its cluster, its client, and where its metrics are."""
    with EmbeddedCluster.start() as cluster:
        set_up(cluster)
        account = cluster.service_account(SYSTEM, ACCOUNT)
        options = PROGRAM.parser().parse_args(
            ["--health-probe-bind-address=127.0.0.1:0", "--metrics-bind-address=127.0.0.1:0"]
        )
        async with cluster.client(account) as client:
            cache, manager = PROGRAM.put_together(client, options)
            async with cache:
                stop = asyncio.Event()
                running = asyncio.create_task(manager.run(stop))
                await eventually(lambda: manager.addresses)
                yield cluster, client, str(manager.addresses[-1])
                stop.set()
                await running


def test_the_rules_are_rules_and_fire_when_they_should() -> None:
    for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]):
        done = subprocess.run([program("promtool"), *command], cwd=DOCS, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_and_says_what_is_wrong() -> None:
    tests = yaml.safe_load((DOCS / "alerts_test.yaml").read_text())["tests"]
    tested = {one["alertname"] for test in tests for one in test["alert_rule_test"] if one["exp_alerts"]}

    assert tested == {rule["alert"] for rule in rules()}
    assert all(rule["annotations"]["summary"] for rule in rules())


def test_what_the_page_names_is_what_the_library_reports() -> None:
    asked = " ".join([*dashboard_queries().values(), *alert_queries().values()])
    names = set(re.findall(r"\b(?:scopedcache|controller_runtime|workqueue|rest_client|leader_election)_\w+", asked))
    names = {re.sub("_bucket$", "", name) for name in names}

    assert names <= set(DECLARED)
    assert set(DECLARED) - names <= {WORK_SECONDS}, "a number that no panel shows"


async def test_every_query_of_the_dashboard_and_the_rules_returns_series(tmp_path: Path) -> None:
    async with operator() as (cluster, client, target), prometheus(target, tmp_path) as server:
        for namespace in NAMESPACES:
            cluster.create_namespace(namespace)
        cluster.apply(CONFIG / "rbac" / "rolebinding.yaml", namespace=NAMESPACES[0])
        cluster.apply(CONFIG / "rbac" / "rolebinding.yaml", namespace=NAMESPACES[1])
        for size, namespace in enumerate(NAMESPACES, 1):
            cluster.create(memcached(namespace, "sample", size))
        await server.unanswered({"scraped": "scopedcache_scopes"})
        cluster.delete("rolebindings.rbac.authorization.k8s.io", "op-rolebinding-default", NAMESPACES[1])
        with suppress(ScopedCacheError):
            await client.list("secrets", namespace=NAMESPACES[0])  # a 403
        broken = cluster.faults.add(Fault(verb="get", resource="configmaps", code=503))
        with suppress(ScopedCacheError):
            await client.get("configmaps", "any", namespace=NAMESPACES[0])
        cluster.faults.remove(broken)
        queries = dashboard_queries() | alert_queries()
        left = await server.unanswered(queries)
        targets = await server.query("up")

    assert left == []
    assert [one["metric"]["job"] for one in targets] == ["memcached-operator"]
