"""Shards of a ring of kubernetes-controller-sharding in virtual time: an object is its shard's, by its label alone."""

import asyncio

import pytest

from scopedcache import ControllerRing, EventHandler, LeaderElection, Manager
from tests.unit.cluster import CONFIG_MAP, LEASE, MEMCACHED, READ, Cluster, Trouble
from tests.unit.controller.sharding.ring_story import live
from tests.unit.controller.sharding.rings import RING, SYSTEM, ring_on
from tests.unit.controller.sharding.sharder import LEASES, RING_LABEL, SHARDER, STATE_LABEL

NAMES = [f"ns-{number:02}" for number in range(12)]
SHARD = f"shard.alpha.sharding.timebertt.dev/{RING}"
DRAIN = f"drain.alpha.sharding.timebertt.dev/{RING}"


@pytest.fixture
def server():
    with Cluster.running() as running:
        yield running


@pytest.fixture
async def r(server):
    embedded = server.embedded

    def client_of(name):
        user = embedded.user(name)
        embedded.grant(user, ("get", "create", "update"), [str(LEASE)], namespace=SYSTEM)
        embedded.grant(user, READ, [str(CONFIG_MAP)])
        verbs = READ if name == "reader" else (*READ, "patch")
        running.rights[name] = embedded.grant(user, verbs, [str(MEMCACHED)])
        return embedded.client(user)

    async with ring_on(embedded, client_of) as running:
        yield running


async def shared_out(r, *names, **options):
    """Start shards and the sharder, and wait until each object has been reconciled by its own."""
    for name in NAMES:
        r.put(name)
    shards = [await r.start(name, **options) for name in names]
    r.share_out()
    await asyncio.sleep(30)
    return shards


def lease_of(r, name):
    return r.cluster.get(LEASES, name, SYSTEM)


async def test_an_object_is_reconciled_by_the_shard_that_its_label_names(r):
    a, b = await shared_out(r, "a", "b")

    assert {name: r.runs_of(name) for name in NAMES} == {name: [owner] for name, owner in r.owners().items()}
    assert a.objects + b.objects == len(NAMES)
    assert min(a.objects, b.objects) > 0


async def test_the_lease_is_what_the_sharder_asks_for_and_keeps_what_it_writes_there(r):
    await shared_out(r, "a")
    lease = lease_of(r, "a")

    assert (lease["metadata"]["name"], lease["spec"]["holderIdentity"]) == ("a", "a")
    assert lease["metadata"]["labels"] == {RING_LABEL: RING, STATE_LABEL: "ready"}


async def test_what_others_have_labelled_the_lease_with_stays(r):
    await r.start("a")
    await asyncio.sleep(5)
    r.cluster.patch(LEASES, "a", {"metadata": {"labels": {STATE_LABEL: "ready"}}}, SYSTEM)
    before = lease_of(r, "a")["spec"]["renewTime"]
    await asyncio.sleep(10)

    assert lease_of(r, "a")["metadata"]["labels"] == {RING_LABEL: RING, STATE_LABEL: "ready"}
    assert lease_of(r, "a")["spec"]["renewTime"] > before


async def test_an_object_without_a_shard_is_nobodys(r):
    await r.start("a")
    r.put("ns")
    await asyncio.sleep(30)

    assert r.runs == []


async def test_one_shard_more_gets_its_objects_by_draining_and_no_two_work_on_one(r):
    (a,) = await shared_out(r, "a", takes=2.0)
    for name in NAMES:
        r.touch(name, size="2")
    b = await r.start("b", takes=2.0)
    await asyncio.sleep(60)

    assert {name: r.runs_of(name)[-1] for name in NAMES} == r.owners()
    assert set(r.owners().values()) == {"a", "b"}
    assert (a.refused, b.refused, r.two_at_once()) == ([], [], [])
    assert not any(DRAIN in labels for labels in r.labels().values())


