"""Replicas that share their work in front of a server that knows shards (KEP-5866): it leaves out what is another's."""

import asyncio
import logging
import re
from contextlib import asynccontextmanager
from urllib.parse import unquote_plus

import pytest

from scopedcache.controller.sharding.coordinator import ASK_SERVER_SECONDS
from scopedcache.hash_ranges import ring_hash
from scopedcache.testing import EmbeddedCluster
from tests.unit.cluster import MEMCACHED
from tests.unit.controller.sharding.replicas import fleet

NAMES = [f"ns-{number:02}" for number in range(24)]
GATE = "ShardedListAndWatch"


@pytest.fixture
async def f():
    async with fleet() as running:
        running.server.embedded.server.feature_gates.add(GATE)
        running.primaries(NAMES)
        yield running


class Garbling:
    """A way to the server on which the shards of primaries are garbled, and counted."""

    def __init__(self, way):
        self._way = way
        self.garbled = 0

    def _garble(self, path, query):
        if "memcacheds" not in path or not any(name == "shardSelector" for name, _ in query):
            return query
        self.garbled += 1
        return [(name, value + " ||" if name == "shardSelector" else value) for name, value in query]

    async def request(self, method, path, query=(), **about):
        return await self._way.request(method, path, self._garble(path, query), **about)

    def stream(self, path, query=(), **about):
        return self._way.stream(path, self._garble(path, query), **about)

    async def close(self):
        await self._way.close()


class Endless:
    """A stream whose list does not end before it may."""

    def __init__(self, stream, may_end):
        self._stream, self._may_end = stream, may_end
        self.status, self.content_type, self.headers = stream.status, stream.content_type, stream.headers

    async def chunks(self):
        async for chunk in self._stream.chunks():
            for line in chunk.splitlines(keepends=True):
                if b"k8s.io/initial-events-end" in line:
                    await self._may_end.wait()
                yield line

    async def read(self):
        return await self._stream.read()


class Slow:
    """A way to the server on which the list that a watch of primaries begins with does not end before it may."""

    def __init__(self, way):
        self._way = way
        self.may_end = asyncio.Event()

    async def request(self, method, path, query=(), **about):
        return await self._way.request(method, path, query, **about)

    @asynccontextmanager
    async def stream(self, path, query=(), **about):
        async with self._way.stream(path, query, **about) as stream:
            yield Endless(stream, self.may_end) if "memcacheds" in path else stream

    async def close(self):
        await self._way.close()


def shown(uri):
    """Return the namespaces whose objects a watch brings."""
    words = re.findall(r"'0x([0-9a-f]+)'", unquote_plus(uri))
    ranges = [(int(start, 16), int(end, 16)) for start, end in zip(words[::2], words[1::2], strict=True)]
    return [name for name in NAMES if any(start <= ring_hash(name) < end for start, end in ranges)]


def watched(f, user):
    """Return what the open watches of primaries are asked for."""
    watches = f.server.embedded.audit.open_watches(user=user)
    return [watch.uri for watch in watches if watch.resource == str(MEMCACHED)]


def lists(f, user):
    """Return what lists of all primaries were asked for, as watches that begin with one are too."""
    requests = f.server.embedded.audit.requests(user=user, resource=str(MEMCACHED))
    of_one = "resourceVersionMatch=Exact"  # asks whether the server's history is still the one that was seen
    return [
        one.uri for one in requests if "sendInitialEvents" in one.uri or (one.verb == "list" and of_one not in one.uri)
    ]


async def test_each_replica_asks_for_its_part_alone(f):
    replicas = [await f.start(name) for name in ("a", "b")]
    await asyncio.sleep(40)

    assert all("shardSelector=" in uri for name in ("a", "b") for uri in watched(f, name))
    assert [one.manager.summary()["sharding"]["server_filters"] for one in replicas] == [True, True]
    assert sorted(one.objects for one in replicas) == [12, 12]


