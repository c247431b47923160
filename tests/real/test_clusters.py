"""Several clusters in one process, over HTTP: the manager's own and a near one embedded, the far one real."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from scopedcache import Client, Clusters, ClusterSecrets, Controller, Manager, ObjectKey, Request, ScopedCache
from scopedcache.metrics import WATCH_AGE, Counters
from scopedcache.testing import ControlPlane, EmbeddedCluster, Grant, Identity, eventually
from tests.unit.kubeconfig import flat
from tests.unit.managers import running

pytestmark = pytest.mark.real

Plane = ControlPlane | EmbeddedCluster
MAPS, TEAM, FLEET = "configmaps", "team", "fleet"
LABELS = {"fleet": "member"}
AWAY = "the API server does not answer"
# A denial, and a cluster that comes back, take B at most; these machines are slow.
SECONDS = 30.0
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def far(scopedcache_control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """Yield a control plane that these tests alone harm; where the shared one cannot start, that says what follows."""
    with ControlPlane.start(kubelet=False, controllers=()) as running:
        running.create_namespace(TEAM)
        yield running


@pytest.fixture
def home() -> Iterator[EmbeddedCluster]:
    with EmbeddedCluster.start(http=True) as cluster:
        cluster.create_namespace(FLEET)
        cluster.create_namespace(TEAM)
        yield cluster


@pytest.fixture
def near() -> Iterator[EmbeddedCluster]:
    with EmbeddedCluster.start(http=True) as cluster:
        cluster.create_namespace(TEAM)
        yield cluster


class Fleet:
    """An operator over these clusters, and which requests it got."""

    def __init__(self, home: EmbeddedCluster, near: EmbeddedCluster, far: ControlPlane) -> None:
        self.planes: dict[str, Plane] = {"": home, "near": near, "far": far}
        self.accounts: dict[str, Identity] = {}
        self.grants: dict[str, Grant] = {}
        for name, plane in self.planes.items():
            self.new_account(name, plane)
        self.requests: list[str] = []
        self.counters = Counters()

    def new_account(self, name: str, plane: Plane) -> Identity:
        """Make an account that may read ConfigMaps of the team."""
        account = self.accounts[name] = plane.service_account(FLEET, f"operator-{next(_numbers)}")
        self.grants[name] = plane.grant(account, ("list", "watch"), [MAPS], namespace=TEAM)
        return account

    def client(self, name: str) -> Client:
        return Client.connect(kubeconfig=self.accounts[name].kubeconfig)

    def put(self, cluster: str) -> str:
        """Create a ConfigMap with a name of its own; return the request that it is to cause."""
        name = f"map-{next(_numbers)}"
        self.planes[cluster].create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}, TEAM)
        return str(Request(ObjectKey(TEAM, name), cluster))

    async def arrives(self, *clusters: str) -> None:
        """Create an object in each of them, and wait until each is reconciled."""
        wanted = {await asyncio.to_thread(self.put, cluster) for cluster in clusters}
        await eventually(lambda: wanted <= set(self.requests), within=SECONDS, what=f"{wanted} of {self.requests}")

    async def reconcile(self, request: Request) -> None:
        self.requests.append(str(request))

    def state(self, manager: Manager, cluster: str) -> dict[str, Any]:
        found: dict[str, Any] = manager.summary()["clusters"].get(cluster, {})
        return found

    def secret(self, cluster: str, content: bytes | None = None) -> dict[str, Any]:
        """Return the Secret of a cluster; without content, with the kubeconfig of its account."""
        value = base64.b64encode(flat(self.accounts[cluster]) if content is None else content).decode()
        about = {"name": cluster, "namespace": FLEET, "labels": LABELS}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": about, "data": {"kubeconfig": value}}

    @asynccontextmanager
    async def running(self, clusters: Clusters, **options: Any) -> AsyncIterator[Manager]:
        client = self.client("")
        async with client, ScopedCache(client, rbac_watch=False) as cache:
            controller = Controller(for_=MAPS, reconcile=self.reconcile, namespaces=[TEAM], clusters="all")
            manager = Manager(
                cache, controllers=[controller], clusters=clusters, instrumentation=self.counters,
                health_address="127.0.0.1:0", metrics_address="127.0.0.1:0", **options,
            )  # fmt: skip
            async with running(manager):
                yield manager


@pytest.fixture
def fleet(home: EmbeddedCluster, near: EmbeddedCluster, far: ControlPlane) -> Fleet:
    return Fleet(home, near, far)


@asynccontextmanager
async def clients(fleet: Fleet, *names: str) -> AsyncIterator[Mapping[str, Client]]:
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(fleet.client(name)) for name in names}


async def fetch(address: object, path: str) -> tuple[int, str]:
    """Return the status and the body that a probe or a scrape is answered."""

    def get() -> tuple[int, str]:
        with urllib.request.urlopen(f"http://{address}{path}") as answer:
            return answer.status, answer.read().decode()

    return await asyncio.to_thread(get)


async def readyz(manager: Manager) -> tuple[int, dict[str, Any]]:
    """Return the status of /readyz, and what it says of the clusters."""
    status, body = await fetch(manager.addresses[0], "/readyz")
    return status, json.loads(body)["clusters"]


def ages(scrape: str) -> dict[str, float]:
    """Return how long each cluster was not heard, as /metrics says."""
    lines = [line for line in scrape.splitlines() if line.startswith(WATCH_AGE)]
    return {line.partition('cluster="')[2].partition('"')[0]: float(line.rpartition(" ")[2]) for line in lines}


async def is_told(caplog: pytest.LogCaptureFixture, event: str, **fields: str) -> None:
    def told() -> bool:
        about = [one.__dict__ for one in caplog.records if one.getMessage().startswith(event)]
        return any(fields.items() <= one.items() for one in about)

    await eventually(told, within=SECONDS, what=f"{event} {fields}")


async def test_reconciles_of_an_embedded_and_a_real_cluster_say_where_they_are(fleet: Fleet) -> None:
    async with clients(fleet, "near", "far") as others, fleet.running(Clusters(others)) as manager:
        await fleet.arrives("", "near", "far")
        status, shown = await readyz(manager)
        _, scrape = await fetch(manager.addresses[0], "/metrics")
        assert (status, {name: (one["ready"], one["answers"]) for name, one in shown.items()}) == (
            200,
            {"near": (True, True), "far": (True, True)},
        )
        assert ages(scrape).keys() == {"", "near", "far"}


async def test_a_frozen_api_server_delays_nobody_is_shown_and_comes_back_by_itself(
    fleet: Fleet, far: ControlPlane
) -> None:
    async with clients(fleet, "near", "far") as others, fleet.running(Clusters(others)) as manager:
        await fleet.arrives("", "near", "far")
        far.apiserver.pause()
        try:
            await eventually(lambda: not fleet.state(manager, "far")["answers"], within=SECONDS)
            await fleet.arrives("", "near")
            status, shown = await readyz(manager)
            _, scrape = await fetch(manager.addresses[0], "/metrics")
            assert (status, shown["far"]["reasons"], shown["near"]["reasons"]) == (200, [AWAY], [])
            assert ages(scrape)["far"] > ages(scrape)["near"]
        finally:
            far.apiserver.resume()
        await fleet.arrives("far", "near", "")
        await eventually(lambda: fleet.state(manager, "far")["answers"], within=SECONDS)


async def test_an_api_server_that_restarts_is_away_in_its_cluster_alone(fleet: Fleet, far: ControlPlane) -> None:
    async with clients(fleet, "near", "far") as others, fleet.running(Clusters(others)) as manager:
        await fleet.arrives("", "near", "far")
        await asyncio.to_thread(far.apiserver.stop)
        try:
            await eventually(lambda: fleet.state(manager, "far")["reasons"] == [AWAY], within=SECONDS)
            await fleet.arrives("", "near")
        finally:
            await asyncio.to_thread(far.apiserver.start)
        await fleet.arrives("far", "near", "")
        await eventually(lambda: fleet.state(manager, "far")["reasons"] == [], within=SECONDS)


async def test_a_cluster_that_does_not_answer_from_the_first_moment_keeps_nobody_waiting(
    fleet: Fleet, far: ControlPlane
) -> None:
    far.apiserver.pause()
    try:
        async with clients(fleet, "near", "far") as others, fleet.running(Clusters(others)) as manager:
            await fleet.arrives("", "near")
            await eventually(lambda: fleet.state(manager, "far")["reasons"][:1] == [AWAY], within=SECONDS)
            assert not fleet.state(manager, "far")["ready"]
            far.apiserver.resume()
            await fleet.arrives("far")
    finally:
        far.apiserver.resume()


async def test_a_right_that_goes_away_in_one_cluster_is_a_denial_there_alone(fleet: Fleet) -> None:
    async with clients(fleet, "near", "far") as others, fleet.running(Clusters(others)) as manager:
        await fleet.arrives("", "near", "far")
        await asyncio.to_thread(fleet.grants["far"].revoke)
        missing = f"may not list configmaps in namespace {TEAM}"
        await eventually(lambda: missing in str(fleet.state(manager, "far")["reasons"]), within=SECONDS)
        assert not fleet.state(manager, "far")["ready"]
        await fleet.arrives("", "near")
        assert (fleet.state(manager, "near")["reasons"], manager.summary()["reasons"]) == ([], [])
        await asyncio.to_thread(fleet.grants["far"].restore)
        await fleet.arrives("far")


async def test_a_frozen_cluster_that_is_removed_delays_no_other_and_leaves_no_numbers(
    fleet: Fleet, far: ControlPlane
) -> None:
    async with clients(fleet, "near", "far") as others, fleet.running(clusters := Clusters()) as manager:
        clusters.add("far", others["far"])
        await fleet.arrives("", "far")
        far.apiserver.pause()
        try:
            clusters.remove("far")
            clusters.add("near", others["near"])
            await fleet.arrives("near", "")
            await eventually(lambda: not fleet.state(manager, "far"), within=SECONDS)
            _, scrape = await fetch(manager.addresses[0], "/metrics")
            assert ages(scrape).keys() == {"", "near"}
        finally:
            far.apiserver.resume()
        clusters.add("far", others["far"])
        await fleet.arrives("far")


async def test_a_frozen_cluster_does_not_hold_up_the_end(fleet: Fleet, far: ControlPlane) -> None:
    try:
        async with clients(fleet, "far") as others, asyncio.timeout(SECONDS):
            async with fleet.running(Clusters(others)) as manager:
                await fleet.arrives("", "far")
                far.apiserver.pause()
                await eventually(lambda: not fleet.state(manager, "far")["answers"], within=SECONDS)
    finally:
        far.apiserver.resume()


async def test_the_secret_of_a_frozen_cluster_goes_and_the_next_one_comes_at_once(
    fleet: Fleet, home: EmbeddedCluster, far: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    home.grant(fleet.accounts[""], ("list", "watch"), ["secrets"], namespace=FLEET)
    home.apply(fleet.secret("far"))
    async with fleet.running(Clusters(secrets=ClusterSecrets(FLEET, LABELS))) as manager:
        await fleet.arrives("", "far")
        far.apiserver.pause()
        try:
            await eventually(lambda: not fleet.state(manager, "far")["answers"], within=SECONDS)
            home.delete("secrets", "far", FLEET)
            home.apply(fleet.secret("near"))
            await fleet.arrives("near", "")
            await eventually(lambda: not fleet.state(manager, "far"), within=SECONDS)
        finally:
            far.apiserver.resume()
        home.apply(fleet.secret("far"))
        await fleet.arrives("far")
    assert [one for one in caplog.records if one.levelname == "ERROR"] == []


async def test_a_credential_that_expires_and_a_broken_kubeconfig_are_told_and_heal_when_the_secret_is_mended(
    fleet: Fleet, home: EmbeddedCluster, far: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    home.grant(fleet.accounts[""], ("list", "watch"), ["secrets"], namespace=FLEET)
    home.apply([fleet.secret("near"), fleet.secret("far")])
    async with fleet.running(Clusters(secrets=ClusterSecrets(FLEET, LABELS))) as manager:
        await fleet.arrives("", "near", "far")
        expired = fleet.accounts["far"]
        await asyncio.to_thread(far.delete, "serviceaccounts", expired.name, FLEET)
        await eventually(lambda: fleet.state(manager, "far")["unauthenticated"], within=2 * SECONDS)
        await is_told(caplog, "credentials.refused", cluster="far")
        await fleet.arrives("", "near")
        home.apply(fleet.secret("far", b"clusters: ["))
        await is_told(caplog, "cluster.unusable", secret=f"{FLEET}/far")
        await fleet.arrives("", "near")
        assert fleet.state(manager, "far")["unauthenticated"]
        missed = await asyncio.to_thread(fleet.put, "far")
        await asyncio.to_thread(fleet.new_account, "far", far)
        home.apply(fleet.secret("far"))
        await eventually(lambda: missed in fleet.requests, within=SECONDS)
        await fleet.arrives("", "near", "far")
        assert not fleet.state(manager, "far")["unauthenticated"]
        home.delete("secrets", "far", FLEET)
        await eventually(lambda: not fleet.state(manager, "far"), within=SECONDS)
        await fleet.arrives("", "near")
    assert [one for one in caplog.records if one.levelname == "ERROR"] == []