async def test_an_object_is_handed_over_when_its_run_has_ended(r):
    await shared_out(r, "a", takes=10.0, workers=12)
    await asyncio.sleep(60)
    r.touch("ns-01", size="2")
    await asyncio.sleep(1)
    r.label("ns-01", "m", {DRAIN: "true"})
    await asyncio.sleep(5)
    during = r.labels()["ns-01"]
    await asyncio.sleep(10)

    assert (during[SHARD], DRAIN in during) == ("a", True)
    assert DRAIN not in r.labels()["ns-01"]


async def test_an_object_is_handed_over_when_the_runs_of_all_controllers_have_ended(r):
    await shared_out(r, "a", takes=(1.0, 20.0), workers=12)
    await asyncio.sleep(60)
    r.touch("ns-01", size="2")
    await asyncio.sleep(2)
    r.label("ns-01", "m", {DRAIN: "true"})
    await asyncio.sleep(10)
    during = DRAIN in r.labels()["ns-01"]
    await asyncio.sleep(20)

    assert (during, DRAIN in r.labels()["ns-01"]) == (True, False)
    assert r.shards["a"].refused == []


async def test_handing_over_undoes_nothing_that_is_newer_than_what_was_seen(r):
    r.put("ns", **{SHARD: "a"})
    a = await r.start("a")
    await asyncio.sleep(5)
    a.link.freeze()
    r.label("ns", "m", {DRAIN: "true"})
    await asyncio.sleep(1)
    r.label("ns", "m", {SHARD: "b", DRAIN: None})
    a.link.thaw()
    await asyncio.sleep(5)

    assert r.labels() == {"ns": {SHARD: "b"}}


@pytest.mark.parametrize("options", [{"predicates": [lambda change: False]}, {"paused": "paused"}, {"settle": 3600.0}])
async def test_what_is_asked_for_is_handed_over_whatever_lets_other_changes_wait(r, options):
    r.put("ns", **{SHARD: "a"})
    await r.start("a", **options)
    r.touch("ns", paused="true")
    await asyncio.sleep(5)
    r.label("ns", "m", {DRAIN: "anything"})
    await asyncio.sleep(5)

    assert r.labels() == {"ns": {}}
    assert not any(run.found for run in r.runs if run.begun > 10)


async def test_what_is_handed_over_is_not_reconciled_as_deleted_and_its_children_stay(r, server):
    server.put(CONFIG_MAP, "child", "ns-01")
    (a,) = await shared_out(r, "a", opens=True)
    opened = a.opened
    await r.start("b")
    await asyncio.sleep(60)

    assert all(run.found for run in r.runs)
    assert (opened, a.opened) == (len(NAMES), list(r.owners().values()).count("a"))
    assert server.find(CONFIG_MAP, "child", "ns-01") is not None


async def test_nobody_is_told_that_what_is_another_shards_was_deleted(r):
    r.put("moved", **{SHARD: "a"})
    r.put("gone", **{SHARD: "a"})
    a = await r.start("a")
    told = []
    async with a.cache.informer(MEMCACHED) as informer:
        informer.add_handler(EventHandler(on_delete=lambda obj, unknown: told.append(obj.namespace)))
        await informer.wait_synced()
        r.label("moved", "m", {SHARD: "b"})
        r.cluster.delete(str(MEMCACHED), "m", "gone")
        await asyncio.sleep(5)

    assert told == ["gone"]
    assert [run.key[0] for run in r.runs if not run.found] == ["gone"]


async def moved_and_deleted_unseen(r, away, back):
    """Let objects move, go and stay while a shard cannot see it; return the shard when it can again."""
    for name in ("moved", "gone", "stays"):
        r.put(name, **{SHARD: "a"})
    a = await r.start("a")
    await asyncio.sleep(5)
    away()
    await asyncio.sleep(30)
    r.label("moved", "m", {SHARD: "b"})
    r.cluster.delete(str(MEMCACHED), "m", "gone")
    r.cluster.compact()
    back()
    await asyncio.sleep(120)
    return a


async def test_what_moved_or_was_deleted_while_no_watch_was_open_is_told_apart(r, server):
    def away():
        outages.append(server.trouble(MEMCACHED, code=503))
        server.cut()

    outages: list[Trouble] = []
    a = await moved_and_deleted_unseen(r, away, lambda: outages[0].over())

    assert a.objects == 1
    assert [run.key[0] for run in r.runs if not run.found] == ["gone"]


