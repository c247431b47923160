"""Who sees the permission page, and what it is told."""

import asyncio
import json

import aiohttp
import pytest

from scopedcache import ScopedCache
from scopedcache.controller import Manager
from scopedcache.controller.manager.health_server import HealthServer
from scopedcache.controller.manager.short_connections import KEPT_AT_MOST, LIFE_SECONDS, ShortConnections
from scopedcache.controller.manager.token_access import NO_SECONDS, YES_SECONDS, TokenAccess
from scopedcache.controller.reporting.page.page_state import PageState
from scopedcache.controller.reporting.page.rights_feed import (
    UNREAD_AT_MOST,
    VIEWERS_AT_MOST,
    RightsFeed,
    TooManyViewersError,
)
from scopedcache.controller.reporting.page.rights_page import PATH
from tests.unit.clock import after, idle
from tests.unit.cluster import CONFIG_MAP, POD
from tests.unit.controller.tokens import allow_path, grant_reviews

real = pytest.mark.asyncio(loop_factories=["real"])


def told(queue):
    """Return what a viewer was told since the last look, as data."""
    found = []
    while not queue.empty():
        event, data = queue.get_nowait()
        found.append((event, json.loads(data)))
    return found


# -- what is new ---------------------------------------------------------------------------------------------------


def test_only_what_changed_is_news_and_what_went_is_None():
    state = PageState()
    state.update("rights", {"a": 1, "b": 2, "c": 3})

    assert state.update("rights", {"a": 1, "b": 5, "d": 4}) == {"b": 5, "d": 4, "c": None}
    assert state.update("rights", {"a": 1, "b": 5, "d": 4}) == {}


async def test_a_viewer_hears_everything_first_and_then_what_changes(w):
    owner = w.memcached()
    await w.cache.open(owner, POD)
    async with RightsFeed(w.cache.live_view()) as feed, feed.viewer() as queue:
        ((event, everything),) = told(queue)
        w.server.revoke(w.rights[POD])
        await after(10)
        news = [change for _, change in told(queue)]

    assert (event, everything["rights"]["a"]["list pods"]["state"]) == ("full", "allowed")
    assert everything["owners"][f"{owner.uid} a"]["state"] == "open"
    states = [change["rights"]["a"]["list pods"]["state"] for change in news if change.get("rights")]
    assert states[-1] == "denied"
    reason = [change["rights"]["a"]["list pods"] for change in news if change.get("rights")][-1]["reason"]
    assert reason.startswith("may not list pods in namespace a (Forbidden since ")
    assert [change["owners"] for change in news if change.get("owners")][-1][f"{owner.uid} a"]["missing"] == [
        "list pods",
        "watch pods",
    ]
    assert any(change.get("informers") == {"pods a  False": None} for change in news)
    assert any(change["changes"]["last"][0]["state"] == "denied" for change in news if change.get("changes"))


async def test_a_quiet_cache_is_no_news(w):
    await w.cache.open(w.memcached(), POD)
    async with RightsFeed(w.cache.live_view()) as feed, feed.viewer() as queue:
        await after(3)
        told(queue)
        await after(20)

        assert [sorted(change) for _, change in told(queue) if set(change) - {"summary"}] == []


async def test_an_informer_shows_how_many_events_come_in_a_second(w):
    owner = w.memcached()
    await w.cache.open(owner, CONFIG_MAP)
    async with RightsFeed(w.cache.live_view()) as feed, feed.viewer() as queue:
        await after(2)
        told(queue)
        for number in range(5):
            w.server.put(CONFIG_MAP, f"c{number}", "a")
        await after(1.5)
        rates = [row["rate"] for _, change in told(queue) for row in change.get("informers", {}).values() if row]

    assert 5.0 in rates


async def test_nobody_looks_where_nobody_listens(w):
    before = asyncio.all_tasks()
    async with RightsFeed(w.cache.live_view()) as feed:
        async with feed.viewer():
            during = asyncio.all_tasks() - before
        await idle()
        after_it = asyncio.all_tasks() - before

    assert (len(during), after_it) == (1, set())


async def test_a_viewer_who_does_not_read_is_let_go(w):
    async with RightsFeed(w.cache.live_view(), tick=0.1) as feed, feed.viewer() as queue:
        for number in range(10 * UNREAD_AT_MOST):
            w.server.put(POD, f"p{number}", "a")
            await w.cache.open(w.memcached(f"m{number}"), POD)
            await after(0.1)

        assert [queue.get_nowait(), queue.empty()] == [None, True]


async def test_the_page_is_not_open_more_often_than_that(w):
    async with RightsFeed(w.cache.live_view()) as feed:
        viewers = [feed.viewer() for _ in range(VIEWERS_AT_MOST + 1)]
        for viewer in viewers[:-1]:
            await viewer.__aenter__()
        with pytest.raises(TooManyViewersError, match="16 viewers"):
            await viewers[-1].__aenter__()
        for viewer in viewers[:-1]:
            await viewer.__aexit__(None, None, None)


async def test_what_the_cache_would_like_for_itself_is_no_missing_right(w):
    async with ScopedCache(w.client, rbac_watch=True) as cache:
        await after(5)
        async with RightsFeed(cache.live_view()) as feed, feed.viewer() as queue:
            ((_, everything),) = told(queue)

    assert (everything["rights"], everything["changes"]["last"], everything["summary"]["missing"]) == ({}, [], 0)


# -- who sees it -----------------------------------------------------------------------------------------------------


async def ask(manager, path=PATH, *, host="127.0.0.1", headers=None):
    (address,) = manager.addresses
    async with aiohttp.ClientSession() as session:
        url = f"http://{host}:{address.port}{path}"
        async with session.get(url, headers=headers) as answer:
            return answer.status, await answer.text()


