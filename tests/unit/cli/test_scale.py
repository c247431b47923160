"""`scopedcache scale`: what an operator of some size costs, by formulas that hold at what was measured."""

import json
import re

import pytest

from scopedcache.cli.scale_estimate import (
    COMPRESSED_POD,
    EVENT_IN_CROWD,
    LONE_EVENT,
    POD,
    WATCH,
    Size,
    estimate,
)
from tests.scale import formula, page

PERFORMANCE = (page.DOCS / "performance.md").read_text()
PAGE = (page.DOCS / "scale.md").read_text()
REST, WORK = page.rows(PAGE, "replicas")
_, UNFILTERED = page.rows(PAGE, "replicas-unfiltered")
(BOUND,) = page.rows(PAGE, "bound")

# Shares are not quite even: a namespace is never divided.
SHARE = 0.1
# Lists of Leases come after pauses of chance, and 20 s have six of them.
LEASES = 0.25
# What opening many at once leaves behind differs from run to run. Who had everything before the others
# came keeps some of it, so the least of so many replicas is what their share takes.
MEMORY = 0.1
# A second of CPU is another amount of work beside other processes: an event of docs/performance.md took between 26 and
# 40 µs within one run, and the machine of each table says how busy it was.
CPU = 0.5
# Between one run of the benchmarks and the next.
ONE_RUN = 0.3


def found(pattern, text):
    """Return what a pattern finds."""
    match = re.search(pattern, text, re.M)
    assert match is not None, pattern
    return match


def number(text):
    return float(found(r"[\d,.]+", text)[0].replace(",", ""))


def of_row(row, **more):
    """Return what is reckoned of what the run of a row was given."""
    alone = REST[0]
    namespaces, owners = round(number(alone["namespaces"])), round(number(alone["objects"]))
    return estimate(Size(namespaces=namespaces, owners=owners, replicas=int(row["replicas"]), **more))


@pytest.mark.parametrize("row", REST, ids=lambda row: f"{row['replica']} of {row['replicas']}")
def test_the_formulas_hold_at_what_replicas_were_seen_to_cost_at_rest(row):
    each = of_row(row)

    assert number(row["namespaces"]) == pytest.approx(each.namespaces, rel=SHARE)
    assert number(row["watches"]) == pytest.approx(each.watches, rel=SHARE)
    assert number(row["bound"]) == pytest.approx(each.bound, rel=SHARE)
    assert number(row["reviews a second"]) == pytest.approx(each.reviews, rel=SHARE)
    assert number(row["CPU"]) / 100 == pytest.approx(each.rest_cpu, rel=CPU)


@pytest.mark.parametrize("count", sorted({row["replicas"] for row in REST}))
def test_the_formulas_hold_at_the_memory_that_replicas_were_seen_to_take(count):
    seen = [number(row["resident"]) * 2**20 for row in REST if row["replicas"] == count]
    alone, each = (of_row({"replicas": replicas}).memory for replicas in ("1", count))

    assert min(seen) == pytest.approx(each, rel=MEMORY)
    assert max(seen) <= (1 + MEMORY) * alone


@pytest.mark.parametrize("row", REST, ids=lambda row: f"{row['replica']} of {row['replicas']}")
def test_a_replica_that_shares_asks_for_leases_as_often_as_reckoned(row):
    each = estimate(Size(namespaces=1, replicas=2))

    assert number(row["all requests for Leases"]) == pytest.approx(each.lease_requests, rel=LEASES)


@pytest.mark.parametrize("row", WORK, ids=lambda row: f"{row['replica']} of {row['replicas']}")
def test_the_formulas_hold_at_what_replicas_were_seen_to_cost_at_work(row):
    changes = sum(number(one["changes a second"]) for one in WORK if one["replicas"] == row["replicas"])
    each = of_row(row, runs=changes)

    assert number(row["CPU"]) / 100 == pytest.approx(each.most_cpu, rel=CPU)


@pytest.mark.parametrize("row", UNFILTERED, ids=lambda row: f"{row['replica']} of {row['replicas']}")
def test_the_formulas_hold_where_each_replica_received_what_was_anothers(row):
    changes = sum(number(one["changes a second"]) for one in UNFILTERED if one["replicas"] == row["replicas"])
    each = of_row(row, runs=changes, undivided_events=2 * (changes - changes / int(row["replicas"])))

    assert number(row["CPU"]) / 100 == pytest.approx(each.most_cpu, rel=CPU)