async def test_a_replica_that_has_given_something_away_asks_for_it_no_more(f):
    await f.start("a")
    await asyncio.sleep(20)
    (before,) = watched(f, "a")
    await f.start("b")
    await asyncio.sleep(20)
    (after,) = watched(f, "a")

    assert shown(before) == NAMES
    assert sorted(shown(after) + shown(*watched(f, "b"))) == NAMES


async def test_what_was_heard_last_and_was_given_away_makes_nobody_list_anew(f):
    await f.start("a")
    await asyncio.sleep(20)
    await f.start("b")
    await asyncio.sleep(1)
    for name in NAMES:
        f.touch(name, 2)
    last = NAMES[0]
    while "a" in f.owners()[last]:
        f.touch(last, 3)
        await asyncio.sleep(0.1)
    await asyncio.sleep(20)
    before = len(lists(f, "a"))
    f.server.cut()
    await asyncio.sleep(20)

    assert lists(f, "a")[before:] == []


async def test_a_server_that_learns_of_shards_is_asked_for_a_part_by_watches_that_are_open(f):
    f.server.embedded.server.feature_gates.clear()
    for name in ("a", "b"):
        await f.start(name)
    await asyncio.sleep(40)
    before = watched(f, "a")
    f.server.embedded.server.feature_gates.add(GATE)
    await asyncio.sleep(ASK_SERVER_SECONDS + 10)

    assert ["shardSelector=" in uri for uri in (*before, *watched(f, "a"))] == [False, True]


async def test_of_two_servers_one_may_know_no_shards_and_each_object_is_one_replicas_all_the_same(f):
    other = f.server.embedded.front_end()
    other.server.feature_gates.clear()
    embedded = f.server.embedded

    def by_turns(user):
        return lambda way: embedded.balanced_client(embedded.user(user), [embedded.front_ends[0], other]).transport

    replicas = [await f.start(name, through=by_turns(name)) for name in ("a", "b")]
    await asyncio.sleep(40)

    assert [len(owners) for owners in f.owners().values()] == [1] * len(NAMES)
    assert sorted(one.objects for one in replicas) == [12, 12]


async def test_a_shard_that_the_server_cannot_read_is_said_once_and_left_out_from_then_on(f, caplog):
    ways = []

    def through(way):
        ways.append(Garbling(way))
        return ways[-1]

    with caplog.at_level(logging.ERROR):
        a = await f.start("a", through=through)
        await asyncio.sleep(40)
        await f.start("b")
        await asyncio.sleep(1200)  # the server is asked whether it knows shards, and says yes, again and again
    said = [record for record in caplog.records if record.getMessage().startswith("shard.selector_refused")]
    sharding = a.manager.summary()["sharding"]

    assert (len(said), ways[0].garbled) == (1, 1)
    assert (a.objects, [len(owners) for owners in f.owners().values()]) == (12, [1] * len(NAMES))
    assert (sharding["server_filters"], "invalid shard selector" in sharding["error"]) == (False, True)


async def test_what_is_given_away_before_it_was_listed_is_reconciled_when_it_comes_back(f):
    ways = []

    def through(way):
        ways.append(Slow(way))
        return ways[-1]

    a = await f.start("a", through=through)
    await asyncio.sleep(5)  # everything is wanted of it, and it has asked for it
    b = await f.start("b")
    await asyncio.sleep(30)
    ways[0].may_end.set()
    await asyncio.sleep(30)
    before = (a.objects, len(set(a.runs)), len(shown(*watched(f, "a"))))
    await b.end()
    await asyncio.sleep(60)

    assert before == (12, 12, 12)
    assert {namespace for namespace, _ in a.runs} == set(NAMES)


def test_a_feature_gate_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="no feature gates: Nothing; known here: ShardedListAndWatch"):
        EmbeddedCluster.start(feature_gates=[GATE, "Nothing"])
