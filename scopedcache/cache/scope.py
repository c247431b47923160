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
from ..errors import NotSyncedError, ScopeClosedError, UnknownKindError, where
from ..identity import Identity
from ..informer.delta import Delta
from ..kinds import Kind, ObjectKey, Resource
from ..needs import Need
from .bound_need import BoundNeed
from .owner import Obstacle, OwnerChanged, OwnerId
from .scope_effects import (
    AwaitKind,
    Bind,
    DropKeys,
    DropKind,
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
from .unserved_need import UnservedNeed


@attrs.frozen
class _Cause:
    """What an event is about."""

    verdicts: Verdicts = attrs.field(factory=dict)
    need: BoundNeed | UnservedNeed | None = None
    error: Obstacle | None = None
    resource: Resource | None = None
    late: bool = False
    news: bool = False  # it changes what is missing
    right: Permission | None = None


class Scope:
    """Everything the cache knows about one owner (None: the cache's own user) in one namespace (None: the cluster).

    Args:
        cluster_wide: kinds whose informers watch the whole cluster.
        identity: as whom its owner's kinds are seen; None: as the program's own user.
        internal: the cache's own, which nobody is told of.
    """

    def __init__(
        self,
        owner: OwnerId | None,
        namespace: str | None,
        *,
        cluster_wide: Collection[Kind] = (),
        identity: Identity | None = None,
        internal: bool = False,
    ) -> None:
        self.owner = owner
        self.identity = identity
        self.namespace = namespace
        self.internal = internal
        self.generation = 0
        self.error: Obstacle | None = None  # what is missing, from a denial until everything is synced again
        self._cluster_wide = tuple(cluster_wide)
        self._state: ScopeState = "opening"
        self._needs: dict[Resource, BoundNeed] = {}
        self._unserved: dict[Kind, UnservedNeed] = {}
        self._bound: set[BoundNeed] = set()  # the needs that have their informer
        self._lost: set[BoundNeed] = set()  # the optional needs that are hidden for what they lack
        self._regained: set[BoundNeed] = set()  # the optional needs of which the owner is to be told once they sync
        self.needs = ScopeNeeds(self._needs, self._unserved, self._bound)
        self._log_created = True  # once in each generation
        self._due: Literal["granted", "synced"] | None = None  # what the owner is to be told once it is synced

    # -- events --------------------------------------------------------------------------------------------------

    def on_needs(self, needs: Iterable[tuple[Resource | None, Need]]) -> Sequence[Effect]:
        """Take in what is needed, joined with what is needed of the same kind: opening again adds.

        A need comes without its resource where its kind is not known to be served.
        """
        effects: list[Effect] = []
        for resource, need in needs:
            if resource is None and (same := self.needs.find(need.kind)) is not None:
                resource = same.resource
            effects += self._need_unserved(need) if resource is None else self._need(resource, need)
        return effects

    def on_release(self, kind: Kind, verdicts: Verdicts) -> Sequence[Effect]:
        """Take in that one kind is needed no longer."""
        need = self.needs.find(kind) or self.needs.find_lost(kind)
        return () if need is None else self._take("released", _Cause(verdicts, need))

    def on_reviewed(self, verdicts: Verdicts) -> Sequence[Effect]:
        """Take in the verdicts that an opening asked for; `refusal` says whether it may go on."""
        refusal = self.needs.refusal(verdicts)
        if refusal is None:
            return self._take("permitted", _Cause(verdicts))
        error = self.needs.with_missing(refusal.error, verdicts)
        return self._take("denied" if refusal.certain else "doubted", _Cause(verdicts, error=error))

    def on_optional_reviewed(self, need: BoundNeed, verdicts: Verdicts) -> Sequence[Effect]:
        """Take in the verdicts about an optional need."""
        return self._take("optional-reviewed", _Cause(verdicts, need)) if self.needs.has(need) else ()

    def on_optional_synced(self, need: BoundNeed, *, late: bool) -> Sequence[Effect]:
        """Take in that the informer of an optional need is synced; `late`: nobody waited for that."""
        return self._take("optional-synced", _Cause(need=need, late=late)) if self.needs.is_bound(need) else ()

    def on_overdue(self) -> Sequence[Effect]:
        """Take in that who opened it waits no longer: its owner is to be told."""
        return self._take("overdue", _Cause())

    def on_synced(self) -> Sequence[Effect]:
        """Take in that the informer of every required need is synced."""
        effects = self._take("synced", _Cause())
        self.error = None
        return effects

    def on_verdict(self, verdict: Verdict, before: VerdictState, verdicts: Verdicts) -> Sequence[Effect]:
        """Take in a changed verdict. The owner is told last, when everything is closed that has to be."""
        effects: list[Effect] = []
        for need in self.needs.of(verdict.permission):
            if verdict.denying:
                event = self._denial_of(need, verdict.permission)
                # One that waits says what is missing in a step of its own: thousands of owners may lose a right in one.
                error = None if self.is_waiting else verdict.error()
                effects += self._take(event, _Cause(verdicts, need, error, news=True, right=verdict.permission))
            elif verdict.granted and verdict.permission in need.informer_key.permissions:
                refusal = self.needs.refusal(verdicts)
                obstacle = None if refusal is None else refusal.error
                event = "regained" if obstacle is None else "still-denied"
                effects += self._take(event, _Cause(verdicts, need, obstacle, news=before in DENYING))
            elif verdict.granted and before in DENYING:
                effects += self._take("verb-regained", _Cause(verdicts, need))
        return sorted(effects, key=lambda effect: isinstance(effect, Publish))

    def on_served(self, kind: Kind, resource: Resource, verdicts: Verdicts) -> Sequence[Effect]:
        """Take in that a kind is served, or again, perhaps in another version than before."""
        unserved = self.needs.find_unserved(kind)
        return () if unserved is None else self._take("served", _Cause(verdicts, unserved, resource=resource))

    def on_unserved(self, kind: Kind, error: UnknownKindError, verdicts: Verdicts) -> Sequence[Effect]:
        """Take in that a kind is not served; a Resource: that it is not served any more."""
        need = self._needs.get(kind) if isinstance(kind, Resource) else None
        unserved = self.needs.find_unserved(kind)
        if need is None and (unserved is None or unserved.error is not None):
            return ()
        lost = need or unserved
        assert lost is not None
        event: ScopeEvent = "optional-unserved" if lost.need.optional else "unserved"
        return self._take(event, _Cause(verdicts, lost, error))

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
    def denial(self) -> Obstacle | None:
        """Return what it waits for, None while it does not wait."""
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
        fields: dict[str, object] = {
            "namespace": self.namespace,
            "owner": str(self.owner) if self.owner else None,
            "uid": self.uid or None,
            "kinds": list(self._kinds),
        }
        return fields if self.identity is None else fields | {"identity": str(self.identity)}

    @property
    def _kinds(self) -> tuple[str, ...]:
        kinds = [resource.gvk.kind for resource in self._needs]
        if self._unserved:
            kinds += map(str, self._unserved)
        return tuple(kinds)

    # -- the table -----------------------------------------------------------------------------------------------

    def _take(self, event: ScopeEvent, cause: _Cause) -> list[Effect]:
        try:
            self._state, actions = move(self._state, event)
        except IllegalMoveError as error:
            raise IllegalMoveError(f"the scope {self} is {error}") from None
        effects: list[Effect] = []
        for action in actions:
            effects += self._act(action, cause)
        return effects

    def _act(self, action: Action, cause: _Cause) -> Iterable[Effect]:
        match action:
            case "add-need":
                return self._add_need(cause)
            case "drop-need":
                return self._drop_need(cause)
            case "drop-all":
                return self._drop_all()
            case "bind":
                return self._bind(self._needs.values(), cause.verdicts)
            case "bind-one":
                return self._bind([_bound_need(cause)], cause.verdicts)
            case "renew":
                return self._renew()
            case "invalidate":
                return self._invalidate(cause.error)
            case "invalidate-by-refusal":
                return self._invalidate_by_refusal(cause.verdicts)
            case "invalidate-if-served":
                return self._invalidate_if_served(cause.verdicts)
            case "release-all":
                return self._release_all(cause)
            case "hide":
                return self._hide(cause)
            case "lose-kind":
                return self._lose_kind(cause)
            case "serve-kind":
                return self._serve_kind(cause)
            case "forget":
                return (Forget(),)
            case "reopen":
                return (Reopen(),)
            case "reopen-if-permitted":
                return self._reopen_if_permitted(cause.verdicts)
            case "reopen-if-regained":
                return self._reopen_if_regained(cause.verdicts)
            case "note-awaited" | "note-refused":
                self._due = "granted" if action == "note-refused" else self._due or "synced"
                return ()
            case "tell-denied":
                return self._tell("denied", cause.error)
            case "tell-verb-denied":
                return self._tell("denied", cause.error, cause.right)
            case "tell-missing":
                return (PublishMissing(),)
            case "tell-missing-if-news":
                return (PublishMissing(),) if cause.news else ()
            case "tell-denied-if-shown":
                return self._tell("denied", cause.error) if cause.need in self._bound else ()
            case "tell-denied-if-awaited":
                return self._tell_denied_if_awaited(cause)
            case "tell-granted":
                return self._tell("granted")
            case "tell-there":
                return self._tell_there(cause)
            case "tell-if-due":
                return self._tell_if_due()
            case "log-created":
                return self._log_once_created()
            case "log-synced" | "log-closed":
                return self._log("cache.synced" if action == "log-synced" else "cache.removed") if self.owner else ()
            case "log-denied" | "log-removed":
                return self._log_lost("cache.removed" if action == "log-removed" else "access.denied", cause.error)
        assert_never(action)

    def _need(self, resource: Resource, need: Need) -> list[Effect]:
        before = self._needs.get(resource)
        joined = need if before is None else before.need.join(need)
        if before is not None and joined == before.need:
            return []
        return self._take("needed", _Cause(need=self._bound_need(resource, joined)))

    def _need_unserved(self, need: Need) -> list[Effect]:
        before = self._unserved.get(need.kind)
        joined = need if before is None else before.need.join(need)
        if before is not None and joined == before.need:
            return []
        after = UnservedNeed(joined) if before is None else attrs.evolve(before, need=joined)
        return self._take("needed", _Cause(need=after))

    def _bound_need(self, resource: Resource, need: Need) -> BoundNeed:
        return BoundNeed.of(resource, need, self.namespace, self._cluster_wide, self.identity)

    def _add_need(self, cause: _Cause) -> Iterator[Effect]:
        """Add a need, perhaps in the place of one that asked for less; its informer stays where it will do."""
        after = cause.need
        if isinstance(after, UnservedNeed):
            yield from self._add_unserved(after)
            return
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
        self._forget_optional(before)

    def _add_unserved(self, after: UnservedNeed) -> Iterator[Effect]:
        kind = after.need.kind
        before = self._unserved.get(kind)
        self._unserved[kind] = after
        if before is None:
            yield AwaitKind(kind)
        yield Hide(kind, after.error or self._not_synced(after))

    def _drop_need(self, cause: _Cause) -> Iterator[Effect]:
        need = cause.need
        if isinstance(need, UnservedNeed):
            yield from self._drop_unserved(need)
            return
        assert need is not None
        del self._needs[need.resource]
        yield from self._release(need, None)
        yield Untrack(need)
        yield Hide(need.resource, None)
        self._forget_optional(need)

    def _drop_unserved(self, unserved: UnservedNeed) -> Iterator[Effect]:
        kind = unserved.need.kind
        del self._unserved[kind]
        yield Hide(kind, None)
        if unserved.before is not None:
            yield Hide(unserved.before.resource, None)
            yield DropKeys(unserved.before)
        yield DropKind(kind)

    def _drop_all(self) -> Iterator[Effect]:
        for need in self.needs:
            yield from self._release(need, None)
            yield Untrack(need)
        for unserved in list(self._unserved.values()):
            yield from self._drop_unserved(unserved)
        self._needs.clear()
        yield Invalidate(ScopeClosedError(f"the scope {self} is closed"))

    def _lose_kind(self, cause: _Cause) -> Iterator[Effect]:
        """A kind is not served, or not any more: what was seen of it goes, and its rights are of no interest."""
        need, error = cause.need, cause.error
        assert isinstance(error, UnknownKindError)
        if isinstance(need, UnservedNeed):
            self._unserved[need.need.kind] = attrs.evolve(need, error=error)
            yield Hide(need.need.kind, error)
            return
        assert need is not None
        del self._needs[need.resource]
        yield from self._release(need, error)
        yield Untrack(need, for_good=False)
        self._forget_optional(need)
        yield Hide(need.resource, error)
        yield from self._add_unserved(UnservedNeed(need.need, error, need))

    def _serve_kind(self, cause: _Cause) -> Iterator[Effect]:
        """A kind is served: what was needed of it is needed of its resource."""
        unserved, resource = cause.need, cause.resource
        assert isinstance(unserved, UnservedNeed)
        assert resource is not None
        same = self._needs.get(resource)
        joined = unserved.need if same is None else same.need.join(unserved.need)
        if same is None or joined != same.need:
            need = self._bound_need(resource, joined)
            yield from self._add_need(_Cause(need=need))
            if unserved.error is not None and unserved.need.optional:
                self._lost.add(need)
        yield from self._drop_unserved(unserved)
        if same is None:
            yield Hide(resource, self._not_synced(self._needs[resource]))

    def _bind(self, needs: Iterable[BoundNeed], verdicts: Verdicts) -> Iterator[Effect]:
        """Take the informers of needs that have none; one that nobody has reviewed yet comes later."""
        for need in needs:
            if need in self._bound:
                continue
            lost = lost_verdict(need, verdicts)
            if lost is not None:  # an optional one: its place stays empty
                self._lost.add(need)
                yield Hide(need.resource, lost.error())
            elif self.needs.is_reviewed(need, verdicts):
                self._bound.add(need)
                self._lost.discard(need)
                yield Bind(need)

    def _renew(self) -> Iterator[Effect]:
        """Begin a new generation: what the old handle showed is history."""
        self.generation += 1
        self._log_created, self._due = True, "granted"
        again = ScopeClosedError(f"the scope {self} was closed and opened again: open() returns it")
        yield Renew(self.generation, again)
        for need in self.needs:
            yield Hide(need.resource, self._not_synced(need))
        for unserved in self._unserved.values():
            yield Hide(unserved.need.kind, unserved.error or self._not_synced(unserved))

    def _invalidate(self, error: Obstacle | None) -> Iterator[Effect]:
        assert error is not None
        self.error = error
        yield Invalidate(error)

    def _invalidate_by_refusal(self, verdicts: Verdicts) -> Iterator[Effect]:
        """What waits is refused by what stands against it now."""
        refusal = self.needs.refusal(verdicts)
        if refusal is not None and refusal.certain:
            yield from self._invalidate(self.needs.with_missing(refusal.error, verdicts))

    def _invalidate_if_served(self, verdicts: Verdicts) -> Iterator[Effect]:
        """What waited for a kind that is served by now waits for its rights."""
        if not isinstance(self.error, UnknownKindError):
            return
        refusal = self.needs.refusal(verdicts)
        if refusal is not None and refusal.certain and not isinstance(refusal.error, UnknownKindError):
            error = self.needs.with_missing(refusal.error, verdicts)
            yield from self._invalidate(error)
            yield from self._tell("denied", error)

    def _release_all(self, cause: _Cause) -> Iterator[Effect]:
        self._lost.clear()
        self._regained.clear()
        for need in self.needs:
            yield from self._release(need, cause.error)

    def _hide(self, cause: _Cause) -> Iterator[Effect]:
        """An optional need is denied: it closes alone."""
        need = _bound_need(cause)
        self._lost.add(need)
        self._regained.discard(need)
        yield from self._release(need, cause.error)
        yield Hide(need.resource, cause.error)

    def _release(self, need: BoundNeed, error: Obstacle | None) -> Iterator[Effect]:
        if need in self._bound:
            self._bound.remove(need)
            yield Release(need, error)

    def _forget_optional(self, need: BoundNeed | None) -> None:
        if need is not None:
            self._lost.discard(need)
            self._regained.discard(need)

    def _reopen_if_regained(self, verdicts: Verdicts) -> Iterator[Effect]:
        back = [need for need in self._lost if lost_verdict(need, verdicts) is None]
        self._lost.difference_update(back)
        self._regained.update(back)
        if back or (self._due is not None and not self.needs.is_complete):
            yield Reopen()

    def _reopen_if_permitted(self, verdicts: Verdicts) -> Iterator[Effect]:
        refusal = self.needs.refusal(verdicts)
        if refusal is None:
            yield Reopen()
        elif refusal.certain:
            yield PublishMissing()
            yield from self._invalidate(refusal.error)  # what is missing now

    def _tell_denied_if_awaited(self, cause: _Cause) -> Iterable[Effect]:
        due, self._due = self._due, None
        return self._tell("denied", cause.error) if due == "synced" else ()

    def _tell_there(self, cause: _Cause) -> Iterable[Effect]:
        need = _bound_need(cause)
        if need in self._regained:
            self._regained.remove(need)
            return self._tell("granted")
        return self._tell("synced") if cause.late else ()

    def _tell_if_due(self) -> Iterable[Effect]:
        due, self._due = self._due, None
        return self._tell(due) if due else ()

    def _tell(
        self,
        cause: Literal["denied", "granted", "synced"],
        error: Obstacle | None = None,
        right: Permission | None = None,
    ) -> Iterator[Effect]:
        owner = self.owner
        if owner is not None:
            yield Publish(OwnerChanged(owner.kind, owner.key, owner.uid, cause, error), right)

    def _log_once_created(self) -> Iterable[Effect]:
        due, self._log_created = self._log_created, False
        return self._log("cache.created") if due and self.owner else ()

    def _log(self, event: LogEvent, error: Obstacle | None = None) -> Iterable[Effect]:
        return (Log(event, self._kinds, error),)

    def _log_lost(self, event: LogEvent, error: Obstacle | None) -> Iterable[Effect]:
        said = event == "access.denied" and isinstance(error, UnknownKindError)  # once, by who asked discovery
        return () if self.internal or said else self._log(event, error)

    def _denial_of(self, need: BoundNeed, permission: Permission) -> ScopeEvent:
        if permission not in need.informer_key.permissions:
            return "verb-denied"
        return "optional-denied" if need.need.optional else "denied"

    def _not_synced(self, need: BoundNeed | UnservedNeed) -> NotSyncedError:
        if isinstance(need, UnservedNeed):
            words = f"{need.need.kind}: it is not known yet whether the API server serves it"
        else:
            words = f"{need.resource} {where(self.namespace)}: the first list is not complete yet"
        return NotSyncedError(words, awaited=True)

    def _is_here(self, delta: Delta) -> bool:
        """Tell whether a change is of this scope's namespace: an informer of the whole cluster routes by labels too."""
        subject = delta.new or delta.old
        return not (self.namespace and subject and subject.metadata.namespace not in ("", self.namespace))

    def __str__(self) -> str:
        return f"of {self.owner or 'the cache'} {where(self.namespace)}"

    def __repr__(self) -> str:
        kinds = ",".join([*(str(resource) for resource in self._needs), *(f"{kind}?" for kind in self._unserved)])
        return f"<Scope {self} {self._state} kinds={kinds}>"


def _bound_need(cause: _Cause) -> BoundNeed:
    assert isinstance(cause.need, BoundNeed)
    return cause.need
