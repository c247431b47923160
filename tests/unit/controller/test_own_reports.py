"""Which changes of an object are reports of ours."""

import pytest

from scopedcache import Object
from scopedcache.controller.reporting.own_reports import OwnReports


def at(version):
    """Return the object in a version."""
    metadata = {"namespace": "a", "name": "m", "uid": "1", "resourceVersion": version}
    return Object.from_dict({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


@pytest.fixture
def reports():
    return OwnReports()


def test_a_report_is_known_by_the_step_it_made(reports):
    reports.begin(at("5"))

    assert reports.end(at("5").key, at("6")) is False
    assert reports.is_own(at("5"), at("6"))


def test_what_happens_before_or_after_a_report_is_news(reports):
    reports.begin(at("5"))
    reports.end(at("5").key, at("6"))

    assert not any(reports.is_own(at(old), at(new)) for old, new in [("4", "5"), ("6", "7"), ("4", "6"), ("5", "7")])


def test_a_report_that_is_seen_before_its_answer_is_held_back_and_was_ours(reports):
    reports.begin(at("5"))

    assert reports.is_own(at("5"), at("6"))
    assert reports.end(at("5").key, at("6")) is False


@pytest.mark.parametrize("answer", [None, at("7")])
def test_what_was_held_back_for_a_report_that_came_to_nothing_is_news(reports, answer):
    reports.begin(at("5"))
    reports.is_own(at("5"), at("6"))

    assert reports.end(at("5").key, answer) is True


def test_a_report_that_failed_leaves_nothing(reports):
    reports.begin(at("5"))

    assert reports.end(at("5").key, None) is False
    assert (reports.is_own(at("5"), at("6")), len(reports)) == (False, 0)


def test_nothing_is_kept_of_what_is_gone(reports):
    reports.begin(at("5"))
    reports.end(at("5").key, at("6"))
    reports.forget(at("5").key)

    assert len(reports) == 0
