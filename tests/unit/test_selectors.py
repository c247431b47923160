"""Label selectors, beside what k8s.io/apimachinery/pkg/labels says about the same text."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.selectors import LabelSelector, Operator, Requirement

LABELS = {"app": "memcached", "tier": "cache", "example.com/owner": "a", "empty": "", "in": "odd"}

# (selector, does it match LABELS): the cases of labels/selector_test.go, put to these labels.
TABLE = [
    ("", True),
    ("app", True),
    ("!app", False),
    ("missing", False),
    ("!missing", True),
    ("! missing", True),
    ("app=memcached", True),
    ("app==memcached", True),
    ("app = memcached", True),
    ("app=other", False),
    ("app!=memcached", False),
    ("app!=other", True),
    ("missing!=anything", True),
    ("missing=", False),
    ("missing!=", True),
    ("empty=", True),
    ("empty", True),
    ("empty!=", False),
    ("app in (memcached,redis)", True),
    ("app in ( memcached , redis )", True),
    ("app in(memcached)", True),
    ("app in (redis)", False),
    ("missing in (a)", False),
    ("missing in (,a)", False),
    ("empty in (,a)", True),
    ("empty in ()", True),
    ("app in ()", False),
    ("app notin ( )", True),
    ("app notin (redis)", True),
    ("app notin (memcached,redis)", False),
    ("missing notin (a,b)", True),
    ("example.com/owner=a", True),
    ("example.com/owner in (a)", True),
    ("in", True),
    ("in=odd", True),
    ("in in (odd)", True),
    ("notin", False),
    ("notin notin (x)", True),
    ("app=memcached,tier=cache", True),
    ("app=memcached , tier=cache", True),
    ("app=memcached,tier=front", False),
    ("app,!missing,tier in (cache),empty!=x", True),
    ("\tapp\n=\r memcached ", True),
]


@pytest.mark.parametrize(("text", "expected"), TABLE)
def test_a_selector_matches_as_the_server_would(text, expected):
    assert LabelSelector.parse(text).matches(LABELS) is expected


# (text, where reading stopped)
MALFORMED = [
    ("app=memcached,", ""),
    (",app", ",app"),
    ("app,,tier", ",tier"),
    ("app in", "in"),
    ("app in (", "in ("),
    ("app in (a", "in (a"),
    ("app in a", "in a"),
    ("app=a b", "b"),
    ("app=a/b", "/b"),
    ("=a", "=a"),
    ("!", "!"),
    ("!app=a", "=a"),
    ("app=!a", "!a"),
    ("app=-a", "-a"),
    ("a/b/c", "/c"),
    ("app>1", ">1"),
    ("(app)", "(app)"),
    ("app in (a) b", "b"),
    ("-app", "-app"),
]


@pytest.mark.parametrize(("text", "place"), MALFORMED)
def test_a_malformed_selector_is_refused_and_the_message_shows_the_place(text, place):
    with pytest.raises(ValueError) as caught:
        LabelSelector.parse(text)

    position = len(text) - len(place)
    assert str(caught.value) == f"malformed label selector {text!r}: cannot read {place!r} (position {position})"


@pytest.mark.parametrize(
    ("text", "wrong"), [("app in (a b)", "a b"), ("app notin (-a)", "-a"), ("app in (a/b,c)", "a/b")]
)
def test_a_set_with_something_that_is_no_label_value_names_it(text, wrong):
    with pytest.raises(ValueError, match=f"{wrong!r} is not a label value"):
        LabelSelector.parse(text)


@pytest.mark.parametrize(
    "labels", [{"app": "a,tier=b"}, {"app": "a b"}, {"app=x": "a"}, {"": "a"}, {"app": "a\n"}, {"a/b/c": "d"}]
)
def test_a_mapping_cannot_smuggle_in_another_requirement(labels):
    """The text of a selector goes to the server: a value with a comma would ask for something else there."""
    with pytest.raises(ValueError, match="not a label"):
        LabelSelector.parse(labels)


def test_a_mapping_asks_for_exact_values():
    selector = LabelSelector.parse({"tier": "cache", "app": "memcached"})
    assert (str(selector), selector.matches(LABELS)) == ("app=memcached,tier=cache", True)


def test_nothing_matches_everything():
    for nothing in [LabelSelector.parse(text) for text in (None, "", "  ")] + [LabelSelector.parse({})]:
        assert (bool(nothing), nothing.matches({}), str(nothing)) == (False, True, "")


def test_the_pairs_are_what_every_match_must_carry():
    selector = LabelSelector.parse("app=a,tier in (b),role in (c,d),x,!y,z!=q,empty=")
    assert selector.pairs == (("app", "a"), ("tier", "b"), ("empty", ""))


def test_parsing_a_selector_gives_it_back():
    selector = LabelSelector.parse("app")
    assert LabelSelector.parse(selector) is selector


_key = st.from_regex(r"([a-z]([a-z0-9.]{0,8}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,8}[A-Za-z0-9])?", fullmatch=True)
_value = st.from_regex(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,8}[A-Za-z0-9])?)?", fullmatch=True)
_requirements = st.one_of(
    st.builds(Requirement, _key, st.sampled_from(["exists", "absent"])),
    st.builds(Requirement, _key, st.sampled_from(["in", "notin"]), st.frozensets(_value, min_size=1, max_size=4)),
)


@given(st.lists(_requirements, max_size=5).map(lambda terms: LabelSelector(tuple(terms))))
def test_a_selector_survives_its_own_text(selector):
    assert LabelSelector.parse(str(selector)) == selector


@given(_requirements, st.dictionaries(_key, _value, max_size=4))
def test_a_requirement_and_its_opposite_never_agree(requirement, labels):
    opposites: dict[Operator, Operator] = {"in": "notin", "notin": "in", "exists": "absent", "absent": "exists"}
    opposite = opposites[requirement.operator]
    assert requirement.matches(labels) is not Requirement(requirement.key, opposite, requirement.values).matches(labels)


@given(st.text(max_size=40))
def test_any_text_is_a_selector_or_a_ValueError(text):
    with contextlib.suppress(ValueError):
        LabelSelector.parse(text)
