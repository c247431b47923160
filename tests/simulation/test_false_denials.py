"""Servers that restart take nothing away, and what is really taken away is noticed in time."""

from __future__ import annotations

from tests.simulation.false_denials import simulate

# `python -m tests.simulation.false_denials` tries as many as you like.
RESTARTS = 12
REVOCATIONS = 6


def test_no_restart_of_one_of_two_servers_behind_a_balancer_takes_anything_away() -> None:
    found = simulate("connection", RESTARTS, REVOCATIONS)

    assert (found.false, found.lost) == (0, 0)
    assert max(found.took) <= found.bound


def test_where_every_request_goes_to_another_server_revocations_are_noticed_in_time_all_the_same() -> None:
    found = simulate("request", RESTARTS, REVOCATIONS)

    assert found.false <= 1  # the server that says it is ready need not be the one that denied
    assert max(found.took) <= found.bound
