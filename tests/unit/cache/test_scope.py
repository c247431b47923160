"""The table of a scope: every state, every event, without a loop; and what holds after any of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache import GVK, GVR, Need, ObjectKey, OwnerId, ScopeClosedError, UnknownKindError
from scopedcache.access.verdict import Verdict, VerdictState
from scopedcache.api.permission import Permission
from scopedcache.cache.bound_need import BoundNeed
from scopedcache.cache.informer_plan import InformerKey
from scopedcache.cache.scope import Scope
from scopedcache.cache.scope_effects import (
    AwaitKind,
    Bind,
    DropKeys,
    DropKind,
    Effect,
    Forget,
    Hide,
    Invalidate,
    Log,
    Publish,
    Rebind,
    Release,
    Renew,
    Reopen,
    Track,
    Untrack,
)
from scopedcache.cache.scope_state import EVENTS, TABLE, Action, IllegalMoveError, ScopeEvent, ScopeState
from scopedcache.informer.delta import Delta
from scopedcache.kinds import Kind, Resource
from scopedcache.objects import Entry, Metadata
from tests.unit.cache.scope_picture import picture

STATES: tuple[ScopeState, ...] = get_args(ScopeState)
POD = Resource(GVR("", "v1", "pods"), GVK("", "v1", "Pod"), namespaced=True)
DEPLOYMENT = Resource(GVR("apps", "v1", "deployments"), GVK("apps", "v1", "Deployment"), namespaced=True)
OWNER = OwnerId(GVK("example.com", "v1", "Memcached"), ObjectKey("a", "m"), "uid")
LIST_PODS, WATCH_PODS = InformerKey(POD, "a").permissions
DELETE_PODS = Permission("delete", "", "pods", "a")
LIST_DEPLOYMENTS = InformerKey(DEPLOYMENT, "a").permissions[0]
PODS_AND_VERB = ((POD, Need(POD, verbs=("delete",))),)
OPTIONAL_PODS = ((DEPLOYMENT, Need(DEPLOYMENT)), (POD, Need(POD, optional=True)))

# What becomes of a state, event by event: "." stays as it is, "!" must not happen.
#             opening   open      waiting   closed
EXPECTED = {
    "needed":          ".         .         .         !",
    "released":        ".         .         .         !",
    "permitted":       ".         .         opening   !",
    "doubted":         "waiting   .         .         !",
    "denied":          "waiting   waiting   .         !",
    "overdue":         ".         .         .         !",
    "synced":          "open      .         !         !",
    "optional-reviewed": ".         .         .         !",
    "optional-synced": ".         .         .         !",
    "optional-denied": ".         .         .         !",
    "verb-denied":     ".         .         .         !",
    "regained":        ".         .         .         !",
    "still-denied":    ".         .         .         !",
    "verb-regained":   ".         .         .         !",
    "unserved":        "waiting   waiting   .         !",
    "optional-unserved": ".         .         .         !",
    "served":          ".         .         .         !",
    "close":           "closed    closed    closed    .",
}  # fmt: skip
CASES = [
    (state, event, state if expected == "." else expected)
    for event, row in EXPECTED.items()
    for state, expected in zip(STATES, row.split(), strict=True)
]


class World:
    """A scope, the verdicts about it, and what its effects came to."""

    def __init__(self, owner: OwnerId | None = OWNER) -> None:
        self.scope = Scope(owner, "a")
        self.verdicts: dict[Permission, Verdict] = {}
        self.tracked: set[BoundNeed] = set()
        self.bound: dict[Resource, InformerKey] = {}
        self.remembered: set[BoundNeed] = set()  # whose kind is not served any more
        self.awaited: set[Kind] = set()
        self.readable: dict[Kind, Exception | None] = {}  # None: shown
        self.handle_error: Exception | None = None
        self.told: list[str] = []
        self.logged: list[str] = []
        self.reopen = False
        self.forgotten = False

    def carry_out(self, effects: Sequence[Effect]) -> Sequence[Effect]:
        for effect in effects:
            self._carry_out(effect)
        return effects

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Track(need):
                assert need not in self.tracked
                self.tracked.add(need)
                for right in need.permissions:
                    self.verdicts.setdefault(right, Verdict(right))
            case Untrack(need, for_good):
                self.tracked.remove(need)
                if not for_good:
                    self.remembered.add(need)
            case DropKeys(need):
                self.remembered.remove(need)
            case AwaitKind(kind):
                assert kind not in self.awaited
                self.awaited.add(kind)
            case DropKind(kind):
                self.awaited.remove(kind)
            case Bind(need):
                assert need.resource not in self.bound
                self.bound[need.resource] = need.informer_key
                self.readable[need.resource] = None
            case Rebind(before, after):
                assert self.bound[before.resource] == before.informer_key == after.informer_key
            case Release(need, _):
                assert self.bound.pop(need.resource) == need.informer_key
            case Hide(kind, error):
                self.readable.pop(kind, None)
                if error is not None:
                    self.readable[kind] = error
            case Invalidate(error):
                self.handle_error, self.readable = error, {}
            case Renew():
                self.handle_error, self.readable = None, {}
            case Publish(change):
                self.told.append(change.cause)
            case Reopen():
                self.reopen = True
            case Log(event):
                self.logged.append(event)
            case Forget():
                assert not self.forgotten
                self.forgotten = True

    # -- what happens to it --------------------------------------------------------------------------------------

    def need(self, *needs: tuple[Resource | None, Need]) -> Sequence[Effect]:
        return self.carry_out(self.scope.on_needs(needs))

    def believe(self, state: VerdictState, *permissions: Permission) -> None:
        """Let verdicts be so already when somebody asks."""
        for permission in permissions or list(self.verdicts):
            self.verdicts[permission].state = state

    def verdict(self, permission: Permission, state: VerdictState) -> Sequence[Effect]:
        """Let a verdict change, as the monitor does."""
        verdict = self.verdicts[permission]
        before, verdict.state = verdict.state, state
        return self.carry_out(self.scope.on_verdict(verdict, before, self.verdicts))

    def review(self) -> Sequence[Effect]:
        return self.carry_out(self.scope.on_reviewed(self.verdicts))

    def sync(self) -> Sequence[Effect]:
        """Let every informer be synced."""
        effects = [*self.carry_out(self.scope.on_synced())]
        for need in self.scope.needs.optional_needs:
            effects += self.carry_out(self.scope.on_optional_synced(need, late=False))
        return effects

    def served(self, kind: Kind, resource: Resource) -> Sequence[Effect]:
        return self.carry_out(self.scope.on_served(kind, resource, self.verdicts))

    def unserved(self, kind: Kind) -> Sequence[Effect]:
        return self.carry_out(self.scope.on_unserved(kind, UnknownKindError(f"{kind} is not served"), self.verdicts))

    def open(self, *needs: tuple[Resource, Need]) -> None:
        self.need(*needs)
        self.believe("allowed")
        self.review()
        self.sync()


def opened(*needs: tuple[Resource, Need], owner: OwnerId | None = OWNER) -> World:
    """Return a scope that is open."""
    w = World(owner)
    w.open(*needs or PODS_AND_VERB)
    w.told.clear()
    w.logged.clear()
    return w


def in_state(state: ScopeState) -> World:
    w = World()
    w.need(*OPTIONAL_PODS)
    w.believe("allowed")
    w.review()
    if state != "opening":
        w.sync()
    if state == "waiting":
        w.verdict(LIST_DEPLOYMENTS, "denied")
    if state == "closed":
        w.carry_out(w.scope.on_close())
    assert w.scope.state == state
    return w


# -- the table -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "event", "expected"), CASES)
def test_each_event_moves_each_state_as_the_table_says(state: ScopeState, event: ScopeEvent, expected: str) -> None:
    move = TABLE.get((state, event))

    assert (move[0] if move else "!") == expected


def test_the_cases_above_are_all_there_are() -> None:
    assert {(state, event) for state, event, _ in CASES} == {(s, e) for s in STATES for e in get_args(ScopeEvent)}
    assert set(EVENTS) == set(get_args(ScopeEvent))


def test_every_action_is_one_that_some_move_takes() -> None:
    assert {action for _, actions in TABLE.values() for action in actions} == set(get_args(Action))


@pytest.mark.parametrize(
    ("state", "act"),
    [
        ("closed", lambda w: w.need((POD, Need(POD)))),
        ("closed", lambda w: w.review()),
        ("closed", lambda w: w.sync()),
        ("waiting", lambda w: w.sync()),
    ],
)
def test_what_must_not_happen_fails_loudly_and_names_the_scope(state: ScopeState, act: Any) -> None:
    with pytest.raises(IllegalMoveError, match=f"Memcached a/m in namespace a is {state}"):
        act(in_state(state))


def test_the_page_shows_the_table_as_it_is() -> None:
    page = (Path(__file__).parents[3] / "docs" / "scopes.md").read_text()

    assert picture() in page, "python -m tests.unit.cache.scope_picture prints it"


# -- what each event does --------------------------------------------------------------------------------------------


def test_a_denial_of_a_required_right_closes_everything_and_tells_last() -> None:
    w = opened(*OPTIONAL_PODS)

    effects = w.verdict(LIST_DEPLOYMENTS, "denied")

    assert [type(effect) for effect in effects] == [Invalidate, Release, Release, Log, Publish]
    assert (w.scope.is_waiting, w.bound, w.told, w.logged) == (True, {}, ["denied"], ["cache.removed"])
    assert w.scope.denial is w.handle_error


def test_what_was_not_open_yet_is_denied_without_a_word_to_its_owner_who_asked() -> None:
    w = World()
    w.need((POD, Need(POD)))
    w.believe("denied")

    w.review()

    assert (w.scope.is_waiting, w.told, w.logged) == (True, [], ["access.denied"])


def test_a_right_that_is_only_suspected_keeps_shut_what_is_not_open_and_open_what_is() -> None:
    new, there = World(), opened()
    new.need((POD, Need(POD)))
    for w in (new, there):
        w.believe("suspect", LIST_PODS)
        w.review()

    assert (new.scope.state, there.scope.state, there.bound != {}) == ("waiting", "open", True)


def test_rights_that_are_back_begin_a_new_generation_and_are_told_once_it_is_synced() -> None:
    w = opened()
    w.verdict(LIST_PODS, "denied")
    w.verdict(LIST_PODS, "allowed")
    asked = w.reopen
    renewed = [effect for effect in w.review() if isinstance(effect, Renew)]
    before_sync = list(w.told)

    w.sync()

    assert asked
    assert [effect.generation for effect in renewed] == [1]
    assert isinstance(renewed[0].error, ScopeClosedError)
    assert (before_sync, w.told, w.handle_error) == (["denied"], ["denied", "granted"], None)


def test_while_another_required_right_is_lost_a_grant_only_changes_what_is_said_to_be_missing() -> None:
    w = opened()
    w.verdict(LIST_PODS, "denied")
    w.verdict(WATCH_PODS, "denied")
    first = w.scope.denial

    w.verdict(LIST_PODS, "allowed")

    assert [getattr(error, "verb", None) for error in (first, w.scope.denial)] == ["list", "watch"]
    assert not w.reopen
    assert w.handle_error is w.scope.denial


def test_an_optional_need_closes_alone_and_reopens_alone() -> None:
    w = opened(*OPTIONAL_PODS)
    lost = w.verdict(LIST_PODS, "denied")
    w.verdict(LIST_PODS, "allowed")
    w.review()
    w.sync()

    assert [type(effect) for effect in lost] == [Release, Hide, Publish]
    assert (w.scope.state, w.told, set(w.bound)) == ("open", ["denied", "granted"], {POD, DEPLOYMENT})


def test_an_optional_need_that_was_never_shown_is_lost_without_a_word() -> None:
    w = World()
    w.need(*OPTIONAL_PODS)
    w.believe("allowed")
    w.believe("suspect", LIST_PODS)
    w.review()
    w.sync()

    w.verdict(LIST_PODS, "denied")

    assert (w.scope.state, w.told, set(w.bound)) == ("open", [], {DEPLOYMENT})


@pytest.mark.parametrize("before", ["denied", "suspect"])
def test_a_declared_verb_closes_nothing_and_both_its_edges_are_told(before: VerdictState) -> None:
    w = opened()
    w.verdict(DELETE_PODS, before)
    missing = [error.verb for error in w.scope.needs.missing_permissions(w.verdicts)]

    w.verdict(DELETE_PODS, "allowed")

    told = {"denied": (["delete"], ["denied", "granted"]), "suspect": ([], [])}[before]
    assert (missing, w.told, w.scope.state, w.reopen) == (*told, "open", False)


def test_a_wider_need_that_the_same_informer_serves_keeps_it() -> None:
    w = opened((POD, Need(POD)))

    effects = w.need((POD, Need(POD, verbs=("create",))))

    assert [type(effect) for effect in effects] == [Track, Rebind, Untrack]
    assert w.scope.needs.is_complete


def test_a_wider_need_that_takes_another_informer_gives_the_old_one_back() -> None:
    w = opened((POD, Need(POD, metadata_only=True)))

    effects = w.need((POD, Need(POD, selector="app=x")))

    assert [type(effect) for effect in effects] == [Track, Hide, Release, Untrack]
    assert not w.scope.needs.is_complete


def test_needing_again_what_is_needed_does_nothing() -> None:
    assert opened().need(*PODS_AND_VERB, (POD, Need(POD))) == []


def test_two_needs_of_one_kind_in_one_call_join() -> None:
    w = opened((POD, Need(POD, verbs=("create",))), (POD, Need(POD, verbs=("delete",))))

    (need,) = w.scope.needs

    assert (need.need.verbs, w.tracked) == (("create", "delete"), {need})


def test_releasing_the_kind_that_is_missing_reopens_the_rest() -> None:
    w = opened((POD, Need(POD)), (DEPLOYMENT, Need(DEPLOYMENT)))
    w.verdict(LIST_PODS, "denied")

    w.carry_out(w.scope.on_release(POD, w.verdicts))

    assert (w.reopen, [need.resource for need in w.tracked]) == (True, [DEPLOYMENT])


@pytest.mark.parametrize("state", ["opening", "open", "waiting"])
def test_closing_gives_everything_back_and_a_second_time_does_nothing(state: ScopeState) -> None:
    w = in_state(state)
    w.carry_out(w.scope.on_close())

    assert (w.tracked, w.bound, w.forgotten, w.told.count("granted")) == (set(), {}, True, 0)
    assert isinstance(w.handle_error, ScopeClosedError)
    assert (w.scope.on_close(), w.scope.on_release(POD, w.verdicts)) == ([], ())


def test_a_scope_of_nobody_tells_nobody() -> None:
    w = opened(*OPTIONAL_PODS, owner=None)
    for right in (LIST_PODS, LIST_DEPLOYMENTS):
        w.verdict(right, "denied")

    assert (w.told, w.scope.on_child(child("a"), initial=False)) == ([], None)


def child(namespace: str) -> Delta:
    return Delta(None, Entry(Metadata(name="x", namespace=namespace), b"{}"))


@pytest.mark.parametrize(("state", "namespace", "told"), [
    ("open", "a", True), ("open", "b", False), ("opening", "a", False), ("waiting", "a", False), ("closed", "a", False),
])  # fmt: skip
def test_a_childs_change_is_told_of_what_is_open_and_of_its_own_namespace(
    state: ScopeState, namespace: str, told: bool
) -> None:
    change = in_state(state).scope.on_child(child(namespace), initial=True)

    assert (change is not None) is told
    assert change is None or (change.cause, change.uid, change.initial) == ("child", OWNER.uid, True)


# -- whatever happens ------------------------------------------------------------------------------------------------

NEEDS = st.sampled_from([
    Need("x"), Need("x", optional=True), Need("x", verbs=("delete",)), Need("x", metadata_only=True),
    Need("x", selector="app=x"),
])  # fmt: skip
RIGHTS = st.sampled_from([*InformerKey(POD, "a").permissions, *InformerKey(DEPLOYMENT, "a").permissions, DELETE_PODS])
KINDS = st.sampled_from([POD, DEPLOYMENT])
EVENTS_OF_A_LIFE = st.one_of(
    st.tuples(st.just("need"), KINDS, NEEDS),
    st.tuples(st.just("release"), KINDS),
    st.tuples(st.just("verdict"), RIGHTS, st.sampled_from(["allowed", "suspect", "denied", "unauthenticated"])),
    st.tuples(st.just("review")),
    st.tuples(st.just("sync")),
)


@given(life=st.lists(EVENTS_OF_A_LIFE, max_size=60), owner=st.sampled_from([OWNER, None]))
def test_whatever_happens_in_whatever_order_a_scope_keeps_its_promises(
    life: list[tuple[Any, ...]], owner: OwnerId | None
) -> None:
    w = World(owner)
    for event, *about in life:
        was_open, told = w.scope.is_open, len(w.told)
        effects = happen(w, event, *about)
        check(w)
        assert list(effects) == sorted(effects, key=lambda effect: isinstance(effect, Publish))
        assert "denied" not in w.told[told:] or was_open
        assert owner is not None or w.told == []
    w.carry_out(w.scope.on_close())
    assert (w.tracked, w.bound, w.readable, w.forgotten) == (set(), {}, {}, True)


def happen(w: World, event: str, *about: Any) -> Sequence[Effect]:
    """Let something happen that the shell would let happen now."""
    match event:
        case "need":
            kind, need = about
            return w.need((kind, attrs.evolve(need, kind=kind)))
        case "release":
            return w.carry_out(w.scope.on_release(about[0], w.verdicts))
        case "verdict" if about[0] in w.verdicts:
            return w.verdict(*about)
        case "review":
            return w.review()
        case "sync" if not w.scope.is_waiting and w.scope.needs.is_complete:
            return w.sync()
    return ()


def check(w: World) -> None:
    scope = w.scope
    needs = set(scope.needs)
    denied = [need for need in needs if any(w.verdicts[right].denying for right in need.informer_key.permissions)]
    assert w.tracked == needs
    assert w.bound == {need.resource: need.informer_key for need in needs if scope.needs.is_bound(need)}
    # What is denied for certain is neither bound nor read.
    assert not [need for need in denied if scope.needs.is_bound(need)]
    if scope.is_waiting:
        assert w.bound == {}
        assert w.handle_error is scope.denial is not None
        assert all(w.readable[resource] is not None for resource in w.readable)
    else:
        assert (scope.denial, w.handle_error) == (None, None)
        assert set(w.readable) == {need.resource for need in needs}
        assert {resource for resource, error in w.readable.items() if error is None} == set(w.bound)
    if scope.can_reopen(w.verdicts):
        assert scope.needs.refusal(w.verdicts) is None
