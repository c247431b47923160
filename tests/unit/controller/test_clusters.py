"""Several clusters in one process: each by itself, coming and going, and none in the way of another."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any

import pytest

from scopedcache import (
    As,
    Clusters,
    ClusterSecrets,
    Controller,
    ControllerRing,
    ForbiddenError,
    LeaderElection,
    Manager,
    Need,
    Object,
    Request,
    Sharding,
)
from scopedcache.api.identity.cluster_secret import config_of
from scopedcache.controller.manager.cluster_secrets import CLUSTER_API
from scopedcache.errors import ConfigurationError
from scopedcache.metrics import BOUND, RECONCILES, WORKERS, Counters
from scopedcache.testing import EmbeddedCluster, eventually
from tests.unit.clock import now
from tests.unit.cluster import ALL_VERBS, CONFIG_MAP, LEASE, MEMCACHED, POD, READ, Cluster, served
from tests.unit.controller.world import World, world
from tests.unit.kubeconfig import flat
from tests.unit.managers import running

SECRET = served("", "secrets", "Secret")
AWAY = "the API server does not answer"


class Fleet:
    """Other clusters, each with the operator's rights."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.servers: dict[str, Cluster] = {}

    def start(self, name: str) -> Cluster:
        server = self.servers[name] = self._stack.enter_context(Cluster.running())
        for kind in (MEMCACHED, POD, CONFIG_MAP, LEASE):
            server.grant(None, kind, verbs=ALL_VERBS)
        return server


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(stack)


class Diary:
    def __init__(self) -> None:
        self.requests: list[str] = []

    async def reconcile(self, request: Request) -> None:
        self.requests.append(str(request))


async def test_a_controller_runs_in_each_cluster_and_the_request_says_in_which(w: World, fleet: Fleet) -> None:
    diary = Diary()
    east, west = fleet.start("east"), fleet.start("west")
    w.memcached("here")
    east.put(MEMCACHED, "m", "a")
    west.put(MEMCACHED, "m", "a")
    async with east.client() as one, west.client() as two:
        controller = Controller(for_=MEMCACHED.gvk, reconcile=diary, clusters="all")
        manager = Manager(w.cache, controllers=[controller], clusters={"east": one, "west": two})
        async with running(manager):
            await eventually(lambda: sorted(diary.requests) == ["a/here", "east: a/m", "west: a/m"])


async def test_a_controller_without_a_word_runs_at_home_alone(w: World, fleet: Fleet) -> None:
    diary = Diary()
    east = fleet.start("east")
    east.put(MEMCACHED, "m", "a")
    w.memcached("here")
    async with east.client() as one:
        manager = Manager(
            w.cache, controllers=[Controller(for_=MEMCACHED.gvk, reconcile=diary)], clusters={"east": one}
        )
        async with running(manager):
            await asyncio.sleep(30.0)
    assert set(diary.requests) == {"a/here"}


async def test_clusters_come_and_go_while_it_runs_and_leave_nothing_behind(w: World, fleet: Fleet) -> None:
    diary, clusters = Diary(), Clusters()
    controller = Controller(for_=MEMCACHED.gvk, reconcile=diary, clusters="others")
    async with running(Manager(w.cache, controllers=[controller], clusters=clusters)):
        await asyncio.sleep(5.0)
        before = len(asyncio.all_tasks())
        east = fleet.start("east")
        east.put(MEMCACHED, "m", "a")
        async with east.client() as client:
            clusters.add("east", client)
            await eventually(lambda: diary.requests == ["east: a/m"])
            clusters.remove("east")
            await eventually(lambda: east.open() == 0)
        east.put(MEMCACHED, "late", "a")
        await asyncio.sleep(30.0)
        assert diary.requests == ["east: a/m"]
        assert len(asyncio.all_tasks()) == before


async def test_a_cluster_that_does_not_answer_delays_nobody_and_readiness_is_not_its_affair(
    w: World, fleet: Fleet
) -> None:
    diary = Diary()
    east, silent = fleet.start("east"), fleet.start("silent")
    silent.trouble(latency=50_000.0)
    east.put(MEMCACHED, "m", "a")
    w.memcached("here")
    async with east.client() as one, silent.client() as two:
        controller = Controller(for_=MEMCACHED.gvk, reconcile=diary, clusters="all")
        manager = Manager(w.cache, controllers=[controller], clusters={"silent": two, "east": one})
        async with running(manager):
            await eventually(lambda: sorted(diary.requests) == ["a/here", "east: a/m"], within=5.0)
            assert manager.ready
            state = manager.summary()["clusters"]
            assert (state["east"]["ready"], state["silent"]["ready"]) == (True, False)


