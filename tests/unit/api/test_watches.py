"""One watch of the client: its events, its errors, and that nothing of it stays open."""

import asyncio
from contextlib import aclosing

import pytest

from scopedcache.api.client import Client
from scopedcache.errors import ForbiddenError, GoneError, NotFoundError, ProtocolError, TransportError
from tests.unit.clock import idle
from tests.unit.informer.events import PODS, added, bookmark, deleted, learn, line, pod
from tests.unit.informer.events import error as error_line
from tests.unit.informer.fake_transport import FakeTransport, status


@pytest.fixture
async def server():
    return FakeTransport()


@pytest.fixture
async def client(server):
    async with Client(server) as made:
        await learn(made, server, PODS)
        yield made


class Observer:
    def __init__(self):
        self.heard = []

    def observed(self, call, error):
        self.heard.append((call.verb, call.subject, call.namespace, type(error).__name__))


# -- watches ---------------------------------------------------------------------------------------------------------


async def test_a_watch_yields_events_and_leaves_bookmarks_out(client, server):
    events = client.watch(
        PODS, namespace="a", labels="app=x", fields="metadata.name=x", resource_version="5", timeout=9.6
    )
    first = asyncio.ensure_future(anext(events))
    watch = await server.watched()
    watch.accept(bookmark(6), added("x", 7))
    assert (await first)[0] == "ADDED"
    watch.send(deleted("x", 8))
    type_, gone = await anext(events)
    watch.end()
    assert [event async for event in events] == []
    assert (type_, gone.resource_version, gone.kind) == ("DELETED", "8", "Pod")
    assert (watch.path, watch.query) == (
        "/api/v1/namespaces/a/pods",
        {
            "labelSelector": "app=x",
            "fieldSelector": "metadata.name=x",
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": "5",
            "timeoutSeconds": "10",
        },
    )


async def test_an_ERROR_line_ends_a_watch_with_its_error(client, server):
    events = client.watch(PODS)
    first = asyncio.ensure_future(anext(events))
    (await server.watched()).accept(error_line(410, "Expired"))
    with pytest.raises(GoneError, match="words of 410"):
        await first
    assert not server.open


async def test_a_watch_that_ends_in_the_middle_of_a_line_did_not_end_well(client, server):
    events = client.watch(PODS)
    first = asyncio.ensure_future(anext(events))
    watch = await server.watched()
    watch.accept(added("x", 7))
    assert (await first)[1].name == "x"
    watch.send_chunk(line("DELETED", pod("x", 8)))
    watch.end()
    with pytest.raises(ProtocolError, match="ended in the middle of a line"):
        await anext(events)
    assert not server.open


async def test_the_end_of_the_initial_events_is_no_event_for_who_watches(client, server):
    events = client.watch(PODS)
    first = asyncio.ensure_future(anext(events))
    watch = await server.watched()
    watch.accept(bookmark(6, end=True), added("x", 7))
    assert (await first)[0] == "ADDED"
    await events.aclose()


@pytest.mark.parametrize(
    ("code", "body", "content_type", "expected"),
    [
        (403, status(403, "Forbidden", "no"), "application/json", ForbiddenError),
        (403, b"<html>", "text/html", TransportError),
        (200, b"<html>", "text/html", ProtocolError),
        (404, b"404 page not found", "text/plain", NotFoundError),
    ],
)
async def test_a_refused_watch_is_closed_and_told(client, server, code, body, content_type, expected):
    observer = Observer()
    client.add_observer(observer)
    first = asyncio.ensure_future(anext(client.watch(PODS)))
    (await server.watched()).answer(code, body, content_type)
    with pytest.raises(expected):
        await first
    assert (not server.open, observer.heard) == (True, [("watch", "pods", None, expected.__name__)])


async def test_a_server_that_cannot_be_reached_is_told_too(client, server):
    observer = Observer()
    client.add_observer(observer)
    first = asyncio.ensure_future(anext(client.watch(PODS)))
    (await server.watched()).unreachable()
    with pytest.raises(TransportError, match="connection refused"):
        await first
    assert observer.heard == [("watch", "pods", None, "TransportError")]


async def test_a_connection_that_breaks_is_told_and_one_that_we_cut_for_its_silence_is_not(client, server):
    observer = Observer()
    client.add_observer(observer)
    silent = asyncio.ensure_future(anext(client.watch(PODS, namespace="silent")))
    (await server.watched()).accept()
    with pytest.raises(TransportError):  # virtual time: nothing comes for longer than any server is silent
        await silent
    broken = asyncio.ensure_future(anext(client.watch(PODS, namespace="broken")))
    watch = await server.watched()
    watch.accept()
    watch.cut()
    with pytest.raises(TransportError):
        await broken

    told = [namespace for _, _, namespace, error in observer.heard if error == "TransportError"]
    assert told == ["broken"]


@pytest.mark.parametrize("when", ["opening", "open"])
async def test_a_cancelled_watch_leaves_no_connection(client, server, when):
    reading = asyncio.ensure_future(anext(client.watch(PODS)))
    watch = await server.watched()
    if when == "open":
        watch.accept()
        await idle()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not server.open


async def test_leaving_a_watch_early_closes_its_connection(client, server):
    async with aclosing(client.watch(PODS)) as events:
        first = asyncio.ensure_future(anext(events))
        watch = (await server.watched()).accept(added("x", 1))
        await first
        assert server.open == {watch}
    assert not server.open


async def test_a_connection_lost_in_the_middle_of_a_watch_is_told_once(client, server):
    observer = Observer()
    client.add_observer(observer)
    events = client.watch(PODS)
    first = asyncio.ensure_future(anext(events))
    watch = (await server.watched()).accept(added("x", 1))
    await first
    watch.cut()
    with pytest.raises(TransportError, match="connection lost"):
        await anext(events)
    assert observer.heard == [("watch", "pods", None, "NoneType"), ("watch", "pods", None, "TransportError")]
