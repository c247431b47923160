"""Recording Events, at best effort."""

import asyncio
from datetime import UTC, datetime

import pytest

from scopedcache.controller.reporting.event_recorder import BACKLOG_EVENTS, EventRecorder
from scopedcache.metrics import EVENTS_POSTED, Counters
from scopedcache.objects import Object

POD = Object.from_dict({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a", "uid": "u"}})


EVENTS = "events.events.k8s.io"


@pytest.fixture(autouse=True)
def _namespace(w):
    w.server.embedded.create_namespace("a")


def posted(w):
    """Return the Events that were posted, without what the server adds."""
    added = ("metadata", "deprecatedSource", "deprecatedFirstTimestamp", "deprecatedLastTimestamp")
    names = [event["metadata"]["name"] for event in w.server.embedded.list(EVENTS, "a")]
    found = [w.server.embedded.get(EVENTS, name, "a") for name in names]
    return [{field: value for field, value in event.items() if field not in added} for event in found]


@pytest.fixture
def counters():
    return Counters()


@pytest.fixture
async def recorder(w, counters):
    recorder = EventRecorder(
        w.client,
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


async def test_an_event_carries_everything_the_api_demands(w, recorder):
    recorder.record(POD, "Forbidden", "may not list pods", type="Warning")
    await recorder.flush()
    (event,) = posted(w)

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


async def test_repeats_raise_the_count_of_one_event(w, recorder):
    for _ in range(3):
        recorder.record(POD, "Forbidden", "may not list pods")
    await recorder.flush()
    (event,) = posted(w)

    assert event["series"] == {"count": 3, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}


async def test_an_event_that_expired_is_written_again(w, recorder):
    recorder.record(POD, "Forbidden", "may not list pods")
    await recorder.flush()
    for event in w.server.embedded.list(EVENTS, "a"):
        w.server.embedded.delete(EVENTS, event["metadata"]["name"], "a")
    recorder.record(POD, "Forbidden", "may not list pods")
    await recorder.flush()

    assert len(posted(w)) == 1


@pytest.mark.parametrize("why", ["refused", "a defect"])
async def test_an_event_that_cannot_be_posted_is_counted_and_dropped(w, recorder, counters, why):
    refused = w.server.trouble(EVENTS, code=403)
    w.proxy.defect = RuntimeError("bug") if why == "a defect" else None
    recorder.record(POD, "Forbidden", "may not list pods")
    await recorder.flush()
    w.proxy.defect = None
    refused.over()
    recorder.record(POD, "Forbidden", "may not list pods")
    await recorder.flush()

    assert (counters.value(EVENTS_POSTED, result="failed"), counters.value(EVENTS_POSTED, result="posted")) == (1, 1)


async def test_recording_never_waits_and_never_grows_without_bound(w, counters):
    recorder = EventRecorder(w.client, instrumentation=counters, timer=lambda: 0.0)
    for number in range(BACKLOG_EVENTS + 10):
        pod = Object.from_dict(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": str(number), "uid": str(number)}}
        )
        recorder.record(pod, "Created", "made")

    assert counters.value(EVENTS_POSTED, result="dropped") == 10
