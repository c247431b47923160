"""Telling an object that its operator may not do what it needs."""

from datetime import UTC, datetime

import pytest

from scopedcache.controller.reporting.event_recorder import EventRecorder
from scopedcache.controller.reporting.forbidden_reporter import ForbiddenReporter
from scopedcache.errors import ForbiddenError, InvalidError
from tests.unit.controller.dict_client import DictClient

DENIED = ForbiddenError(verb="list", resource="deployments.apps", namespace="a", by="authorizer")
MEMCACHED = {
    "apiVersion": "cache.example.com/v1alpha1",
    "kind": "Memcached",
    "metadata": {"name": "m", "namespace": "a", "generation": 4},
}
FALSE = {
    "type": "Permitted",
    "status": "False",
    "reason": "Forbidden",
    "message": "may not list deployments.apps in namespace a",
    "observedGeneration": 4,
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}


@pytest.fixture
def client():
    return DictClient()


@pytest.fixture
def recorder():
    return Recorder()


class Recorder(EventRecorder):
    """Keeps what is recorded instead of posting it."""

    def __init__(self):
        self.notes = []

    def record(self, regarding, reason, note, *, action="Reconcile", type="Normal"):
        self.notes.append((regarding.name, type, reason, note))


def denials(client, recorder, on_forbidden=None):
    return ForbiddenReporter(client, recorder, on_forbidden, now=lambda: datetime(2026, 1, 1, tzinfo=UTC))


def status(client):
    return client.objects[("Memcached", "a", "m")].get("status")


async def test_a_denial_is_written_as_a_condition_that_names_verb_resource_and_place(client, recorder):
    await denials(client, recorder).report(client.put(MEMCACHED), DENIED)

    assert status(client) == {"conditions": [FALSE]}
    assert recorder.notes == []


async def test_what_stands_there_already_is_not_written_again(client, recorder):
    owner = client.put({**MEMCACHED, "status": {"conditions": [FALSE]}})
    await denials(client, recorder).report(owner, DENIED)

    assert client.log == []


async def test_other_conditions_are_kept(client, recorder):
    other = {"type": "Ready", "status": "True"}
    await denials(client, recorder).report(client.put({**MEMCACHED, "status": {"conditions": [other]}}), DENIED)

    assert status(client) == {"conditions": [other, FALSE]}


async def test_a_condition_written_by_somebody_else_meanwhile_survives(client, recorder):
    other = {"type": "Ready", "status": "True"}
    owner = client.put(MEMCACHED)
    client.interfere = lambda: client.put({**MEMCACHED, "status": {"conditions": [other]}})
    await denials(client, recorder).report(owner, DENIED)

    assert status(client) == {"conditions": [other, FALSE]}


async def test_a_kind_without_conditions_gets_an_event_and_no_further_attempts(client, recorder):
    client.pruned = {"conditions"}
    told = denials(client, recorder)
    for _ in range(2):
        await told.report(client.put(MEMCACHED), DENIED)

    assert recorder.notes == [("m", "Warning", "Forbidden", "may not list deployments.apps in namespace a")] * 2
    assert client.log == ["patch"]


@pytest.mark.parametrize("error", [InvalidError("status.state is required", status=422)])
async def test_a_status_the_schema_refuses_gives_way_to_an_event(client, recorder, error):
    owner = client.put(MEMCACHED)
    client.error = error
    await denials(client, recorder).report(owner, DENIED)

    assert len(recorder.notes) == 1


@pytest.mark.parametrize("error", [ForbiddenError("no status for you"), RuntimeError("bug")])
async def test_a_report_that_fails_harms_nobody(client, recorder, error):
    owner = client.put(MEMCACHED)
    client.error = error
    await denials(client, recorder).report(owner, DENIED)

    assert status(client) is None


async def test_the_condition_is_set_back_after_a_success(client, recorder):
    told = denials(client, recorder)
    owner = client.put({**MEMCACHED, "status": {"conditions": [FALSE]}})
    await told.take_back(owner)

    assert [(c["type"], c["status"]) for c in status(client)["conditions"]] == [("Permitted", "True")]


async def test_a_success_writes_nothing_where_the_condition_was_never_false(client, recorder):
    told = denials(client, recorder)
    await told.take_back(client.put(MEMCACHED))
    await told.take_back(client.put({**MEMCACHED, "status": {"conditions": [{**FALSE, "status": "True"}]}}))

    assert client.log == []


async def test_our_own_report_is_taken_back_although_the_cache_has_not_seen_it(client, recorder):
    told = denials(client, recorder)
    owner = client.put(MEMCACHED)
    await told.report(owner, DENIED)
    await told.take_back(owner)

    assert [c["status"] for c in status(client)["conditions"]] == ["True"]


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_an_author_may_say_it_in_other_words(client, recorder, asynchronous):
    def plain(owner, error):
        return {"state": {"status": "Failed", "message": str(error.subject)}}

    async def waiting(owner, error):
        return plain(owner, error)

    told = denials(client, recorder, waiting if asynchronous else plain)
    await told.report(client.put(MEMCACHED), DENIED)

    assert status(client) == {"state": {"status": "Failed", "message": "list deployments.apps in namespace a"}}


async def test_an_author_may_say_nothing(client, recorder):
    await denials(client, recorder, lambda owner, error: None).report(client.put(MEMCACHED), DENIED)

    assert (client.log, recorder.notes) == ([], [])


async def test_an_authors_mistake_harms_nobody(client, recorder):
    def broken(owner, error):
        raise ZeroDivisionError

    await denials(client, recorder, broken).report(client.put(MEMCACHED), DENIED)

    assert client.log == []
