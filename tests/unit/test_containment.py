"""What user code raises costs the object at hand, and is named once."""

import asyncio

import pytest

from scopedcache.containment import NAMED_OBJECTS, UserFunction
from scopedcache.event_logger import event_of
from scopedcache.kinds import ObjectKey
from scopedcache.objects import Metadata


class Odd(BaseException):
    def __str__(self):
        raise RuntimeError("not even words")


RAISED = [
    ValueError("text"), RecursionError(), MemoryError(), StopIteration(), StopAsyncIteration(), TimeoutError(),
    asyncio.CancelledError(), SystemExit(1), GeneratorExit(), BaseExceptionGroup("many", [SystemExit(2)]), Odd(),
]  # fmt: skip


def key(name):
    return ObjectKey("a", name)


def failing_for(*names, raised=None):
    """Return a function of the user's that answers with the name, and fails for some."""

    def answer(name):
        if name in names:
            raise raised or ValueError(name)
        return name

    return UserFunction(answer, "mapper.failed", otherwise="nothing", kind="Pod", controller="web")


def said(caplog):
    return [(event_of(record), record.__dict__["object"]) for record in caplog.records]


@pytest.mark.parametrize("raised", RAISED, ids=lambda raised: type(raised).__name__)
def test_whatever_is_raised_stays_with_the_object_at_hand(raised, caplog):
    function = failing_for("odd", raised=raised)
    assert [function.call(key(name), name) for name in ("x", "odd", "y")] == ["x", "nothing", "y"]
    (record,) = caplog.records
    fields = {name: record.__dict__[name] for name in ("controller", "kind", "object", "error", "function")}
    assert (record.levelname, event_of(record), fields) == (
        "ERROR",
        "mapper.failed",
        {
            "controller": "web",
            "kind": "Pod",
            "object": "a/odd",
            "error": type(raised).__name__,
            "function": "failing_for.<locals>.answer",
        },
    )


def test_only_the_person_at_the_terminal_gets_through():
    with pytest.raises(KeyboardInterrupt):
        failing_for("x", raised=KeyboardInterrupt()).call(key("x"), "x")


def test_an_object_is_named_once_and_again_once_it_went_well_in_between(caplog):
    failing = {"x"}
    function = UserFunction(lambda name: 1 / (name not in failing), "route.failed", otherwise=0.0)
    for _ in range(5):
        function.call(key("x"), "x")
    failing.clear()
    function.call(key("x"), "x")
    failing.add("x")
    function.call(key("x"), "x")
    assert said(caplog) == [("route.failed", "a/x")] * 2


def test_another_failure_of_the_same_object_is_named_too(caplog):
    raised = iter([ValueError(), ValueError(), KeyError("a"), KeyError("b")])

    def fail():
        raise next(raised)

    function = UserFunction(fail, "index.failed", otherwise=None)
    for _ in range(4):
        function.call(key("x"))
    assert [record.__dict__["error"] for record in caplog.records] == ["ValueError", "KeyError"]


def test_a_function_that_fails_for_everything_does_not_fill_the_log(caplog):
    def fail():
        raise ValueError

    function = UserFunction(fail, "handler.failed", otherwise=None)
    for number in range(100_000):
        function.call(Metadata(name=str(number)))
    assert len(caplog.records) == NAMED_OBJECTS
    assert sum(record.exc_info is not None for record in caplog.records) == 1
    assert "more objects" in caplog.records[-1].__dict__["more"]


@pytest.mark.parametrize(("subject", "expected"), [(Metadata(name="x"), "x"), (key("x"), "a/x")])
def test_the_object_is_named_by_its_place_and_name(subject, expected, caplog):
    failing_for("x").call(subject, "x")
    assert said(caplog) == [("mapper.failed", expected)]


def test_a_function_whose_own_name_is_trouble_is_named_by_its_type(caplog):
    class Callable:
        def __getattr__(self, name):
            raise RuntimeError("no such thing")

        def __repr__(self):
            raise RuntimeError("nothing to show")

        def __call__(self):
            raise ValueError

    UserFunction(Callable(), "subscriber.failed", otherwise=None).call(key("x"))
    assert caplog.records[0].__dict__["function"].endswith("<locals>.Callable")
