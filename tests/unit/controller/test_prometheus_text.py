"""The text that Prometheus reads."""

from scopedcache.controller.manager.prometheus_text import prometheus_text
from scopedcache.metrics import RECONCILES, Counters


def test_samples_are_grouped_with_help_and_type():
    counters = Counters()
    counters.increment(RECONCILES, controller="memcached", result="success")
    counters.increment(RECONCILES, controller="memcached", result="success")
    counters.increment(RECONCILES, controller="memcached", result="error")
    counters.set("own_gauge", 1.5)

    assert prometheus_text(counters) == (
        "# TYPE own_gauge gauge\n"
        "own_gauge 1.5\n"
        "# HELP scopedcache_reconciles_total Reconciles that ended, by result.\n"
        "# TYPE scopedcache_reconciles_total counter\n"
        'scopedcache_reconciles_total{controller="memcached",result="error"} 1\n'
        'scopedcache_reconciles_total{controller="memcached",result="success"} 2\n'
    )


def test_label_values_are_escaped():
    counters = Counters()
    counters.set("gauge", float("inf"), label='a"b\\c\nd')

    assert prometheus_text(counters) == '# TYPE gauge gauge\ngauge{label="a\\"b\\\\c\\nd"} +Inf\n'


def test_counters_sum_over_the_labels_left_out():
    counters = Counters()
    counters.increment("n", controller="a", result="x")
    counters.increment("n", 2.5, controller="a", result="y")
    counters.increment("n", controller="b", result="x")

    assert (counters.value("n"), counters.value("n", controller="a"), counters.value("n", result="z")) == (4.5, 3.5, 0)


def test_a_removed_series_is_gone():
    counters = Counters()
    counters.set("g", 1, namespace="a")
    counters.remove("g", namespace="a")

    assert list(counters) == []
