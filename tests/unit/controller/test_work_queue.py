"""What the queue promises, rule by rule, and then for any interleaving."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.controller.retry_limits import FailureBackoff, RetryBudget
from scopedcache.controller.work_queue import LOW_EVERY, WorkQueue
from scopedcache.kinds import ObjectKey
from tests.unit.memory import objects_in


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def queue(clock):
    return WorkQueue[ObjectKey](timer=clock)


def key(name, namespace="a"):
    return ObjectKey(namespace, name)


def drain(queue):
    """Run everything that is ready, one after the other."""
    order = []
    while (picked := queue.pick()) is not None:
        order.append(picked)
        queue.done(picked)
    return order


def names(keys):
    return [k.name for k in keys]


def test_a_key_added_often_runs_once(queue):
    for _ in range(5):
        queue.add(key("x"))

    assert drain(queue) == [key("x")]


def test_a_running_key_is_not_handed_out_again(queue):
    queue.add(key("x"))
    queue.pick()
    queue.add(key("x"))

    assert queue.pick() is None
    assert queue.ready == 0


def test_a_key_added_while_it_runs_runs_once_more(queue):
    queue.add(key("x"))
    queue.pick()
    queue.add(key("x"))
    queue.add(key("x"))
    queue.done(key("x"))

    assert drain(queue) == [key("x")]


def test_a_delayed_key_is_not_ready_before_its_time(queue, clock):
    queue.add(key("x"), after=5)
    clock.now += 4.9

    assert (queue.ready, queue.delayed, queue.pick()) == (0, 1, None)


def test_a_delayed_key_is_ready_at_its_time(queue, clock):
    queue.add(key("x"), after=5)
    assert queue.next_due == 105
    clock.now += 5

    assert (queue.ready, queue.delayed, queue.pick()) == (1, 0, key("x"))


def test_of_two_delays_the_earlier_counts(queue, clock):
    queue.add(key("x"), after=5)
    queue.add(key("x"), after=2)
    queue.add(key("x"), after=9)

    assert queue.next_due == 102
    clock.now += 20
    assert drain(queue) == [key("x")]


def test_an_add_without_delay_ends_the_delay(queue, clock):
    queue.add(key("x"), after=60)
    queue.add(key("x"))

    assert drain(queue) == [key("x")]
    clock.now += 61
    assert drain(queue) == []


def test_a_delay_that_ends_while_the_key_runs_makes_it_run_once_more(queue, clock):
    queue.add(key("x"))
    queue.pick()
    queue.add(key("x"), after=1)
    clock.now += 2
    assert queue.pick() is None
    queue.done(key("x"))

    assert drain(queue) == [key("x")]


def test_high_overtakes_low(queue):
    queue.add(key("low"), priority="low")
    queue.add(key("high"))

    assert names(drain(queue)) == ["high", "low"]


def test_the_highest_priority_ever_asked_for_counts(queue):
    queue.add(key("first"), priority="low")
    queue.add(key("second"), priority="low")
    queue.add(key("second"))
    queue.add(key("second"), priority="low")

    assert names(drain(queue)) == ["second", "first"]


def test_every_eighth_pick_is_low_while_one_waits(queue):
    for number in range(20):
        queue.add(key(f"high-{number:02}"))
        queue.add(key(f"low-{number:02}"), priority="low")
    order = names(drain(queue))[:24]

    assert [i for i, name in enumerate(order, 1) if name.startswith("low")][:2] == [LOW_EVERY, 2 * LOW_EVERY]


def test_keys_of_a_namespace_are_first_come_first_served(queue):
    for name in "cab":
        queue.add(key(name))

    assert names(drain(queue)) == ["c", "a", "b"]


def test_namespaces_take_turns(queue):
    for number in range(3):
        queue.add(key(f"loud-{number}", "loud"))
    queue.add(key("quiet", "quiet"))

    assert names(drain(queue)) == ["loud-0", "quiet", "loud-1", "loud-2"]


def test_each_failure_doubles_the_pause_up_to_the_cap(queue, clock):
    pauses = []
    for _ in range(16):
        pauses.append(queue.add_rate_limited(key("x")))
        clock.now += 100
        drain(queue)

    assert pauses[:4] == [0.005, 0.01, 0.02, 0.04]
    assert pauses[-1] == FailureBackoff().cap


def test_ten_thousand_failures_do_not_overflow(queue):
    assert FailureBackoff().delay(10_000) == FailureBackoff().cap


def test_forgetting_starts_the_back_off_again(queue):
    queue.add_rate_limited(key("x"))
    queue.add_rate_limited(key("x"))
    queue.forget(key("x"))

    assert queue.add_rate_limited(key("x")) == 0.005


def test_an_event_during_a_back_off_does_not_double_the_next_one(queue, clock):
    first = queue.add_rate_limited(key("x"))
    for _ in range(10):  # each of these runs fails before the retry is due
        queue.add(key("x"))
        queue.pick()
        queue.add_rate_limited(key("x"))
        queue.done(key("x"))

    assert queue.next_due == clock.now + first
    clock.now += first
    assert drain(queue) == [key("x")]
    assert queue.add_rate_limited(key("x")) == 2 * first


def test_a_retry_may_take_the_place_of_what_was_asked_for_meanwhile_unless_that_is_urgent(queue, clock):
    for name, at_once in (("own", False), ("told", True)):
        queue.add(key(name))
        queue.pick()
        queue.add(key(name), at_once=at_once)
        queue.add_rate_limited(key(name), drop_again=True)
        queue.done(key(name))

    assert drain(queue) == [key("told")]


def test_pauses_are_shortened_by_chance_so_that_keys_do_not_come_back_together(clock):
    queue = WorkQueue[ObjectKey](timer=clock, chance=iter([0.0, 0.5, 1.0]).__next__)

    assert [queue.add_rate_limited(key(name)) for name in "abc"] == [0.005, 0.00375, 0.0025]


def test_all_keys_together_retry_no_faster_than_the_budget(clock):
    queue = WorkQueue[ObjectKey](timer=clock, budget=RetryBudget(10))
    pauses = [queue.add_rate_limited(key(f"x{n}")) for n in range(30)]

    assert pauses[:10] == [0.005] * 10
    assert pauses[-1] == pytest.approx(2.0)


def test_the_first_failure_of_a_key_after_a_success_pauses_anew(queue, clock):
    for _ in range(5):
        clock.now += queue.add_rate_limited(key("x"))
    queue.forget(key("x"))

    assert queue.add_rate_limited(key("x")) == 0.005


# -- refused keys --------------------------------------------------------------------------------------------------


def refuse(queue, name="x"):
    """Run a key that is refused; events come while it runs."""
    queue.add(key(name), at_once=True)
    assert queue.pick() == key(name)
    queue.add(key(name))
    queue.add_refused(key(name), after=600)
    queue.done(key(name))


def test_a_refused_key_that_something_wakes_all_the_time_runs_a_few_times_a_minute(queue, clock):
    queue.add(key("x"))
    runs, end = 0, clock.now + 60
    while clock.now < end:
        if queue.pick() is not None:
            runs += 1
            queue.add(key("x"))  # its own write
            queue.add_refused(key("x"), after=600)
            queue.done(key("x"))
        queue.add(key("x"))
        clock.now += 0.01

    assert 5 < runs < 20


def test_a_refused_key_runs_at_once_when_it_is_told_of_its_rights(queue):
    for _ in range(5):
        refuse(queue)
    assert queue.pick() is None
    queue.add(key("x"), at_once=True)

    assert drain(queue) == [key("x")]


def test_what_a_refused_key_is_told_of_its_rights_while_it_runs_is_not_delayed(queue):
    refuse(queue)
    queue.add(key("x"), at_once=True)
    queue.pick()
    queue.add(key("x"), at_once=True)
    queue.add_refused(key("x"), after=600)
    queue.done(key("x"))

    assert drain(queue) == [key("x")]


def test_what_came_delayed_while_a_key_was_refused_waits_as_long_as_what_came_at_once(queue, clock):
    queue.add(key("x"))
    queue.pick()
    queue.add(key("x"), after=0.05)
    queue.add_refused(key("x"), after=600)
    queue.done(key("x"))

    assert queue.next_due == pytest.approx(clock.now + 0.1)


def test_what_became_due_while_a_key_ran_is_dropped_whether_or_not_somebody_looked(queue, clock):
    dues = []
    for looked in (True, False):
        queue.add(key("x"), at_once=True)
        queue.pick()
        queue.add(key("x"), after=0.001)
        clock.now += 0.002
        if looked:
            queue.pick()
        queue.add_rate_limited(key("x"), drop_again=True)
        queue.done(key("x"))
        dues.append(queue.next_due is not None and queue.next_due > clock.now)
        queue.discard(key("x"))

    assert dues == [True, True]


def test_a_refused_key_that_nothing_wakes_runs_at_its_net(queue, clock):
    queue.add(key("x"))
    queue.pick()
    queue.add_refused(key("x"), after=600)
    queue.done(key("x"))

    assert queue.next_due == clock.now + 600


def test_a_key_that_was_refused_long_ago_is_not_slower_for_it(queue, clock):
    for _ in range(8):
        refuse(queue)
    clock.now += 61
    drain(queue)
    refuse(queue)

    assert queue.next_due == pytest.approx(clock.now + 0.1)


def test_a_key_that_succeeded_is_refused_no_longer(queue):
    refuse(queue)
    queue.forget(key("x"))
    queue.add(key("x"))

    assert drain(queue) == [key("x")]


def test_a_retry_keeps_the_priority_of_the_run(queue, clock):
    queue.add(key("retried"), priority="low")
    queue.pick()
    queue.add_rate_limited(key("retried"))
    queue.done(key("retried"))
    clock.now += 1
    queue.add(key("fresh"))

    assert names(drain(queue)) == ["fresh", "retried"]


def test_a_discarded_key_does_not_run_again(queue, clock):
    for name, after in (("ready", 0), ("delayed", 1), ("again", 0)):
        queue.add(key(name), after=after)
    assert queue.pick() == key("ready")
    assert queue.pick() == key("again")
    queue.add(key("again"))
    for name in ("ready", "delayed", "again"):
        queue.discard(key(name))
    queue.done(key("ready"))
    queue.done(key("again"))
    clock.now += 60

    assert drain(queue) == []


def test_after_shutdown_nothing_is_handed_out_and_running_keys_may_end(queue):
    queue.add(key("x"))
    queue.add(key("y"))
    running = queue.pick()
    queue.add(running)
    queue.shutdown()
    queue.add(key("z"))
    queue.done(running)

    assert (queue.pick(), queue.ready, queue.running) == (None, 0, 0)


def test_a_key_that_does_not_run_cannot_be_done(queue):
    with pytest.raises(ValueError, match="a/x is not running"):
        queue.done(key("x"))


def test_overtaken_delays_do_not_pile_up(queue):
    for _ in range(10_000):
        queue.add(key("x"), after=600)
        queue.add(key("x"))
        drain(queue)

    assert objects_in(queue) < 1_000


KEYS = st.builds(ObjectKey, st.sampled_from(["a", "b"]), st.sampled_from(["x", "y", "z"]))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), KEYS, st.sampled_from([0.0, 1.0, 5.0]), st.sampled_from(["high", "low", None])),
        st.tuples(st.just("fail"), KEYS),
        st.tuples(st.just("discard"), KEYS),
        st.tuples(st.just("pick")),
        st.tuples(st.just("done")),
        st.tuples(st.just("wait"), st.sampled_from([0.5, 3.0, 100.0])),
    ),
    max_size=60,
)


@given(STEPS)
def test_no_interleaving_runs_a_key_twice_at_once_loses_it_or_runs_it_early(steps):
    clock = Clock()
    queue = WorkQueue[ObjectKey](timer=clock)
    owed: dict[ObjectKey, float] = {}  # the model: when each key that was asked for may run, at the earliest
    running: list[ObjectKey] = []
    for step in steps:
        match step:
            case ("add", k, after, priority):
                queue.add(k, after=after, priority=priority)
                owed[k] = min(owed.get(k, float("inf")), clock.now + after)
            case ("fail", k):
                owed[k] = min(owed.get(k, float("inf")), clock.now + queue.add_rate_limited(k))
            case ("discard", k):
                queue.discard(k)
                owed.pop(k, None)
            case ("pick",):
                picked = queue.pick()
                free = {k for k, due in owed.items() if due <= clock.now and k not in running}
                assert (picked in free) if free else picked is None
                if picked is not None:
                    running.append(picked)
                    del owed[picked]
            case ("done",) if running:
                queue.done(running.pop(0))
            case ("wait", pause):
                clock.now += pause
        due = {k for k, due in owed.items() if due <= clock.now}
        assert queue.ready == len(due - set(running))
        assert queue.running == len(running)
        assert queue.delayed == len(owed) - len(due)


@given(st.lists(st.tuples(KEYS, st.sampled_from(["high", "low"])), min_size=1))
def test_a_namespace_waits_for_at_most_one_key_of_each_other(adds):
    queue = WorkQueue[ObjectKey](timer=Clock())
    for k, _ in adds:
        queue.add(k)
    order = [k.namespace for k in drain(queue)]

    for index in range(1, len(order)):
        if order[index] == order[index - 1]:
            assert len(set(order[index:])) == 1, "a namespace had two turns while another one waited"


@given(st.lists(st.sampled_from(["high", "low"]), min_size=1, max_size=80))
def test_low_is_picked_at_least_every_eighth_time_and_never_first_while_high_waits(priorities):
    queue = WorkQueue[ObjectKey](timer=Clock())
    for number, priority in enumerate(priorities):
        queue.add(key(f"{priority}-{number}"), priority=priority)
    order = [k.name.split("-")[0] for k in drain(queue)]

    both = order[: max(i for i, p in enumerate(order) if p == "high") + 1] if "high" in order else []
    lows = [i for i, p in enumerate(both, 1) if p == "low"]
    assert lows == list(range(LOW_EVERY, len(both) + 1, LOW_EVERY))[: len(lows)]
    assert len(lows) == min(priorities.count("low"), len(both) // LOW_EVERY)
