"""Telling an object that its operator may not do what it needs."""

import asyncio
from datetime import UTC, datetime

import pytest

from scopedcache.controller.reporting.event_recorder import EventRecorder
from scopedcache.controller.reporting.forbidden_reporter import ForbiddenReporter
from scopedcache.errors import ForbiddenError
from tests.unit.cluster import MEMCACHED, definition, manifest, served

DENIED = ForbiddenError(verb="list", resource="deployments.apps", namespace="a", by="authorizer")
WORDS = "may not list deployments.apps in namespace a"
FALSE = {
    "type": "Permitted",
    "status": "False",
    "reason": "Forbidden",
    "message": WORDS,
    "observedGeneration": 4,
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
OTHER = {"type": "Ready", "status": "True"}


@pytest.fixture
async def recorder(w):
    recorder = EventRecorder(w.client)
    task = asyncio.create_task(recorder.run())
    yield recorder
    task.cancel()
    await asyncio.wait([task])


def reporter(w, recorder, on_forbidden=None):
    return ForbiddenReporter(w.client, recorder, on_forbidden, now=lambda: datetime(2026, 1, 1, tzinfo=UTC))


def owner_with(w, *conditions):
    """Return a Memcached of generation 4 with these conditions."""
    body = manifest(MEMCACHED, "m", "a")
    for size in range(4):
        found = w.server.write({**body, "spec": {"size": size}})
    return w.server.write({**body, "spec": {"size": 3}, "status": {"conditions": conditions}}) if conditions else found


def owner_of(w, **schema_of_status):
    """Return an object of another kind, whose status has this schema."""
    kind = served("cache.example.com", "gadgets", "Gadget")
    schema = {"type": "object", "properties": {"status": {"type": "object", **schema_of_status}}}
    w.server.embedded.create(definition(kind, schema=schema))
    w.server.embedded.grant(w.server.operator, ["patch"], [f"{kind}/status"])
    return w.server.write(manifest(kind, "m", "a"))


def status(w):
    return w.server.find(MEMCACHED, "m", "a").get("status")


async def notes(w, recorder):
    """Return the Events that were posted, with how often they happened."""
    await recorder.flush()
    return [
        (
            event["regarding"]["name"],
            event["type"],
            event["reason"],
            event["note"],
            event.get("series", {}).get("count"),
        )
        for event in w.server.embedded.list("events.events.k8s.io", "a")
    ]


def patches(w):
    return [one.resource for one in w.server.asked() if one.verb == "patch" and "events" not in one.resource]


async def test_a_denial_is_written_as_a_condition_that_names_verb_resource_and_place(w, recorder):
    await reporter(w, recorder).report(owner_with(w), DENIED)

    assert status(w) == {"conditions": [FALSE]}
    assert await notes(w, recorder) == []


async def test_a_denial_names_all_that_is_missing_and_follows_when_part_of_it_is_granted(w, recorder):
    missing = [ForbiddenError(verb=verb, resource="pods", namespace="a") for verb in ("list", "watch")]
    told, owner = reporter(w, recorder), owner_with(w)
    messages = []
    for others in (missing, missing[1:], ()):
        error = ForbiddenError(verb="list", resource="deployments.apps", namespace="a", missing=others)
        await told.report(owner, error)
        messages.append(status(w)["conditions"][0]["message"])

    assert messages == [
        f"{WORDS}, list pods in namespace a, watch pods in namespace a",
        f"{WORDS}, watch pods in namespace a",
        WORDS,
    ]


async def test_what_stands_there_already_is_not_written_again(w, recorder):
    await reporter(w, recorder).report(owner_with(w, FALSE), DENIED)

    assert w.server.sent() == []


async def test_other_conditions_are_kept(w, recorder):
    await reporter(w, recorder).report(owner_with(w, OTHER), DENIED)

    assert status(w) == {"conditions": [OTHER, FALSE]}


async def test_a_condition_written_by_somebody_else_meanwhile_survives(w, recorder):
    owner = owner_with(w)
    owner_with(w, OTHER)
    await reporter(w, recorder).report(owner, DENIED)

    assert [found["type"] for found in status(w)["conditions"]] == ["Ready", "Permitted"]


async def test_a_kind_without_conditions_gets_an_event_and_no_further_attempts(w, recorder):
    owner = owner_of(w, properties={"phase": {"type": "string"}})
    told = reporter(w, recorder)
    for _ in range(2):
        await told.report(owner, DENIED)

    assert await notes(w, recorder) == [("m", "Warning", "Forbidden", WORDS, 2)]
    assert patches(w) == ["gadgets.cache.example.com"]


async def test_a_status_the_schema_refuses_gives_way_to_an_event(w, recorder):
    conditions = {"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    owner = owner_of(w, required=["state"], properties={"state": {"type": "string"}, "conditions": conditions})
    await reporter(w, recorder).report(owner, DENIED)

    assert await notes(w, recorder) == [("m", "Warning", "Forbidden", WORDS, None)]


@pytest.mark.parametrize("why", ["no right to the status", "a defect"])
async def test_a_report_that_fails_harms_nobody(w, recorder, why):
    owner = owner_with(w)
    w.server.trouble(MEMCACHED, code=403)
    w.proxy.defect = RuntimeError("bug") if why == "a defect" else None
    await reporter(w, recorder).report(owner, DENIED)

    assert status(w) is None


async def test_the_condition_is_set_back_after_a_success(w, recorder):
    await reporter(w, recorder).take_back(owner_with(w, FALSE))

    assert [(c["type"], c["status"]) for c in status(w)["conditions"]] == [("Permitted", "True")]


async def test_a_success_writes_nothing_where_the_condition_was_never_false(w, recorder):
    told = reporter(w, recorder)
    await told.take_back(owner_with(w))
    await told.take_back(owner_with(w, {**FALSE, "status": "True"}))

    assert w.server.sent() == []


async def test_our_own_report_is_taken_back_although_the_cache_has_not_seen_it(w, recorder):
    told = reporter(w, recorder)
    owner = owner_with(w)
    await told.report(owner, DENIED)
    await told.take_back(owner)

    assert [c["status"] for c in status(w)["conditions"]] == ["True"]


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_an_author_may_say_it_in_other_words(w, recorder, asynchronous):
    def plain(owner, error):
        return {"state": {"status": "Failed", "message": str(error.subject)}}

    async def waiting(owner, error):
        return plain(owner, error)

    told = reporter(w, recorder, waiting if asynchronous else plain)
    await told.report(owner_with(w), DENIED)

    assert status(w) == {"state": {"status": "Failed", "message": "list deployments.apps in namespace a"}}


async def test_an_author_may_say_nothing(w, recorder):
    await reporter(w, recorder, lambda owner, error: None).report(owner_with(w), DENIED)

    assert (w.server.sent(), await notes(w, recorder)) == ([], [])


async def test_an_authors_mistake_harms_nobody(w, recorder):
    def broken(owner, error):
        raise ZeroDivisionError

    await reporter(w, recorder, broken).report(owner_with(w), DENIED)

    assert w.server.sent() == []