@pytest.mark.parametrize("row", BOUND, ids=lambda row: row["namespaces"])
def test_the_formulas_hold_at_the_bounds_that_were_measured(row):
    each = estimate(Size(namespaces=round(number(row["namespaces"]))))

    assert number(row["bound promised"]) == pytest.approx(each.bound, rel=0.02)  # nothing is watched everywhere there
    assert number(row["reviews a second"]) == pytest.approx(each.reviews, rel=0.15)  # the last rows were still opening
    assert number(row["CPU of the process"]) / 100 == pytest.approx(each.rest_cpu, rel=CPU)


@pytest.mark.parametrize(
    ("row", "figure"),
    [
        ("memory kept", POD), ("memory kept, compressed", COMPRESSED_POD), ("CPU of an event", EVENT_IN_CROWD),
        ("CPU of an event that comes alone (1,000/s)", LONE_EVENT),
        ("idle namespace: a watch over TLS and its scope", WATCH),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_goes_in_is_what_the_page_of_performance_has(row, figure):
    value = found(rf"^\| {re.escape(row)} \|[^|]*\| ([\d.,]+) (\S+)", PERFORMANCE)
    unit = {"KB/Pod": 1e3, "µs": 1e-6, "KiB": 2**10}[value[2]]

    assert figure.value == pytest.approx(number(value[1]) * unit, rel=ONE_RUN)


def test_the_tables_by_formula_are_those_of_the_page():
    assert page.fill(PAGE, formula.texts()) == PAGE, "run make scale-table"
    assert (page.DOCS / "scale" / f"{formula.PLOT}.svg").read_text() == formula.large_plot(), "run make scale-table"


def test_what_the_page_shows_is_what_it_prints(command):
    shown = found(r"\$ scopedcache (scale .*)\n([^`]*)```", PAGE)
    ended = command(*shown[1].split())

    assert ended.status == 0
    assert [line.rstrip() for line in ended.out.splitlines()] == shown[2].splitlines()


def test_twice_the_replicas_have_half_of_all_that_is_divided():
    two, four = (
        estimate(Size(namespaces=8_000, kinds=3, objects=10**6, owners=8_000, events=400.0, runs=10.0, replicas=count))
        for count in (2, 4)
    )

    assert (two.namespaces, two.watches - 1, two.runs_cpu) == (
        2 * four.namespaces,
        2 * (four.watches - 1),
        2 * four.runs_cpu,
    )
    assert two.events_cpu == pytest.approx([2 * cpu for cpu in four.events_cpu])
    assert two.memory > four.memory > two.memory / 2  # the process itself is not


def test_what_every_replica_receives_is_not_divided():
    two, four = (estimate(Size(namespaces=8, undivided_events=400.0, replicas=count)) for count in (2, 4))

    assert two.events_cpu == four.events_cpu


def test_with_rbac_events_four_watches_more_make_the_bound_a_second():
    without, with_events = (estimate(Size(namespaces=1_000, rbac_events=told)) for told in (False, True))

    assert (with_events.watches - without.watches, with_events.bound) == (4, 1.0)


def test_programs_get_the_numbers_and_where_each_comes_from(command):
    ended = command("scale", "--namespaces", "400", "--owners", "2000", "--replicas", "4", "-o", "json")
    told = json.loads(ended.out)

    assert (told["size"]["owners"], told["replica"]["watches"]) == (2000, 101)
    assert told["figures"]["watch"]["source"] == "docs/performance.md, idle namespace"
    assert [name for name, figure in told["figures"].items() if not figure["measured"]] == ["lease_request"]


def test_more_than_one_core_can_do_is_said(command):
    ended = command("scale", "--namespaces", "10", "--event-rate", "10000")

    assert "take more replicas" in ended.err


@pytest.mark.parametrize(
    "wrong",
    [
        ("--namespaces", "0"), ("--namespaces", "many"), ("--replicas", "0"), ("--objects", "-1"),
        ("--event-rate", "-0.5"), ("--event-rate", "inf"), ("--run-rate", "nan"), ("--kinds", "9" * 30),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_size_that_makes_no_sense_is_refused(command, wrong):
    ended = command("scale", "--namespaces", "10", *wrong)

    assert (ended.status, ended.out) == (2, "")


def test_a_size_without_namespaces_is_refused(command):
    assert command("scale").status == 2