async def test_what_moved_or_was_deleted_while_it_was_denied_is_told_apart(r):
    a = await moved_and_deleted_unseen(r, lambda: r.rights["a"].revoke(), lambda: r.rights["a"].restore())

    assert a.objects == 1
    assert [run.key[0] for run in r.runs if not run.found] == ["gone"]


async def test_more_objects_than_are_asked_for_by_name_move_at_once(r):
    names = [f"m{number}" for number in range(30)]
    for name in names:
        r.put("ns", name, **{SHARD: "a"})
    a = await r.start("a")
    await asyncio.sleep(5)
    a.link.freeze()
    for name in names[1:]:
        r.label("ns", name, {SHARD: "b"})
    r.cluster.delete(str(MEMCACHED), names[0], "ns")
    a.link.thaw()
    await asyncio.sleep(5)

    asked = [one.uri for one in r.cluster.audit.requests(user="a", verb="list") if "metadata.name" in one.uri]
    assert (a.objects, asked) == (0, [])
    assert [run.key[1] for run in r.runs if not run.found] == [names[0]]


async def test_what_is_there_anew_and_another_shards_is_none_of_our_business(r):
    r.put("ns", **{SHARD: "a"})
    a = await r.start("a")
    await asyncio.sleep(5)
    since = asyncio.get_running_loop().time()
    r.cluster.delete(str(MEMCACHED), "m", "ns")
    r.put("ns", **{SHARD: "b"})
    await asyncio.sleep(5)

    assert (a.objects, r.runs_of("ns", since)) == (0, [])


async def test_the_objects_of_a_killed_shard_go_to_the_others(r):
    a, _ = await shared_out(r, "a", "b")
    theirs = [name for name, owner in r.owners().items() if owner == "a"]
    await a.kill()
    await asyncio.sleep(40)
    r.touch(theirs[0], size="2")
    await asyncio.sleep(5)

    assert set(r.owners().values()) == {"b"}
    assert lease_of(r, "a")["spec"]["holderIdentity"] == SHARDER
    assert {r.runs_of(name)[-1] for name in theirs} == {"b"}


async def test_a_shard_that_stops_lets_its_lease_go_and_its_objects_are_others_at_once(r):
    a, _ = await shared_out(r, "a", "b", takes=1.0)
    await a.end()
    await asyncio.sleep(3)

    assert lease_of(r, "a")["spec"]["holderIdentity"] == ""
    assert (set(r.owners().values()), r.two_at_once()) == ({"b"}, [])


async def test_a_shard_that_cannot_renew_its_lease_stops_before_its_objects_are_anothers(r):
    a, _ = await shared_out(r, "a", "b", takes=3.0)
    theirs = [name for name, owner in r.owners().items() if owner == "a"]
    a.link.freeze()
    await asyncio.sleep(60)
    for name in theirs:
        r.touch(name, size="2")
    await asyncio.sleep(1)
    a.link.thaw()
    await asyncio.sleep(60)

    assert r.two_at_once() == []
    assert {name: r.runs_of(name)[-1] for name in NAMES} == r.owners()


async def test_a_shard_whose_lease_the_sharder_has_taken_works_on_nothing_and_says_why(r):
    (a,) = await shared_out(r, "a")
    lease = lease_of(r, "a")
    spec = {**lease["spec"], "holderIdentity": SHARDER, "leaseDurationSeconds": 30}
    r.cluster.patch(LEASES, "a", {"spec": spec}, SYSTEM)
    await asyncio.sleep(6)
    since = asyncio.get_running_loop().time()
    r.touch("ns-01", size="2")
    await asyncio.sleep(10)
    worked, reasons, ready = r.runs_of("ns-01", since), a.reasons, a.manager.ready
    await asyncio.sleep(40)

    assert (worked, ready) == ([], False)
    assert f"Lease system/a is held by {SHARDER}" in reasons
    assert (r.runs_of("ns-01", since), a.manager.ready) == (["a"], True)


