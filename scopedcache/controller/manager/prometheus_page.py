"""The page a Prometheus server reads, written by prometheus-client: our numbers, and those of the operator's author.

Text or OpenMetrics, whichever is asked for. Imported only where a scrape comes: `prometheus-client` is an extra.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from ...metrics import DECLARED, Counters, Distribution, Sample


def prometheus_page(counters: Counters, accept: str = "") -> tuple[bytes, str]:
    """Return the page and its content type; what stands in prometheus-client's own registry is on it too."""
    encode, content_type = choose_encoder(accept)
    registry = _Both(REGISTRY, counters)
    text: bytes = encode(registry)
    return text, content_type


class _Both(CollectorRegistry):
    """Collects the author's registry (with what it says of the process), then ours."""

    def __init__(self, authors: CollectorRegistry, counters: Counters) -> None:
        super().__init__(auto_describe=False)
        self._authors = authors
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        yield from self._authors.collect()
        yield from families(self._counters)


def families(counters: Counters) -> Iterator[Metric]:
    """Return the numbers as prometheus-client's families, one for each name."""
    for name, samples in groupby(counters, key=lambda sample: sample.name):
        yield _family(name, list(samples))
    for name, distributions in groupby(counters.distributions(), key=lambda one: one.name):
        yield _histogram(name, list(distributions))


def _family(name: str, samples: list[Sample]) -> Metric:
    labels = _labels(samples)
    kind: Callable[..., CounterMetricFamily | GaugeMetricFamily]
    kind = CounterMetricFamily if samples[0].type == "counter" else GaugeMetricFamily
    family = kind(name, _help(name), labels=labels)
    for sample in samples:
        values = dict(sample.labels)
        family.add_metric([values.get(label, "") for label in labels], sample.value)
    return family


def _histogram(name: str, distributions: list[Distribution]) -> Metric:
    labels = _labels(distributions)
    family = HistogramMetricFamily(name, _help(name), labels=labels)
    for one in distributions:
        values = dict(one.labels)
        buckets = [("+Inf" if bound == float("inf") else str(bound), count) for bound, count in one.buckets]
        family.add_metric([values.get(label, "") for label in labels], buckets, one.sum)
    return family


def _help(name: str) -> str:
    return DECLARED[name].help if name in DECLARED else name


def _labels(series: Iterable[Sample | Distribution]) -> list[str]:
    return sorted({label for one in series for label, _ in one.labels})
