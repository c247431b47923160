"""One owner in one namespace: what it needs, what of that it has, and what is to be done when something happens.

Plain and synchronous: a scope changes nothing but itself, by the table in scope_state.py. What is to be done about that
it returns as effects, which scope_table.py carries out in the same step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Literal, assert_never

import attrs

from ..access.verdict import DENYING, Verdict, VerdictState
from ..api.permission import Permission
from ..errors import NotSyncedError, ScopeClosedError, where
from ..informer.delta import Delta
from ..kinds import Kind, ObjectKey, Resource
from ..needs import Need
from .bound_need import BoundNeed
from .owner import Denial, OwnerChanged, OwnerId
from .scope_effects import (
    Bind,
    Effect,
    Forget,
    Hide,
    Invalidate,
    Log,
    LogEvent,
    Publish,
    PublishMissing,
    Rebind,
    Release,
    Renew,
    Reopen,
    Track,
    Untrack,
)
from .scope_needs import ScopeNeeds, Verdicts, lost_verdict
from .scope_state import Action, IllegalMoveError, ScopeEvent, ScopeState, move


@attrs.frozen
class _Cause:
    """What an event is about."""

    verdicts: Verdicts = attrs.field(factory=dict)
    need: BoundNeed | None = None
    error: Denial | None = None
    news: bool = False  # it changes what is missing


class Scope:
    """Everything the cache knows about one owner (None: the cache's own user) in one namespace (None: the cluster).

    Args:
        cluster_wide: kinds whose informers watch the whole cluster.
        internal: the cache's own, which nobody is told of.
    """

    def __init__(
        self,
        owner: OwnerId | None,
        namespace: str | None,
        *,
        cluster_wide: Collection[Kind] = (),
        internal: bool = False,
    ) -> None:
        self.owner = owner
        self.namespace = namespace
        self.internal = internal
        self.generation = 0
        self.error: Denial | None = None  # what is missing, from a denial until everything is synced again
        self._cluster_wide = tuple(cluster_wide)
        self._state: ScopeState = "opening"
        self._needs: dict[Resource, BoundNeed] = {}
        self._bound: set[BoundNeed] = set()  # the needs that have their informer
        self.needs = ScopeNeeds(self._needs, self._bound)
        self._log_created = True  # once in each generation
        self._grant_due = False  # the owner is to be told once everything is synced

    # -- events --------------------------------------------------------------------------------------------------

    def on_needs(self, needs: Iterable[tuple[Resource, Need]]) -> Sequence[Effect]:
        """Take in what is needed, joined with what is needed of the same kind: opening again adds."""
        effects: list[Effect] = []
        for resource, need in needs:
            before = self._needs.get(resource)
            joined = need if before is None else before.need.join(need)
            if before is None or joined != before.need:
                bound_need = BoundNeed.of(resource, joined, self.namespace, self._cluster_wide)
                effects += self._take("needed", _Cause(need=bound_need))
        return effects

    def on_release(self, kind: Kind, verdicts: Verdicts) -> Sequence[Effect]:
        """Take in that one kind is needed no longer."""
        need = self.needs.find(kind)
        return () if need is None else self._take("released", _Cause(verdicts, need))

    def on_reviewed(self, verdicts: Verdicts) -> Sequence[Effect]:
        """Take in the verdicts that an opening asked for; `refusal` says whether it may go on."""
        refusal = self.needs.refusal(verdicts)
        if refusal is None:
            return self._take("permitted", _Cause(verdicts))
        return self._take(
            "denied" if refusal.denying else "doubted",
            _Cause(verdicts, error=self.needs.with_missing(refusal, verdicts)),
        )

    def on_synced(self) -> Sequence[Effect]:
        """Take in that every informer of its needs is synced."""
        effects = self._take("synced", _Cause())
        self.error = None
        return effects

    def on_verdict(self, verdict: Verdict, before: VerdictState, verdicts: Verdicts) -> Sequence[Effect]:
        """Take in a changed verdict. The owner is told last, when everything is closed that has to be."""
        effects: list[Effect] = []
        for need in self.needs.of(verdict.permission):
            if verdict.denying:
                event = self._denial_of(need, verdict.permission)
                effects += self._take(event, _Cause(verdicts, need, verdict.error(), news=True))
            elif verdict.granted and verdict.permission in need.informer_key.permissions:
                refusal = self.needs.refusal(verdicts)
                error = None if refusal is None else refusal.error()
                event = "regained" if error is None else "still-denied"
                effects += self._take(event, _Cause(verdicts, need, error, news=before in DENYING))
            elif verdict.granted and before in DENYING:
                effects += self._take("verb-regained", _Cause(verdicts, need))
        return sorted(effects, key=lambda effect: isinstance(effect, Publish))

    def on_child(self, delta: Delta, initial: bool) -> OwnerChanged | None:
        """Return what the owner hears of a child's change.

        What its own opening brings is no news to it: it reads once it is open.
        """
        if self._state != "open" or self.owner is None or not self._is_here(delta):
            return None
        return OwnerChanged(self.owner.kind, self.owner.key, self.owner.uid, "child", None, initial)

    def on_close(self) -> Sequence[Effect]:
        """Take in that nobody needs it any more."""
        return self._take("close", _Cause())

    # -- what it is ----------------------------------------------------------------------------------------------

    @property
    def state(self) -> ScopeState:
        """Return its state, to show to people; code asks the properties below."""
        return self._state

    @property
    def is_open(self) -> bool:
        return self._state == "open"

    @property
    def is_waiting(self) -> bool:
        return self._state == "waiting"

    @property
    def is_closed(self) -> bool:
        return self._state == "closed"

    @property
    def denial(self) -> Denial | None:
        """Return the right it waits for, None while it does not wait."""
        return self.error if self._state == "waiting" else None

    @property
    def uid(self) -> str:
        return self.owner.uid if self.owner else ""

    @property
    def key(self) -> ObjectKey:
        return self.owner.key if self.owner else ObjectKey("", "")

    def can_reopen(self, verdicts: Verdicts) -> bool:
        """Tell whether it waits, and needs not wait any longer."""
        return self.is_waiting and self.needs.refusal(verdicts) is None

    def log_fields(self) -> dict[str, object]:
        """Return what a log line says of it."""
        return {
            "namespace": self.namespace,
            "owner": str(self.owner) if self.owner else None,
            "uid": self.uid or None,
            "kinds": [resource.gvk.kind for resource in self._needs],
        }

    # -- the table -----------------------------------------------------------------------------------------------

    def _take(self, event: ScopeEvent, cause: _Cause) -> list[Effect]:
        try:
            self._state, actions = move(self._state, event)
        except IllegalMoveError as error:
            raise IllegalMoveError(f"the scope {self} is {error}") from None
        return [effect for action in actions for effect in self._act(action, cause)]

    def _act(self, action: Action, cause: _Cause) -> Iterable[Effect]:
        match action:
            case "add-need":
                return self._add_need(cause)
            case "drop-need":
                return self._drop_need(cause)
            case "drop-all":
                return self._drop_all()
            case "bind":
                return self._bind(cause.verdicts)
            case "renew":
                return self._renew()
            case "invalidate":
                return self._invalidate(cause)
            case "release-all":
                return self._release_all(cause)
            case "hide":
                return self._hide(cause)
            case "forget":
                return (Forget(),)
            case "reopen":
                return (Reopen(),)
            case "reopen-if-permitted":
                return () if self.needs.refusal(cause.verdicts) else (Reopen(),)
            case "reopen-if-incomplete":
                return self._reopen_if_incomplete(cause.verdicts)
            case "tell-denied":
                return self._tell("denied", cause.error)
            case "tell-missing":
                return (PublishMissing(),)
            case "tell-missing-if-news":
                return (PublishMissing(),) if cause.news else ()
            case "tell-denied-if-shown":
                return self._tell("denied", cause.error) if cause.need in self._bound else ()
            case "tell-granted":
                return self._tell("granted")
            case "tell-granted-if-due":
                return self._tell_granted_if_due()
            case "log-created":
                return self._log_once_created()
            case "log-synced" | "log-closed":
                return self._log("cache.synced" if action == "log-synced" else "cache.removed") if self.owner else ()
            case "log-denied" | "log-removed":
                if self.internal:
                    return ()
                return self._log("cache.removed" if action == "log-removed" else "access.denied", cause.error)
        assert_never(action)

    def _add_need(self, cause: _Cause) -> Iterator[Effect]:
        """Add a need, perhaps in the place of one that asked for less; its informer stays where it will do."""
        after = cause.need
        assert after is not None
        before = self._needs.get(after.resource)
        self._needs[after.resource] = after
        yield Track(after)
        if before is None:
            yield Hide(after.resource, self._not_synced(after))
        elif before in self._bound and before.informer_key == after.informer_key:
            self._bound.remove(before)
            self._bound.add(after)
            yield Rebind(before, after)
            yield Untrack(before)
        elif before in self._bound:
            yield Hide(after.resource, self._not_synced(after))
            yield from self._release(before, None)
            yield Untrack(before)
        else:
            yield Untrack(before)

    def _drop_need(self, cause: _Cause) -> Iterator[Effect]:
        need = cause.need
        assert need is not None
        del self._needs[need.resource]
        yield from self._release(need, None)
        yield Untrack(need)
        yield Hide(need.resource, None)

    def _drop_all(self) -> Iterator[Effect]:
        for need in self.needs:
            yield from self._release(need, None)
            yield Untrack(need)
        self._needs.clear()
        yield Invalidate(ScopeClosedError(f"the scope {self} is closed"))

    def _bind(self, verdicts: Verdicts) -> Iterator[Effect]:
        for need in self.needs:
            if need in self._bound:
                continue
            lost = lost_verdict(need, verdicts)
            if lost is not None:  # an optional one: its place stays empty
                yield Hide(need.resource, lost.error())
            else:
                self._bound.add(need)
                yield Bind(need)

    def _renew(self) -> Iterator[Effect]:
        """Begin a new generation: what the old handle showed is history."""
        self.generation += 1
        self._log_created = self._grant_due = True
        again = ScopeClosedError(f"the scope {self} was closed and opened again: open() returns it")
        yield Renew(self.generation, again)
        for need in self.needs:
            yield Hide(need.resource, self._not_synced(need))

    def _invalidate(self, cause: _Cause) -> Iterator[Effect]:
        assert cause.error is not None
        self.error = cause.error
        self._grant_due = False
        yield Invalidate(cause.error)

    def _release_all(self, cause: _Cause) -> Iterator[Effect]:
        for need in self.needs:
            yield from self._release(need, cause.error)

    def _hide(self, cause: _Cause) -> Iterator[Effect]:
        """An optional need is denied: it closes alone."""
        need = cause.need
        assert need is not None
        yield from self._release(need, cause.error)
        yield Hide(need.resource, cause.error)

    def _release(self, need: BoundNeed, error: Denial | None) -> Iterator[Effect]:
        if need in self._bound:
            self._bound.remove(need)
            yield Release(need, error)

    def _reopen_if_incomplete(self, verdicts: Verdicts) -> Iterator[Effect]:
        if not self.needs.is_complete(verdicts):
            self._grant_due = True
            yield Reopen()

    def _tell_granted_if_due(self) -> Iterable[Effect]:
        due, self._grant_due = self._grant_due, False
        return self._tell("granted") if due else ()

    def _tell(self, cause: Literal["denied", "granted"], error: Denial | None = None) -> Iterator[Effect]:
        owner = self.owner
        if owner is not None:
            yield Publish(OwnerChanged(owner.kind, owner.key, owner.uid, cause, error))

    def _log_once_created(self) -> Iterable[Effect]:
        due, self._log_created = self._log_created, False
        return self._log("cache.created") if due and self.owner else ()

    def _log(self, event: LogEvent, error: Denial | None = None) -> Iterator[Effect]:
        yield Log(event, tuple(resource.gvk.kind for resource in self._needs), error)

    def _denial_of(self, need: BoundNeed, permission: Permission) -> ScopeEvent:
        if permission not in need.informer_key.permissions:
            return "verb-denied"
        return "optional-denied" if need.need.optional else "denied"

    def _not_synced(self, need: BoundNeed) -> NotSyncedError:
        return NotSyncedError(f"{need.resource} {where(self.namespace)}: the first list is not complete yet")

    def _is_here(self, delta: Delta) -> bool:
        """Tell whether a change is of this scope's namespace: an informer of the whole cluster routes by labels too."""
        subject = delta.new or delta.old
        return not (self.namespace and subject and subject.metadata.namespace not in ("", self.namespace))

    def __str__(self) -> str:
        return f"of {self.owner or 'the cache'} {where(self.namespace)}"

    def __repr__(self) -> str:
        kinds = ",".join(str(resource) for resource in self._needs)
        return f"<Scope {self} {self._state} kinds={kinds}>"