class Running:
    """A manager while it runs."""

    def __init__(self, cache, **options):
        self.manager = Manager(cache, health_address="127.0.0.1:0", **options)

    async def __aenter__(self):
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self.manager.run(self._stop))
        await asyncio.sleep(0.1)
        return self.manager

    async def __aexit__(self, *_):
        self._stop.set()
        await self._task


@real
async def test_it_is_off_unless_asked_for_and_says_so(w):
    async with Running(w.cache) as manager:
        status, text = await ask(manager)

    assert (status, text) == (404, "the permission page is off: Manager(rights_page=True) serves it here\n")


@real
async def test_this_machine_sees_it_and_nothing_on_it_comes_from_elsewhere(w):
    async with Running(w.cache, rights_page=True) as manager:
        status, text = await ask(manager)
        files = [(await ask(manager, f"{PATH}/page.{kind}"))[0] for kind in ("js", "css")]

    assert (status, files) == (200, [200, 200])
    assert "http" not in text


@real
async def test_a_name_that_a_stranger_made_to_point_here_is_not_this_machine(w):
    async with Running(w.cache, rights_page=True) as manager:
        status, text = await ask(manager, headers={"Host": "rebound.example.com:8081"})

    assert status == 401
    assert "kubectl port-forward" in text


@real
@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Envoy-Peer-Metadata", "Via"])
async def test_what_a_proxy_on_this_machine_hands_on_is_a_strangers(w, header):
    async with Running(w.cache, rights_page=True) as manager:
        status, _ = await ask(manager, headers={"Host": "localhost", header: "for=192.0.2.1"})

    assert status == 401


@real
@pytest.mark.parametrize("path", [PATH, f"{PATH}/events", f"{PATH}/page.js"])
async def test_a_token_that_may_get_the_page_sees_it_and_others_do_not(w, path):
    grant_reviews(w)
    server = w.server.embedded
    viewer, stranger = server.user("viewer"), server.user("stranger")
    allow_path(server, viewer, PATH)
    async with Running(w.cache, rights_page=True) as manager:
        statuses = {}
        for name, token in (("viewer", viewer.token), ("stranger", stranger.token), ("nobody", "x" * 20)):
            headers = {"Host": "operator.example.com", "Authorization": f"Bearer {token}"}
            if name == "viewer" and path.endswith("events"):
                statuses[name] = await first_event(manager, headers)
            else:
                statuses[name] = (await ask(manager, path, headers=headers))[0]

    assert statuses == {"viewer": 200, "stranger": 403, "nobody": 401}


@real
async def test_an_operator_that_may_not_ask_whose_token_it_is_says_so(w):
    async with Running(w.cache, rights_page=True) as manager:
        headers = {"Host": "operator.example.com", "Authorization": "Bearer x"}
        status, text = await ask(manager, headers=headers)

    assert status == 503
    assert "may not create tokenreviews.authentication.k8s.io" in text


async def first_event(manager, headers):
    (address,) = manager.addresses
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{address.port}{PATH}/events", headers=headers) as answer:
            assert (await answer.content.readline()) == b"event: full\n"
            return answer.status


async def test_an_answer_about_a_token_holds_for_a_while_and_no_longer(w):
    grant_reviews(w)
    server = w.server.embedded
    viewer = server.user("viewer")
    access = TokenAccess(w.client, PATH)
    refused = [await access.admit(viewer.token)]
    allow_path(server, viewer, PATH)
    asked = w.server.requests("create")
    refused.append(await access.admit(viewer.token))
    assert w.server.requests("create") == asked
    await after(NO_SECONDS + 1)

    assert (refused, await access.admit(viewer.token)) == (["forbidden"] * 2, "yes")
    server.delete("clusterrolebindings.rbac.authorization.k8s.io", "get-viewer")
    await after(YES_SECONDS + 1)
    assert await access.admit(viewer.token) == "forbidden"


# -- how long a connection lasts ---------------------------------------------------------------------------------------


class Wired(asyncio.Transport):
    def __init__(self):
        super().__init__()
        self.is_cut = False

    def abort(self):
        self.is_cut = True


def connect(connections):
    protocol, transport = connections(), Wired()
    protocol.connection_made(transport)
    return transport


async def test_a_viewers_connection_lives_on_and_the_oldest_of_too_many_makes_room():
    connections = ShortConnections(asyncio.Protocol)
    transports = [connect(connections) for _ in range(KEPT_AT_MOST + 2)]
    for transport in transports:
        connections.keep(transport)
    await after(10 * LIFE_SECONDS)

    assert [transport.is_cut for transport in transports] == [True] * 2 + [False] * KEPT_AT_MOST


@real
async def test_an_open_page_does_not_keep_the_operator_from_ending(w):
    async with aiohttp.ClientSession() as session:
        async with Running(w.cache, rights_page=True) as manager:
            (address,) = manager.addresses
            answer = await session.get(f"http://{address}{PATH}/events")
            await answer.content.readline()
        rest = await answer.content.read()

    assert rest.startswith(b"data: ")


@real
async def test_without_the_extra_the_metrics_page_says_which_one_it_needs(monkeypatch, counters):
    monkeypatch.setitem(__import__("sys").modules, "scopedcache.controller.manager.prometheus_page", None)
    async with HealthServer("127.0.0.1:0", numbers=lambda: counters) as server:
        async with aiohttp.ClientSession() as session, session.get(f"http://{server.address}/metrics") as answer:
            shown = answer.status, await answer.text()

    assert shown == (501, "this page needs prometheus-client: pip install 'scopedcache[metrics]'\n")
