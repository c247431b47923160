"""What a look that changes nothing costs, in calls: most reconciles end so."""

import copy
import sys
from typing import cast

from scopedcache import Client
from scopedcache.kit import create_or_update
from scopedcache.objects import Object

TEXTS = {f"key-{number}": f"text {number}" for number in range(1_000)}
DATA = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"}, "data": TEXTS}


def calls_of(work):
    """Return how many functions were called, in Python and in C."""
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def test_what_is_unchanged_is_copied_and_compared_without_a_function_for_each_of_its_texts():
    current = Object.from_dict(copy.deepcopy(DATA))
    looked = create_or_update(
        cast(Client, None), {**DATA, "data": {}}, lambda draft: None, read=lambda kind, key: current
    )
    outcome = []

    def run():
        try:
            looked.send(None)
        except StopIteration as end:
            outcome.append(end.value)

    calls = calls_of(run)

    assert outcome == [(current, "unchanged")]
    assert calls < 200 + 2.5 * len(TEXTS), "a copy of a text, and a comparison by a function, are ten"
