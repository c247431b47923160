"""What a soak takes for growth, and what it draws."""

from xml.etree import ElementTree

import attrs
import pytest

from tests.plots import lines, plot
from tests.soak.page import verdict
from tests.soak.series import Sample, drift, quantile, rates

CALM = Sample(0.0, memory=50.0, tasks=4, connections=3, descriptors=20, watches=1, objects=0, requests=0, rest=True)


def rests(name, values):
    return [attrs.evolve(CALM, at=float(at), **{name: value}) for at, value in enumerate(values)]


def test_what_stays_the_same_is_no_drift():
    assert drift(rests("memory", [50.0] * 20)) == []


@pytest.mark.parametrize(
    ("name", "step"),
    [("memory", 1.0), ("tasks", 1), ("connections", 1), ("descriptors", 1), ("watches", 1), ("objects", 1)],
)
def test_what_grows_a_little_in_each_round_is_found(name, step):
    (found,) = drift(rests(name, [getattr(CALM, name) + step * number for number in range(20)]))

    assert found.startswith(f"{name} rose from")


def test_what_the_first_rounds_fill_once_is_no_drift():
    assert drift(rests("memory", [40.0, 45.0, 50.0, *[50.0] * 17])) == []


def test_one_odd_look_condemns_nobody():
    assert drift(rests("objects", [0] * 19 + [7])) == []


def test_looks_in_the_midst_of_trouble_are_not_compared():
    busy = [attrs.evolve(CALM, memory=90.0, rest=False)] * 20

    assert drift([*rests("memory", [50.0] * 12), *busy]) == []


def test_requests_per_second_come_from_the_difference_of_two_looks():
    looks = [attrs.evolve(CALM, at=at, requests=total) for at, total in ((0.0, 0), (5.0, 10), (10.0, 5), (15.0, 20))]

    assert rates(looks) == [(5.0, 2.0), (15.0, 3.0)]


def test_a_quantile_of_nothing_is_nothing():
    assert (quantile([], 0.5), quantile([3.0], 0.99), quantile([1.0, 2.0, 3.0, 4.0], 0.5)) == (0.0, 3.0, 3.0)


@pytest.mark.parametrize("points", [[], [(0.0, 0.0)], [(1.0, 5.0), (60.0, 7.0)]])
def test_a_plot_is_a_picture_in_both_schemes_whatever_was_measured(points):
    drawn = plot("Open <sockets>", points, across="2 min")

    assert ElementTree.fromstring(drawn).findtext("{http://www.w3.org/2000/svg}title") == "Open <sockets>"
    assert "prefers-color-scheme:dark" in drawn


def test_several_lines_over_the_same_places_are_a_picture_with_their_names():
    drawn = lines(
        "Shares", ["1", "2", "4"], {"<CPU>": [100.0, 50.0, 25.0], "bound": [0.0, 0.0, 0.0]}, across="replicas"
    )
    read = [text.text for text in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]

    assert {"1", "2", "4", "<CPU>: 25", "bound: 0", "replicas"} < set(read)


def test_the_page_says_how_much_memory_rose_where_that_is_tolerated():
    said = verdict([52.0, 53.0, 54.0, 55.0, 56.0, 56.5])

    assert "52.0 MB after the first round, 56.0 MB at the beginning of the last third and 56.5 MB at the end" in said
