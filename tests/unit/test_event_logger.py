"""A line is readable under anybody's configuration, and its fields are data."""

import json
import logging
import logging.handlers
import queue

import pytest

from scopedcache.event_logger import event_logger, event_of
from scopedcache.kit.logs import JSONFormatter, TextFormatter


class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def kept():
    handler = Kept()
    logger = logging.getLogger("scopedcache.tests")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


logger = event_logger("scopedcache.tests")


def test_a_plain_formatter_shows_the_event_first_and_what_it_is_about(kept):
    logger.warning("watch.denied", extra={"kind": "Pod", "namespace": "a", "verb": "list", "error": "may not list"})

    shown = logging.Formatter(logging.BASIC_FORMAT).format(kept.records[0])
    assert shown == ('WARNING:scopedcache.tests:watch.denied kind=Pod namespace=a verb=list error="may not list"')


def test_the_fields_are_on_the_record_beside_the_event(kept):
    logger.info("cache.created", extra={"kinds": ["Pod", "Service"], "uid": "1", "owner": None})

    (record,) = kept.records
    assert (record.event, record.kinds, record.uid) == ("cache.created", ["Pod", "Service"], "1")
    assert record.getMessage() == "cache.created kinds=Pod,Service"


def test_an_exception_is_the_reason_in_the_message_too(kept):
    logger.error("task.failed", extra={"task": "one"}, exc_info=ValueError("no such thing"))
    try:
        raise KeyError("x")
    except KeyError:
        logger.exception("task.failed", extra={"task": "two"})

    assert [record.getMessage() for record in kept.records] == [
        'task.failed task=one error="ValueError: no such thing"',
        "task.failed task=two error=\"KeyError: 'x'\"",
    ]


def test_what_a_server_said_cannot_begin_a_line_of_its_own(kept):
    logger.info("watch.interrupted", extra={"error": "two\nlines"})

    assert kept.records[0].getMessage() == r'watch.interrupted error="two\nlines"'


def test_a_percent_sign_in_a_field_is_no_format(kept):
    logger.info("watch.interrupted", extra={"error": "100%s"})

    assert kept.records[0].getMessage() == "watch.interrupted error=100%s"


def test_a_line_nobody_wants_costs_no_text(kept):
    class Loud:
        def __str__(self):
            raise AssertionError("nobody asked")

    logger.debug("verdict.changed", extra={"verb": Loud()})

    assert kept.records == []


def test_the_place_of_the_call_is_the_callers(kept):
    logger.info("cache.created")

    assert kept.records[0].filename == "test_event_logger.py"


@pytest.mark.parametrize("formatter", [TextFormatter, JSONFormatter])
def test_our_own_formatters_say_no_field_twice(kept, formatter):
    logger.info("watch.started", extra={"kind": "Pod"})

    assert formatter().format(kept.records[0]).count("Pod") == 1


def test_a_line_that_went_through_a_queue_keeps_event_and_fields(kept):
    lines: queue.Queue[logging.LogRecord] = queue.Queue()
    sender = logging.handlers.QueueHandler(lines)
    logger.logger.addHandler(sender)
    logger.info("watch.started", extra={"kind": "Pod"})
    logger.logger.removeHandler(sender)

    record = lines.get_nowait()
    shown = json.loads(JSONFormatter().format(record))
    assert (event_of(record), shown["event"], shown["kind"]) == ("watch.started", "watch.started", "Pod")
