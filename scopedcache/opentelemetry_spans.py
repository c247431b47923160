"""Spans of reconciles and requests, by OpenTelemetry: the extra `scopedcache[opentelemetry]`.

    counters = Counters(tracer=OpenTelemetrySpans())
    async with ScopedCache.connect(instrumentation=counters) as cache: ...

Where the spans go is the program's to configure, with OpenTelemetry's SDK; without one they cost next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode, TracerProvider

from .metrics import Span


class OpenTelemetrySpans:
    """A `metrics.Tracer`: a span is a child of the one that its task is in, a request that of its reconcile.

    Args:
        provider: OpenTelemetry's own, unless told otherwise.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("scopedcache", tracer_provider=provider)

    def span(self, name: str, /, **attributes: str) -> AbstractContextManager[Span]:
        """Return what is entered for as long as something lasts; what it raises is recorded, by its type and words."""
        return self._entered(name, attributes)

    @contextmanager
    def _entered(self, name: str, attributes: dict[str, str]) -> Iterator[Span]:
        with self._tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as found:
            span = _OpenSpan(found)
            try:
                yield span
            except BaseException as error:
                span.fail(error)
                raise


class _OpenSpan:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def note(self, **attributes: str | int) -> None:
        self._span.set_attributes(attributes)

    def fail(self, error: BaseException) -> None:
        self._span.set_attribute("error.type", type(error).__qualname__)
        self._span.set_status(Status(StatusCode.ERROR, str(error)))