async def test_a_cluster_whose_server_falls_silent_says_so_until_it_answers_again(w: World, fleet: Fleet) -> None:
    east, west, diary = fleet.start("east"), fleet.start("west"), Diary()
    async with east.client() as one, west.client() as two:
        controller = Controller(for_=MEMCACHED.gvk, reconcile=diary, clusters="others")
        manager = Manager(w.cache, controllers=[controller], clusters={"east": one, "west": two})

        def told() -> list[tuple[bool, list[str]]]:
            state = manager.summary()["clusters"]
            return [(state[name]["answers"], state[name]["reasons"]) for name in ("east", "west")]

        async with running(manager):
            await eventually(lambda: manager.summary()["clusters"]["east"]["ready"])
            assert told() == [(True, []), (True, [])]
            silence = east.trouble(latency=50_000.0)
            await eventually(lambda: told() == [(False, [AWAY]), (True, [])], within=60.0)
            silence.over()
            await eventually(lambda: told() == [(True, []), (True, [])], within=60.0)


async def test_a_cluster_that_leaves_takes_its_numbers_along_and_what_was_counted_stays(w: World, fleet: Fleet) -> None:
    counters, clusters, diary = Counters(), Clusters(), Diary()
    east = fleet.start("east")
    east.put(MEMCACHED, "m", "a")
    controller = Controller(for_=MEMCACHED.gvk, reconcile=diary, clusters="others")
    manager = Manager(w.cache, controllers=[controller], clusters=clusters, instrumentation=counters)
    async with running(manager), east.client() as client:
        clusters.add("east", client)
        await eventually(lambda: diary.requests == ["east: a/m"])
        manager.report(counters)
        clusters.remove("east")
        await eventually(lambda: not manager.summary()["clusters"])
        manager.report(counters)
        left = {sample.name for sample in counters if ("cluster", "east") in sample.labels}
        assert (BOUND in left, WORKERS in left, counters.value(RECONCILES, cluster="east")) == (False, False, 1)


async def test_a_reconcile_that_will_not_end_keeps_its_own_cluster_waiting_and_no_other(w: World, fleet: Fleet) -> None:
    east, west, clusters = fleet.start("east"), fleet.start("west"), Clusters()
    requests: list[str] = []

    async def reconcile(request: Request) -> None:
        requests.append(str(request))
        if request.cluster == "east":
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1000.0)
            await asyncio.sleep(1000.0)

    for server in (east, west):
        server.put(MEMCACHED, "m", "a")
    controller = Controller(for_=MEMCACHED.gvk, reconcile=reconcile, clusters="others", deadline=None)
    async with east.client() as one, west.client() as two:
        async with running(Manager(w.cache, controllers=[controller], clusters=clusters)):
            clusters.add("east", one)
            await eventually(lambda: requests == ["east: a/m"])
            began = now()
            clusters.remove("east")
            clusters.add("west", two)
            await eventually(lambda: requests[1:] == ["west: a/m"])
            assert now() - began < 0.5


async def test_a_manager_that_is_run_again_runs_in_its_clusters_again(w: World, fleet: Fleet) -> None:
    east, diary = fleet.start("east"), Diary()
    east.put(MEMCACHED, "m", "a")
    async with east.client() as client:
        controller = Controller(for_=MEMCACHED.gvk, reconcile=diary, clusters="others")
        manager = Manager(w.cache, controllers=[controller], clusters={"east": client})
        for times in (1, 2):
            async with running(manager):
                await eventually(lambda: diary.requests == ["east: a/m"] * times)  # noqa: B023


async def test_the_numbers_of_a_cluster_carry_its_name(w: World, fleet: Fleet) -> None:
    counters, diary = Counters(), Diary()
    east = fleet.start("east")
    east.put(MEMCACHED, "m", "a")
    async with east.client() as one:
        controller = Controller(for_=MEMCACHED.gvk, reconcile=diary, clusters="others")
        manager = Manager(w.cache, controllers=[controller], clusters={"east": one}, instrumentation=counters)
        async with running(manager):
            await eventually(lambda: diary.requests)
            manager.report(counters)
            assert counters.value(RECONCILES, cluster="east") == 1
            assert counters.value(BOUND, cluster="east") > 0


