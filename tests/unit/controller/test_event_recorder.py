"""Recording Events, at best effort."""

import asyncio
from datetime import UTC, datetime

import pytest

from scopedcache.controller.reporting.event_recorder import BACKLOG_EVENTS, EventRecorder
from scopedcache.errors import ForbiddenError
from scopedcache.metrics import EVENTS_POSTED, Counters
from scopedcache.objects import Object
from tests.unit.controller.dict_client import DictClient

POD = Object.from_dict({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a", "uid": "u"}})


@pytest.fixture
def client():
    return DictClient()


@pytest.fixture
def counters():
    return Counters()


@pytest.fixture
async def recorder(client, counters):
    recorder = EventRecorder(
        client,
        controller="example.com/pods",
        instance="host-1",
        instrumentation=counters,
        timer=asyncio.get_running_loop().time,
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )
    task = asyncio.create_task(recorder.run())
    yield recorder
    task.cancel()
    await asyncio.wait([task])


async def test_an_event_carries_everything_the_api_demands(client, recorder):
    recorder.record(POD, "Forbidden", "may not list pods", type="Warning")
    await recorder.flush()
    (event,) = client.objects.values()

    del event["metadata"]
    assert event == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "example.com/pods",
        "reportingInstance": "host-1",
        "type": "Warning",
        "reason": "Forbidden",
        "action": "Reconcile",
        "note": "may not list pods",
        "regarding": {"apiVersion": "v1", "kind": "Pod", "namespace": "a", "name": "p", "uid": "u"},
    }


async def test_repeats_raise_the_count_of_one_event(client, recorder):
    for _ in range(3):
        recorder.record(POD, "Forbidden", "may not list pods")
    await recorder.flush()
    (event,) = client.objects.values()

    assert event["series"] == {"count": 3, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}


async def test_an_event_that_expired_is_written_again(client, recorder):
    recorder.record(POD, "Forbidden", "may not list pods")
    await recorder.flush()
    client.objects.clear()
    recorder.record(POD, "Forbidden", "may not list pods")
    await recorder.flush()

    assert len(client.objects) == 1


@pytest.mark.parametrize("error", [ForbiddenError("the namespace ends"), RuntimeError("bug")])
async def test_an_event_that_cannot_be_posted_is_counted_and_dropped(client, recorder, counters, error):
    client.error = error
    recorder.record(POD, "Forbidden", "may not list pods")
    await recorder.flush()
    client.error = None
    recorder.record(POD, "Forbidden", "may not list pods")
    await recorder.flush()

    assert (counters.value(EVENTS_POSTED, result="failed"), counters.value(EVENTS_POSTED, result="posted")) == (1, 1)


async def test_recording_never_waits_and_never_grows_without_bound(client, counters):
    recorder = EventRecorder(client, instrumentation=counters, timer=lambda: 0.0)
    for number in range(BACKLOG_EVENTS + 10):
        pod = Object.from_dict(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": str(number), "uid": str(number)}}
        )
        recorder.record(pod, "Created", "made")

    assert counters.value(EVENTS_POSTED, result="dropped") == 10
