"""Conditions and the status they stand in."""

from datetime import UTC, datetime

import pytest

from scopedcache.errors import ConflictError
from scopedcache.kit import find_condition, patch_status, set_condition
from tests.unit.cluster import MEMCACHED

EARLY = datetime(2026, 1, 1, tzinfo=UTC)
LATE = datetime(2026, 1, 2, tzinfo=UTC)


def test_a_new_condition_goes_to_the_end():
    conditions = set_condition([{"type": "A"}], "B", True, "Because", "it is so", observed_generation=3, now=EARLY)

    assert conditions == [
        {"type": "A"},
        {
            "type": "B",
            "status": "True",
            "reason": "Because",
            "message": "it is so",
            "observedGeneration": 3,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        },
    ]


def test_a_condition_that_stays_what_it_is_compares_equal():
    before = set_condition(None, "A", False, "Because", now=EARLY)

    assert set_condition(before, "A", False, "Because", now=LATE) == before


def test_another_reason_alone_is_no_transition():
    before = set_condition(None, "A", False, "Because", now=EARLY)
    after = set_condition(before, "A", False, "Otherwise", now=LATE)

    assert (after[0]["reason"], after[0]["lastTransitionTime"]) == ("Otherwise", "2026-01-01T00:00:00Z")


def test_another_status_is_a_transition():
    before = set_condition(None, "A", False, "Because", now=EARLY)

    assert set_condition(before, "A", True, "Now", now=LATE)[0]["lastTransitionTime"] == "2026-01-02T00:00:00Z"


def test_the_place_in_the_list_is_kept_and_the_list_given_is_left_alone():
    before = [{"type": "A", "status": "True"}, {"type": "B"}]
    after = set_condition(before, "A", False, "Because", now=EARLY)

    assert [condition["type"] for condition in after] == ["A", "B"]
    assert before[0] == {"type": "A", "status": "True"}


def test_a_condition_is_found_by_its_type():
    assert find_condition([{"type": "A"}, {"type": "B"}], "B") == {"type": "B"}
    assert find_condition(None, "B") is None


async def test_a_status_is_merged(server, client, memcached):
    obj = server.write({**memcached, "status": {"nodes": ["n1"], "phase": "Old"}})
    patched = await patch_status(client, obj, {"phase": "New"})

    assert patched["status"] == {"nodes": ["n1"], "phase": "New"}


async def test_a_status_that_says_so_already_is_not_written(server, client, memcached):
    obj = server.write({**memcached, "status": {"nodes": ["n1"], "inner": {"a": 1}}})
    await patch_status(client, obj, {"nodes": ["n1"], "inner": {"a": 1}, "absent": None})

    assert server.sent() == []


async def test_a_status_written_meanwhile_is_not_overwritten(server, client, memcached):
    obj = server.write(memcached)
    server.write({**memcached, "status": {"conditions": [{"type": "Theirs"}]}})

    with pytest.raises(ConflictError):
        await patch_status(client, obj, {"conditions": []})  # an empty list, read before theirs was there
    assert server.find(MEMCACHED, "m", "a")["status"] == {"conditions": [{"type": "Theirs"}]}