async def test_an_owner_at_home_hears_of_what_it_opened_in_another_cluster(w: World, fleet: Fleet) -> None:
    east, seen = fleet.start("east"), []
    clusters = Clusters()

    async def reconcile(request: Request) -> None:
        owner = w.cache.cluster.get(MEMCACHED, request.key)
        if owner is not None and "east" in clusters:
            need = Need(CONFIG_MAP, route=lambda found: (found.labels or {}).get("owner"))
            scope = await clusters["east"].cache.open(owner, need, namespace="b")
            seen.append(sorted(found.name for found in scope.owned(CONFIG_MAP)))

    owner = w.memcached()
    async with east.client() as client:
        manager = Manager(w.cache, controllers=[Controller(for_=MEMCACHED.gvk, reconcile=reconcile)], clusters=clusters)
        async with running(manager):
            clusters.add("east", client)
            await eventually(lambda: seen == [[]])
            east.put(CONFIG_MAP, "c", "b", labels={"owner": owner.uid})
            await eventually(lambda: seen[-1] == ["c"])


async def test_what_is_at_home_is_reconciled_when_another_cluster_answers_again(w: World, fleet: Fleet) -> None:
    east, diary = fleet.start("east"), Diary()
    w.memcached()
    east.put(POD, "p", "a")
    controllers = [
        Controller(for_=MEMCACHED.gvk, reconcile=diary),
        Controller(for_=POD.gvk, reconcile=Diary(), clusters="others"),
    ]
    async with east.client() as client:
        manager = Manager(w.cache, controllers=controllers, clusters={"east": client})
        async with running(manager):
            await eventually(lambda: manager.summary()["clusters"]["east"]["ready"])
            silence = east.trouble(latency=50_000.0)
            await eventually(lambda: not manager.summary()["clusters"]["east"]["answers"], within=60.0)
            diary.requests.clear()
            silence.over()
            await eventually(lambda: diary.requests == ["a/m"], within=60.0)


async def test_one_leader_writes_in_all_clusters(w: World, fleet: Fleet) -> None:
    east, diary = fleet.start("east"), Diary()
    east.put(MEMCACHED, "m", "a")
    async with east.client() as one, east.client() as two:
        managers = [
            Manager(
                w.cache,
                controllers=[Controller(for_=MEMCACHED.gvk, reconcile=diary, clusters="others")],
                clusters={"east": client},
                leader_election=LeaderElection("lease", namespace="system", identity=name),
            )
            for name, client in (("one", one), ("two", two))
        ]
        async with running(managers[0]):
            await eventually(lambda: diary.requests == ["east: a/m"])
            async with running(managers[1]):
                await asyncio.sleep(60.0)
                assert diary.requests == ["east: a/m"]


async def test_a_controller_for_other_clusters_needs_some(w: World) -> None:
    controller = Controller(for_=MEMCACHED.gvk, reconcile=Diary(), clusters="others")
    with pytest.raises(ValueError, match="give clusters="):
        Manager(w.cache, controllers=[controller])