async def test_a_lease_of_another_ring_is_left_alone_and_named(r):
    await r.start("a", ring=ControllerRing("other", namespace=SYSTEM, shard="a"))
    await asyncio.sleep(5)
    twin = await r.start("a", ring=ControllerRing(RING, namespace=SYSTEM, shard="a"))
    await asyncio.sleep(20)

    assert lease_of(r, "a")["metadata"]["labels"] == {RING_LABEL: "other"}
    assert "is that of a shard of the ring other, not memcached-operator" in twin.reasons


async def test_of_two_processes_with_one_name_one_works(r):
    await shared_out(r, "a")
    twin = await r.start("a")
    await asyncio.sleep(60)

    assert (twin.manager.leading, twin.manager.ready, r.two_at_once()) == (False, False, [])
    assert "if two replicas have this name, give shard= another one" in twin.reasons


async def test_a_shard_that_was_killed_and_comes_back_under_its_name_has_its_objects_still(r):
    a, _ = await shared_out(r, "a", "b")
    before = r.owners()
    await a.kill()
    again = await r.start("a")
    await asyncio.sleep(15 + 4.4 + 1)

    assert again.manager.leading
    assert r.owners() == before


async def test_an_object_that_is_given_away_by_hand_is_written_no_more_by_the_run_under_way(r):
    (a,) = await shared_out(r, "a", takes=5.0, deadline=None)
    await asyncio.sleep(60)
    r.touch("ns-01", size="2")
    await asyncio.sleep(1)
    r.label("ns-01", "m", {SHARD: "b"})
    await asyncio.sleep(10)

    assert a.refused == [("ns-01", "m")]


async def test_a_right_to_patch_that_is_missing_is_told_and_the_object_stays(r):
    r.put("ns", **{SHARD: "reader"})
    shard = await r.start("reader")
    r.label("ns", "m", {DRAIN: "true"})
    await asyncio.sleep(5)

    assert r.labels()["ns"] == {SHARD: "reader", DRAIN: "true"}
    assert "cannot hand over objects of memcacheds.cache.example.com: may not patch" in shard.state["error"]


async def test_the_webhook_of_the_sharder_may_assign_in_the_request_that_hands_over(r, server):
    with server.embedded.admission(str(MEMCACHED), r.sharder.webhook, operations=("CREATE", "UPDATE")):
        await shared_out(r, "a", takes=1.0)
        b = await r.start("b", takes=1.0)
        await asyncio.sleep(60)

        assert {name: r.runs_of(name)[-1] for name in NAMES} == r.owners()
        assert (r.two_at_once(), b.objects) == ([], list(r.owners().values()).count("b"))
        assert all(run.found for run in r.runs)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "x" * 64}, "63 characters are the limit"),
        ({"name": "a/b"}, "is not a label key"),
        ({"name": ""}, "is not a label key"),
        ({"name": "Ring"}, "small letters"),
        ({"name": "ring", "shard": "x" * 64}, "give shard= another name"),
        ({"name": "ring", "shard": "host_1"}, "give shard= another name"),
        ({"name": "ring", "lease_duration": 5.0}, "lease_duration"),
    ],
)
def test_names_that_no_label_or_lease_can_have_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        ControllerRing(**{"namespace": SYSTEM, "shard": "a", **options})


def test_a_ring_may_have_a_name_of_63_characters():
    ring = ControllerRing("r" * 63, namespace=SYSTEM, shard="a")

    assert ring.drain_label == "drain.alpha.sharding.timebertt.dev/" + "r" * 63


async def test_it_does_not_go_with_leader_only_work(r):
    a = await r.start("a")
    with pytest.raises(ValueError, match="nobody leads"):
        Manager(
            a.cache,
            sharding=ControllerRing(RING, namespace=SYSTEM, shard="a"),
            leader_election=LeaderElection("operator", namespace=SYSTEM),
        )


async def test_the_story_that_is_told_on_a_real_server_too(r):
    await live(r)
