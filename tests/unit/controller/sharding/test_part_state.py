"""What a part is to a replica, by the table."""

from typing import get_args

import pytest

from scopedcache.controller.sharding.part_state import SHOWN, TABLE, WORKED_ON, WRITABLE, PartState, Signal, after


def test_every_state_has_its_row():
    assert set(TABLE) == set(get_args(PartState))
    assert {signal for row in TABLE.values() for signal in row} == set(get_args(Signal))


def test_a_part_is_handed_over_through_warm_and_draining():
    taker: PartState = "foreign"
    giver: PartState = "held"
    taker = after(taker, "wanted")
    giver = after(giver, "unwanted")
    giver = after(giver, "lapse")  # it sends that it lets go
    giver = after(giver, "released")
    taker = after(taker, "taken")

    assert (taker, giver) == ("held", "foreign")


@pytest.mark.parametrize("state", ["held", "draining"])
def test_who_lapses_writes_no_more_until_it_has_taken_its_part_again(state):
    lapsed = after(state, "lapse")

    assert lapsed not in WRITABLE
    assert after(lapsed, "taken") in WORKED_ON


@pytest.mark.parametrize("state", ["held", "draining", "lapsed"])
def test_what_is_lost_is_not_shown(state):
    assert after(state, "lost") not in SHOWN


def test_only_what_is_warm_or_lapsed_can_be_taken():
    assert {state for state, row in TABLE.items() if row.get("taken") == "held"} == {"warm", "lapsed", "held"}


def test_nobody_else_writes_but_who_holds_it():
    assert WORKED_ON <= WRITABLE <= SHOWN
    with pytest.raises(KeyError):
        after("foreign", "taken")
