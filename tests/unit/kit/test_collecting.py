"""Many to one: what is kept of whom, for how long, and who is told of it how often."""

from datetime import UTC, datetime, timedelta

import pytest

from scopedcache import ConflictError, Object
from scopedcache.kit import collect, create_or_update, new_object, tell_once
from scopedcache.kit.collecting import TOLD, UNSEEN, Collected, collected
from tests.unit.cluster import CONFIG_MAP

NOW = datetime(2030, 1, 1, tzinfo=UTC)
BEFORE = (NOW - timedelta(seconds=40)).isoformat(timespec="seconds")
SINCE = NOW.isoformat(timespec="seconds")
PLACES = ("app", "shop")


def decided(held, found, *, unseen=None, keep=60.0):
    return collected(held, unseen or {}, found, PLACES, keep=keep, now=NOW)


def test_what_is_found_is_held_by_namespace_and_key():
    answer = decided({}, {"shop": {"b": "2"}, "app": {"a": "1"}})

    assert answer == Collected({"app_a": "1", "shop_b": "2"})
    assert list(answer.data) == ["app_a", "shop_b"]


def test_what_is_found_no_longer_goes():
    assert decided({"app_a": "1", "app_b": "2"}, {"app": {"a": "1"}, "shop": {}}).data == {"app_a": "1"}


def test_what_is_not_seen_is_kept_and_marked_from_now_on():
    assert decided({"app_a": "1"}, {"shop": {}}) == Collected({"app_a": "1"}, {"app": SINCE}, 60.0)


def test_it_is_kept_from_the_time_on_that_is_marked():
    assert decided({"app_a": "1"}, {}, unseen={"app": BEFORE}) == Collected({"app_a": "1"}, {"app": BEFORE}, 20.0)


def test_it_goes_when_the_time_is_over():
    assert decided({"app_a": "1"}, {}, unseen={"app": BEFORE}, keep=40.0) == Collected({})


def test_the_mark_goes_when_it_is_seen_again():
    assert decided({"app_a": "1"}, {"app": {"a": "2"}}, unseen={"app": BEFORE}) == Collected({"app_a": "2"})


def test_the_part_of_a_namespace_that_is_gone_goes_at_once():
    assert decided({"gone_a": "1"}, {}) == Collected({})


@pytest.mark.parametrize("mark", ["", "yesterday", "2030-01-01T00:00:00", "2040-01-01T00:00:00+00:00"])
def test_a_mark_that_makes_no_sense_counts_from_now(mark):
    assert decided({"app_a": "1"}, {}, unseen={"app": mark}).left == 60.0


@pytest.fixture
async def output(client):
    made, _ = await create_or_update(client, new_object(CONFIG_MAP.gvk, "output", "a"), lambda draft: None)
    return made


async def test_what_is_right_is_not_written_again(client, output, server):
    first, _ = await collect(client, output, {"app": {"a": "1"}}, PLACES, keep=60)
    mark = server.embedded.audit.mark()
    again, left = await collect(client, first, {"app": {"a": "1"}}, PLACES, keep=60)

    assert (again.resource_version, left) == (first.resource_version, None)
    assert server.embedded.audit.requests(mark, resource="configmaps") == []


async def test_a_mark_stands_in_an_annotation_beside_those_of_others(client, output):
    output["metadata"]["annotations"] = {"note": "theirs"}
    first, _ = await collect(client, output, {"app": {"a": "1"}}, PLACES, keep=60, now=NOW)
    later, left = await collect(client, first, {}, PLACES, keep=60, now=NOW)

    assert (later.annotations, left) == ({"note": "theirs", UNSEEN + "app": SINCE}, 60.0)


async def test_who_wrote_meanwhile_is_not_overwritten(client, output):
    stale = Object.from_dict(output.to_dict())
    await collect(client, output, {"app": {"a": "1"}}, PLACES, keep=60)

    with pytest.raises(ConflictError):
        await collect(client, stale, {"app": {"a": "2"}}, PLACES, keep=60)


class Told:
    def __init__(self, *failures):
        self.count, self.failures = 0, list(failures)

    async def __call__(self):
        self.count += 1
        if self.failures:
            raise self.failures.pop()


async def test_each_content_is_told_once(client, output):
    told = Told()
    one, _ = await collect(client, output, {"app": {"a": "1"}}, PLACES, keep=60)
    one = await tell_once(client, one, told)
    one = await tell_once(client, one, told)
    two, _ = await collect(client, one, {"app": {"a": "2"}}, PLACES, keep=60)
    await tell_once(client, two, told)

    assert told.count == 2


async def test_what_could_not_be_told_is_told_again(client, output):
    told = Told(OSError("nobody listens"))
    one, _ = await collect(client, output, {"app": {"a": "1"}}, PLACES, keep=60)
    with pytest.raises(OSError, match="nobody listens"):
        await tell_once(client, one, told)
    one = await tell_once(client, one, told)

    assert (told.count, TOLD in one.annotations) == (2, True)


async def test_that_there_is_nothing_is_no_news(client, output):
    told = Told()
    await tell_once(client, output, told)

    assert told.count == 0


async def test_that_there_is_nothing_any_more_is(client, output):
    told = Told()
    one, _ = await collect(client, output, {"app": {"a": "1"}}, PLACES, keep=60)
    one = await tell_once(client, one, told)
    none, _ = await collect(client, one, {"app": {}}, PLACES, keep=60)
    await tell_once(client, none, told)

    assert told.count == 2
