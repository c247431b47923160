"""Who hears of changes, and what becomes of those who fail or are slow."""

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.event_logger import event_of
from scopedcache.informer.delta import Delta
from scopedcache.informer.event_handlers import SLOW_SECONDS, DirectHandler, EventHandler, change_handler
from scopedcache.kinds import GVK
from tests.unit.clock import idle
from tests.unit.informer.events import entry

POD = GVK("", "v1", "Pod")
X1, X2, X3 = (entry("x", version) for version in (1, 2, 3))


def fail(obj, initial):
    raise RuntimeError("a handler of the user")


class Heard:
    """An EventHandler that notes what it is called with."""

    def __init__(self, **options):
        self.calls: list[tuple[object, ...]] = []
        self.handler = EventHandler(
            on_add=lambda obj, initial: self.calls.append(("add", obj.resource_version, initial)),
            on_update=lambda old, new: self.calls.append(("update", old.resource_version, new.resource_version)),
            on_delete=lambda obj, unknown: self.calls.append(("delete", obj.resource_version, unknown)),
            **options,
        )


def direct(handler, **options):
    """Return a handler that is called directly, in no time."""
    return DirectHandler(handler, POD, **{"timer": lambda: 0.0, **options})


def test_each_kind_of_change_has_its_function():
    heard = Heard()
    told = direct(heard.handler)
    told.handle(Delta(None, X1), True)
    told.handle(Delta(X1, X2), False)
    told.handle(Delta(X2, None, X3), False)
    told.handle(Delta(X2, None, final_state_unknown=True), False)
    assert heard.calls == [("add", "1", True), ("update", "1", "2"), ("delete", "3", False), ("delete", "2", True)]


def test_an_object_recreated_under_its_name_is_a_removal_nobody_saw_and_an_addition():
    heard = Heard()
    direct(heard.handler).handle(Delta(entry("x", 1, uid="first"), entry("x", 5, uid="second")), False)
    assert heard.calls == [("delete", "1", True), ("add", "5", False)]


@pytest.mark.parametrize("delta", [Delta(None, X1), Delta(X1, X2), Delta(X2, None)])
def test_functions_may_be_left_out(delta, caplog):
    direct(EventHandler()).handle(delta, False)
    assert caplog.records == []


def test_a_handler_gets_objects_of_its_own():
    seen = []
    told = direct(EventHandler(on_add=lambda obj, _: seen.append(obj)), partial=True)
    told.handle(Delta(None, X1), False)
    told.handle(Delta(None, X1), False)
    seen[0]["metadata"]["name"] = "mine"
    assert (seen[1]["metadata"]["name"], seen[1].kind, seen[1].partial) == ("x", "Pod", True)


def test_a_handler_that_fails_is_reported_and_no_more(caplog):
    direct(EventHandler(on_add=fail), timer=lambda: 0.0).handle(Delta(None, X1), False)
    assert [(record.levelname, event_of(record)) for record in caplog.records] == [("ERROR", "handler.failed")]


@pytest.mark.parametrize(("seconds", "reported"), [(SLOW_SECONDS, False), (SLOW_SECONDS * 1.01, True)])
def test_only_a_slow_handler_is_reported(caplog, seconds, reported):
    clock = iter([0.0, seconds])
    direct(EventHandler(), timer=lambda: next(clock)).handle(Delta(None, X1), False)
    logged = [(record.levelname, event_of(record)) for record in caplog.records]
    assert logged == ([("WARNING", "handler.slow")] if reported else [])


def test_a_closed_handler_hears_nothing_not_even_the_rest_of_a_change():
    heard = []
    told = direct(EventHandler(on_delete=lambda *_: told.close(), on_add=lambda *_: heard.append("add")))
    told.handle(Delta(entry("x", 1, uid="first"), entry("x", 5, uid="second")), False)
    told.handle(Delta(None, X1), False)
    assert heard == []


# -- coalescing ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def coalescing():
    heard = Heard(coalesce=True)
    told = change_handler(heard.handler, POD, partial=False)
    yield heard, told
    told.close()


async def test_changes_of_one_object_become_one_call(coalescing):
    heard, told = coalescing
    told.handle(Delta(None, X1), True)
    told.handle(Delta(X1, X2), False)
    await idle()
    told.handle(Delta(X2, X3), False)
    told.handle(Delta(X3, None), False)
    await idle()
    assert heard.calls == [("add", "2", False), ("delete", "2", False)]


async def test_what_came_and_went_in_between_is_not_told(coalescing):
    heard, told = coalescing
    told.handle(Delta(None, X1), False)
    told.handle(Delta(X1, None), False)
    await idle()
    assert heard.calls == []


async def test_nothing_is_called_before_the_loop_has_its_turn(coalescing):
    heard, told = coalescing
    told.handle(Delta(None, X1), False)
    assert heard.calls == []
    await idle()
    assert len(heard.calls) == 1


async def test_what_waits_is_bounded_by_objects_and_not_by_events(coalescing):
    _, told = coalescing
    for version in range(1, 1000):
        told.handle(Delta(entry("x", version), entry("x", version + 1)), False)
    assert len(told) == 1


async def test_a_coalescing_handler_that_fails_goes_on(caplog):
    calls = []

    def fail(obj, initial):
        calls.append(obj.name)
        raise RuntimeError

    told = change_handler(EventHandler(on_add=fail, coalesce=True), POD, partial=False)
    told.handle(Delta(None, X1), False)
    await idle()
    told.handle(Delta(None, entry("y", 1)), False)
    await idle()
    told.close()
    assert (calls, [event_of(record) for record in caplog.records]) == (["x", "y"], ["handler.failed"] * 2)


async def test_closing_drops_what_waits_and_ends_the_task():
    heard = Heard(coalesce=True)
    told = change_handler(heard.handler, POD, partial=False)
    told.handle(Delta(None, X1), False)
    told.close()
    await idle()
    assert heard.calls == []
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


@given(st.lists(st.one_of(st.integers(1, 3), st.none()), max_size=20), st.data())
def test_coalesced_calls_lead_to_the_same_state_as_all_of_them(states, data):
    """Whenever the task gets its turn, replaying its calls gives what is held then."""

    async def run():
        told_state = {}

        def put(obj):
            told_state[obj.name] = obj.resource_version

        handler = EventHandler(
            on_add=lambda obj, _: put(obj),
            on_update=lambda _, new: put(new),
            on_delete=lambda obj, _: told_state.pop(obj.name),
            coalesce=True,
        )
        told = change_handler(handler, POD, partial=False)
        old = None
        for version, state in enumerate(states):
            new = None if state is None else entry("x", version + 1)
            if old is not None or new is not None:
                told.handle(Delta(old, new), False)
            old = new
            if data.draw(st.booleans()):
                for _ in range(3):
                    await asyncio.sleep(0)
                assert told_state == ({} if old is None else {"x": old.metadata.resource_version})
        told.close()

    logging.disable(logging.NOTSET)
    asyncio.run(run())