async def test_log_lines_of_what_happens_in_a_cluster_name_it_and_those_at_home_name_none(
    w: World, fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    east, clusters, opened = fleet.start("east"), Clusters(cache_options={"rbac_watch": False}), asyncio.Event()
    right = east.grant("b", SECRET)

    async def reconcile(request: Request) -> None:
        owner = w.cache.cluster.get(MEMCACHED, request.key)
        if owner is not None and "east" in clusters:
            await clusters["east"].cache.open(owner, SECRET, namespace="b")
            await w.cache.open(owner, POD)
            opened.set()

    w.memcached()
    async with east.client() as client:
        manager = Manager(w.cache, controllers=[Controller(for_=MEMCACHED.gvk, reconcile=reconcile)], clusters=clusters)
        with caplog.at_level(logging.DEBUG, logger="scopedcache"):
            async with running(manager):
                clusters.add("east", client)
                await opened.wait()
                east.cut()
                w.server.cut()
                await asyncio.sleep(10.0)
                right.revoke()
                w.rights[POD].revoke()
                await asyncio.sleep(60.0)
    lines = [record.__dict__ for record in caplog.records]
    removed = {
        (line["resource"], line.get("cluster"))
        for line in lines
        if line["event"] == "cache.removed" and "resource" in line
    }
    cut = {line.get("cluster") for line in lines if "<Informer secrets" in str(line.get("informer"))}
    assert removed == {("secrets", "east"), ("pods", None)}
    assert cut == {"east"}


@pytest.mark.parametrize("writes", [False, True], ids=["opens", "writes"])
async def test_an_owner_that_is_refused_in_another_cluster_does_not_run_again_for_rights_at_home(
    w: World, fleet: Fleet, writes: bool
) -> None:
    east, clusters, runs = fleet.start("east"), Clusters(cache_options={"rbac_watch": False}), []
    w.server.grant("b", SECRET, verbs=ALL_VERBS)  # at home it may
    east.embedded.create_namespace("b")

    async def reconcile(request: Request) -> None:
        owner = w.cache.cluster.get(MEMCACHED, request.key)
        if owner is not None and "east" in clusters:
            runs.append(now())
            if writes:
                body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "b"}}
                await clusters["east"].client.create(body)
            else:
                await clusters["east"].cache.open(owner, SECRET, namespace="b")

    w.memcached()
    async with east.client() as client:
        manager = Manager(w.cache, controllers=[Controller(for_=MEMCACHED.gvk, reconcile=reconcile)], clusters=clusters)
        async with running(manager):
            clusters.add("east", client)
            await eventually(lambda: runs)
            await asyncio.sleep(120.0)
            assert len(runs) <= 3
            before = len(runs)
            east.grant("b", SECRET, verbs=ALL_VERBS)
            await eventually(lambda: len(runs) > before, within=30.0)


@pytest.mark.parametrize(
    "sharding", [Sharding("operator", namespace="system"), ControllerRing("ring", namespace="system")]
)
async def test_sharding_and_clusters_are_refused_together_in_words_that_say_what_to_do(
    w: World, sharding: Sharding | ControllerRing
) -> None:
    with pytest.raises(ValueError, match=r"goes without clusters=: run a manager with sharding= for each cluster"):
        Manager(w.cache, clusters={}, sharding=sharding)


async def test_an_owner_is_served_as_its_identity_in_another_cluster_too(w: World, fleet: Fleet) -> None:
    east = fleet.start("east")
    east.embedded.grant(east.operator, ["impersonate"], ["users"])
    east.embedded.create_namespace("b")
    alices = east.embedded.grant(east.embedded.user("alice"), READ, ["configmaps"], namespace="b")
    clusters = Clusters(cache_options={"identity": lambda owner: As("alice"), "rbac_watch": False})
    seen: list[str] = []

    async def reconcile(request: Request) -> None:
        owner = w.cache.cluster.get(MEMCACHED, request.key)
        if owner is not None and "east" in clusters:
            try:
                await clusters["east"].cache.open(owner, CONFIG_MAP, namespace="b")
                seen.append("open")
            except ForbiddenError as error:
                seen.append(str(error))
                raise

    w.memcached()
    async with east.client() as client:
        manager = Manager(w.cache, controllers=[Controller(for_=MEMCACHED.gvk, reconcile=reconcile)], clusters=clusters)
        async with running(manager):
            clusters.add("east", client)
            await eventually(lambda: seen == ["open"])
            watching = east.embedded.audit.open_watches(resource="configmaps")
            assert [one.user for one in watching] == ["alice"]
            alices.revoke()
            missing = "may not list configmaps in namespace b of cluster east as alice"
            await eventually(lambda: missing in seen[-1], within=30.0)
            alices.restore()
            await eventually(lambda: seen[-1] == "open", within=30.0)


# -- Secrets ---------------------------------------------------------------------------------------------------------


def kubeconfig(server: str = "https://127.0.0.1:1", **user: Any) -> bytes:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": user or {"token": "t"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        }
    ).encode()


def data(**fields: bytes) -> Mapping[str, str]:
    return {name: base64.b64encode(value).decode() for name, value in fields.items()}


def test_a_secret_of_cluster_api_names_its_cluster_by_a_label() -> None:
    name, config = config_of("east-kubeconfig", "east", data(value=kubeconfig()))
    assert (name, config.endpoint.host) == ("east", "https://127.0.0.1:1")


