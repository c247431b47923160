"""A reconcile is a span, and the requests it sends are its children."""

import asyncio

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from scopedcache import ForbiddenError, ObjectKey
from scopedcache.controller import Controller
from scopedcache.metrics import Counters
from scopedcache.opentelemetry_spans import OpenTelemetrySpans
from tests.unit.cluster import CONFIG_MAP, DEPLOYMENT, MEMCACHED


@pytest.fixture
def exported():
    return InMemorySpanExporter()


@pytest.fixture
def traced(exported):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exported))
    return Counters(tracer=OpenTelemetrySpans(provider))


async def run(w, traced, reconcile):
    """Reconcile one object with spans."""
    w.memcached()
    w.client.report_to(traced)
    controller = Controller(for_=MEMCACHED.gvk, reconcile=reconcile)
    task = asyncio.create_task(controller.run(w.cache, instrumentation=traced))
    await asyncio.sleep(5)
    task.cancel()
    await asyncio.wait([task])


def named(exported, name):
    return [span for span in exported.get_finished_spans() if span.name == name]


async def test_a_request_of_a_reconcile_is_its_child(w, traced, exported):
    async def reconcile(request):
        await w.client.list(CONFIG_MAP, namespace=request.namespace)

    await run(w, traced, reconcile)
    (reconciled,) = named(exported, "reconcile memcached")
    requests = [span for span in named(exported, "list configmaps") if span.parent is not None]

    assert [span.parent.span_id for span in requests] == [reconciled.context.span_id]
    assert requests[0].attributes == {
        "http.request.method": "GET", "http.response.status_code": 200,
        "k8s.verb": "list", "k8s.resource": "configmaps", "k8s.namespace.name": "a",
    }  # fmt: skip
    about = dict(reconciled.attributes)
    assert (about.pop("reconcile") != "", about) == (
        True,
        {"controller": "memcached", "result": "success", "k8s.namespace.name": "a", "k8s.object.name": "m"},
    )


async def test_a_refusal_is_an_error_of_its_span(w, traced, exported):
    with pytest.raises(ForbiddenError):
        w.client.report_to(traced)
        await w.client.get(DEPLOYMENT, ObjectKey("a", "m"))

    (span,) = named(exported, "get deployments.apps")
    assert (span.status.status_code, span.attributes["error.type"]) == (StatusCode.ERROR, "ForbiddenError")


async def test_a_reconcile_that_fails_is_an_error_of_its_span(w, traced, exported):
    async def reconcile(request):
        raise ValueError("a bug")

    await run(w, traced, reconcile)
    span = named(exported, "reconcile memcached")[0]

    assert (span.status.status_code, span.attributes["result"]) == (StatusCode.ERROR, "error")


def test_without_a_tracer_nothing_is_spanned(exported):
    with Counters().span("nothing", of="nobody"):
        pass

    assert exported.get_finished_spans() == ()
