"""Label selectors, beside what k8s.io/apimachinery/pkg/labels says about the same text."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.selectors import LabelSelector, Operator, Requirement

LABELS = {
    "app": "memcached",
    "tier": "cache",
    "example.com/owner": "a",
    "empty": "",
    "in": "odd",
    "n": "10",
    "padded": "007",
    "most": str(2**63 - 1),
    "more": str(2**63),
    "version": "1.5",
}

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
    ("n>9", True),
    ("n>10", False),
    ("n<11", True),
    ("n<10", False),
    ("n > 9,n < 11", True),
    ("padded>6", True),
    ("padded<8", True),
    ("most>9223372036854775806", True),
    ("more>1", False),
    ("version>1", False),
    ("version<2", False),
    ("missing>1", False),
    ("missing<1", False),
    ("app>1", False),
    ("empty<1", False),
    ("app in (,,memcached)", True),
    ("app in (redis,,memcached)", True),
    ("notin in (in,notin)", False),
    ("in notin (in,notin)", True),
    (f"app={'x' * 63}", False),
    (f"{'x' * 63}", False),
    (f"{'a' * 253}/{'x' * 63}", False),
]


@pytest.mark.parametrize(("text", "expected"), TABLE)
def test_a_selector_matches_as_the_server_would(text, expected):
    assert LabelSelector.parse(text).matches(LABELS) is expected


# (text, where reading stopped)
MALFORMED = [
    ("app=memcached,", ""),
    (",app", ",app"),
    ("app,,tier", ",tier"),
    ("app in", ""),
    ("app in (", ""),
    ("app in (a", ""),
    ("app in a", "a"),
    ("app in (a b)", "b)"),
    ("app in (a)(b)", "(b)"),
    ("app=a b", "b"),
    ("app=a/b", "a/b"),
    ("app=a=b", "=b"),
    ("=a", "=a"),
    ("!", ""),
    ("!!app", "!app"),
    ("!app=a", "=a"),
    ("!app in (a)", "in (a)"),
    ("app=!a", "!a"),
    ("app=-a", "-a"),
    ("app='a'", "'a'"),
    ("app notin (-a)", "-a)"),
    ("app in (a/b,c)", "a/b,c)"),
    ("a/b/c", "a/b/c"),
    ("/a", "/a"),
    ("a/", "a/"),
    ("a..b/c", "a..b/c"),
    ("(app)", "(app)"),
    ("app in (a) b", "b"),
    ("-app", "-app"),
    ("app;tier", "app;tier"),
    ("app\x00", "app\x00"),
    ("app\xa0=x", "app\xa0=x"),
    ("n>", ""),
    ("n>a", "a"),
    ("n>1.5", "1.5"),
    ("n<-1", "-1"),
    ("n>=1", "=1"),
    ("n>1_0", "1_0"),
    ("n>9223372036854775808", "9223372036854775808"),
    ("n<9223372036854775808,n", "9223372036854775808,n"),
    (f"n>{'9' * 64}", "9" * 64),
    (f"app={'x' * 64}", "x" * 64),
    (f"app in (a,{'x' * 64})", "x" * 64 + ")"),
    ("x" * 64, "x" * 64),
    (f"!{'x' * 64}", "x" * 64),
    (f"{'a' * 254}/x", f"{'a' * 254}/x"),
]


@pytest.mark.parametrize(("text", "place"), MALFORMED)
def test_a_malformed_selector_is_refused_and_the_message_shows_the_place(text, place):
    with pytest.raises(ValueError) as caught:
        LabelSelector.parse(text)

    position = len(text) - len(place)
    said, _, _ = str(caught.value).partition(";") if ";" not in text else (str(caught.value), "", "")
    assert said.startswith(f"malformed label selector {text!r}: cannot read {place!r} (position {position})")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("app notin (-a)", "'-a' is not a label value"),
        ("app in (a/b,c)", "'a/b' is not a label value"),
        ("-app", "'-app' is not a label key"),
        (f"app={'x' * 64}", "63 characters are the limit"),
        (f"{'x' * 64}=a", "63 characters are the limit"),
        ("n>a", "an integer of 64 bits is needed"),
    ],
)
def test_a_word_that_is_not_what_it_should_be_is_named_with_what_it_should_be(text, why):
    with pytest.raises(ValueError, match=f"; .*{why}"):
        LabelSelector.parse(text)


@pytest.mark.parametrize(
    "labels",
    [
        {"app": "a,tier=b"},
        {"app": "a b"},
        {"app=x": "a"},
        {"": "a"},
        {"app": "a\n"},
        {"a/b/c": "d"},
        {"app": "x" * 64},
        {"x" * 64: "a"},
    ],
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


_key = st.from_regex(
    r"([a-z]([a-z0-9]{0,8}[a-z0-9])?(\.[a-z0-9]{1,4})?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,8}[A-Za-z0-9])?", fullmatch=True
)
_value = st.from_regex(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,8}[A-Za-z0-9])?)?", fullmatch=True)
_requirements = st.one_of(
    st.builds(Requirement, _key, st.sampled_from(["exists", "absent"])),
    st.builds(Requirement, _key, st.sampled_from(["in", "notin"]), st.frozensets(_value, min_size=1, max_size=4)),
)
_bounds = st.builds(
    Requirement, _key, st.sampled_from(["gt", "lt"]), st.integers(0, 2**63 - 1).map(lambda n: frozenset({str(n)}))
)


@given(st.lists(st.one_of(_requirements, _bounds), max_size=5).map(lambda terms: LabelSelector(tuple(terms))))
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