def test_a_secret_of_argo_cd_says_the_same_in_its_own_form() -> None:
    fields = data(name=b"east", server=b"https://127.0.0.1:1", config=b'{"bearerToken": "t"}')
    name, config = config_of("cluster-east", None, fields)
    assert (name, config.endpoint.host, config.login is not None) == ("east", "https://127.0.0.1:1", True)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (data(value=b"not: a: kubeconfig"), "not"),
        (data(value=b""), "the file is empty"),
        (data(other=b"x"), "holds none of"),
        ({"value": "%%%"}, "data.value is not base64"),
        (data(server=b"https://h", config=b"["), "no JSON object"),
        (data(server=b"https://h", config=b'{"execProviderConfig": {"command": "rm"}}'), "by a program"),
        (
            data(
                value=kubeconfig(
                    exec={"apiVersion": "client.authentication.k8s.io/v1", "command": "rm", "interactiveMode": "Never"}
                )
            ),
            "by a program",
        ),
        (data(value=kubeconfig(tokenFile="/var/run/secrets/token")), "files of another machine"),
        (data(value=kubeconfig(**{"token": "t", "as": "root"})), "acts as somebody else"),
    ],
)
def test_a_secret_that_would_get_further_than_to_another_cluster_is_refused(
    fields: Mapping[str, str], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        config_of("east", None, fields)


class Secrets:
    """What somebody writes into Secrets of the fleet, and which clusters that makes."""

    def __init__(self, w: World) -> None:
        self.w = w
        self.right = w.server.grant("fleet", SECRET)
        self.clusters = Clusters(secrets=ClusterSecrets("fleet", CLUSTER_API))

    def write(self, secret: str, content: bytes | None = None, *, cluster: str = "", **fields: bytes) -> None:
        labels = {CLUSTER_API: cluster}
        about = {"name": secret, "namespace": "fleet", "labels": labels}
        self.w.server.write(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": about,
                "data": dict(data(**fields) if content is None else data(value=content)),
            }
        )

    def remove(self, name: str) -> None:
        self.w.server.remove(SECRET, name, "fleet")

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        async with running(Manager(self.w.cache, clusters=self.clusters)):
            yield


@pytest.fixture
def secrets(w: World) -> Secrets:
    return Secrets(w)


def told(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    """Return what lines of an event say of a Secret."""
    lines = [record for record in caplog.records if record.getMessage().startswith(event)]
    return [f"{record.__dict__.get('secret')}: {record.__dict__.get('error')}" for record in lines]


@pytest.mark.asyncio(loop_factories=["real"])  # there are sockets
async def test_the_client_of_a_cluster_is_closed_when_nothing_runs_by_it_any_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    controller = Controller(for_="configmaps", reconcile=Diary(), namespaces=["default"], clusters="others")
    with EmbeddedCluster.start(http=True) as server, caplog.at_level(logging.INFO, logger="scopedcache"):
        server.grant(server.user("operator"), READ, ["configmaps"], namespace="default")
        content = flat(server.user("operator"))
        async with world() as w:
            secrets = Secrets(w)
            async with running(Manager(w.cache, controllers=[controller], clusters=secrets.clusters)):
                for _ in range(2):  # it goes, and it is there when the program ends
                    secrets.write("one", content, cluster="east")
                    await eventually(lambda: server.audit.open_watches(resource="configmaps"))
                    secrets.remove("one")
                    await eventually(lambda: not server.audit.open_watches(resource="configmaps"))
                secrets.write("one", content, cluster="east")
                await eventually(lambda: server.audit.open_watches(resource="configmaps"))
    assert [record.getMessage() for record in caplog.records if "client is closed" in record.getMessage()] == []


async def test_a_secret_whose_cluster_can_have_no_such_name_is_told_and_the_others_go_on(
    secrets: Secrets, caplog: pytest.LogCaptureFixture
) -> None:
    async with secrets.followed():
        secrets.write("a-good", kubeconfig(), cluster="good")
        await eventually(lambda: list(secrets.clusters) == ["good"])
        good = secrets.clusters["good"]
        secrets.write("of-argo", name=b"prod/eu", server=b"https://127.0.0.1:1")
        await asyncio.sleep(60.0)
        assert told(caplog, "cluster.unusable") == ["fleet/of-argo: 'prod/eu' is no name of a cluster"]
        assert secrets.clusters["good"] is good
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_cluster_that_two_secrets_name_is_the_first_s_until_that_goes(
    secrets: Secrets, caplog: pytest.LogCaptureFixture
) -> None:
    async with secrets.followed():
        secrets.write("one", kubeconfig("https://127.0.0.1:1"), cluster="east")
        await eventually(lambda: list(secrets.clusters) == ["east"])
        first = secrets.clusters["east"]
        secrets.write("two", kubeconfig("https://127.0.0.1:2"), cluster="east")
        await eventually(lambda: told(caplog, "cluster.unusable"))
        assert "cluster 'east' is named by the Secret 'one' already" in told(caplog, "cluster.unusable")[0]
        assert secrets.clusters["east"] is first
        secrets.remove("one")
        await eventually(lambda: secrets.clusters.get("east") not in (None, first))


async def test_a_secret_does_not_take_the_place_of_a_cluster_that_the_program_was_given(
    w: World, secrets: Secrets, fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    async with fleet.start("east").client() as client:
        given = secrets.clusters.add("east", client)
        async with secrets.followed():
            secrets.write("one", kubeconfig(), cluster="east")
            await eventually(lambda: told(caplog, "cluster.unusable"))
            secrets.remove("one")
            await asyncio.sleep(30.0)
            assert secrets.clusters["east"] is given


async def test_where_secrets_cannot_be_seen_the_known_clusters_stay_and_what_was_missed_comes_with_the_grant(
    secrets: Secrets,
) -> None:
    async with secrets.followed():
        for name in ("east", "west"):
            secrets.write(name, kubeconfig("https://127.0.0.1:1"), cluster=name)
        await eventually(lambda: len(secrets.clusters) == 2)
        east = secrets.clusters["east"]
        secrets.right.revoke()
        await asyncio.sleep(60.0)
        assert secrets.clusters.get("east") is east
        secrets.write("east", kubeconfig("https://127.0.0.1:2"), cluster="east")
        secrets.remove("west")
        secrets.right.restore()
        await eventually(
            lambda: list(secrets.clusters) == ["east"] and secrets.clusters["east"] is not east, within=60.0
        )


async def test_that_secrets_of_clusters_may_not_be_read_is_said_by_readyz(w: World) -> None:
    w.server.embedded.create_namespace("fleet")
    clusters = Clusters(secrets=ClusterSecrets("fleet", CLUSTER_API))
    manager = Manager(w.cache, clusters=clusters)
    async with running(manager):
        await eventually(lambda: "may not list secrets in namespace fleet" in str(manager.summary()["reasons"]))
        w.server.grant("fleet", SECRET)
        await eventually(lambda: manager.summary()["reasons"] == [], within=30.0)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("certificate-authority-data", base64.b64encode(b"no certificate").decode(), "certificate"),
        ("server", "ftp://127.0.0.1", "not an http"),
        ("proxy-url", "socks9://127.0.0.1", "proxy"),
    ],
)
async def test_a_kubeconfig_by_which_no_connection_can_be_made_is_told_with_its_cluster(
    secrets: Secrets, caplog: pytest.LogCaptureFixture, field: str, value: str, words: str
) -> None:
    content = json.loads(kubeconfig())
    content["clusters"][0]["cluster"][field] = value
    async with secrets.followed():
        secrets.write("one", json.dumps(content).encode(), cluster="east")
        await eventually(lambda: told(caplog, "cluster.unusable"), within=60.0)
        assert words in told(caplog, "cluster.unusable")[0]
        secrets.write("one", kubeconfig(), cluster="east")
        await eventually(lambda: list(secrets.clusters) == ["east"])


async def test_a_secret_brings_a_cluster_changes_it_and_takes_it_away_and_a_broken_one_is_told(
    w: World, caplog: pytest.LogCaptureFixture
) -> None:
    w.server.grant("fleet", SECRET)
    clusters = Clusters(secrets=ClusterSecrets("fleet", CLUSTER_API))

    def write(name: str, content: bytes, **labels: str) -> Object:
        return w.server.write(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": "fleet", "labels": labels},
                "data": dict(data(value=content)),
            }
        )

    named = {CLUSTER_API: "east"}
    async with running(Manager(w.cache, clusters=clusters)):
        write("east-kubeconfig", kubeconfig(), **named)
        write("other", kubeconfig())
        await eventually(lambda: list(clusters) == ["east"])
        first = clusters["east"]
        write("east-kubeconfig", b"broken: [", **named)
        await eventually(lambda: "cluster.unusable" in caplog.text)
        assert clusters["east"] is first
        write("east-kubeconfig", kubeconfig("https://127.0.0.1:2"), **named)
        await eventually(lambda: clusters.get("east") not in (first, None))
        w.server.remove(SECRET, "east-kubeconfig", "fleet")
        await eventually(lambda: not clusters)
