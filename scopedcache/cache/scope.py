"""One owner in one namespace, as the cache keeps it: what it needs, what of that it has, and its state.

    opening ──synced──▶ open ──a required right is lost──▶ waiting ──rights are back──▶ opening
       └──refused──▶ waiting                      any ──close──▶ closed

Plain and synchronous; scopes.py moves it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import attrs

from ..api.permission import Permission
from ..errors import ScopeClosedError, where
from ..informer import Informer
from ..informer.delta import Delta
from ..kinds import GVK, Kind, ObjectKey, Resource, denotes
from ..needs import Need
from .informer_plan import InformerKey
from .owner import Denial, OwnerChanged, OwnerId
from .resource_cache import ResourceCache

ScopeState = Literal["opening", "open", "waiting", "closed"]


@attrs.define(eq=False)
class BoundNeed:
    """One need of a scope, and the informer that serves it while there is one."""

    resource: Resource
    need: Need
    informer_key: InformerKey
    verbs: tuple[Permission, ...]
    informer: Informer | None = None
    # Every right this need tracks: list, watch, and the declared verbs.
    permissions: tuple[Permission, ...] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.permissions = (*self.informer_key.permissions, *self.verbs)


@attrs.define(eq=False)
class Scope:
    """Everything the cache knows about one owner (None: the cache's own user) in one namespace (None: the cluster)."""

    owner: OwnerId | None
    namespace: str | None
    tell: Callable[[OwnerChanged], None]
    forget: Callable[[Scope, Kind], None]
    lacking: Callable[[Scope], Sequence[Denial]]
    internal: bool = False
    state: ScopeState = "opening"
    error: Denial | None = None
    held: dict[Resource, BoundNeed] = attrs.field(factory=dict)
    handle: ResourceCache = attrs.field(init=False)
    generation: int = 0
    opening: asyncio.Task[ResourceCache] | None = None
    on_bound: Callable[[Informer | None], None] | None = None
    _bound: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self.handle = self._new_handle()

    # What a router asks of an owner.

    @property
    def uid(self) -> str:
        return self.owner.uid if self.owner else ""

    @property
    def key(self) -> ObjectKey:
        return self.owner.key if self.owner else ObjectKey("", "")

    def concerned(self, gvk: GVK, delta: Delta, initial: bool) -> None:
        """A child changed. What its own opening brings is no news to an owner: it reads once it is open."""
        if self.owner is not None and self.state == "open" and self._is_here(delta):
            self.tell(self.change("child", initial=initial))

    def _is_here(self, delta: Delta) -> bool:
        """Tell whether a change is of this scope's namespace: an informer of the whole cluster routes by labels too."""
        subject = delta.new or delta.old
        return not (self.namespace and subject and subject.metadata.namespace not in ("", self.namespace))

    def change(
        self, cause: Literal["child", "denied", "granted"], *, error: Denial | None = None, initial: bool = False
    ) -> OwnerChanged:
        assert self.owner is not None
        return OwnerChanged(self.owner.kind, self.owner.key, self.owner.uid, cause, error, initial)

    # What it needs.

    def lacks(self, needs: Iterable[tuple[Resource, Need]]) -> list[tuple[Resource, Need]]:
        """Return the needs that are not held yet, each joined with what is held of its kind: opening again adds."""
        lacking = []
        for resource, need in needs:
            held = self.held.get(resource)
            joined = need if held is None else _joined(held.need, need)
            if held is None or joined != held.need:
                lacking.append((resource, joined))
        return lacking

    @property
    def required(self) -> list[Permission]:
        """Return the rights without which nothing is shown."""
        return [
            permission
            for held in self.held.values()
            if not held.need.optional
            for permission in held.informer_key.permissions
        ]

    def needs_for(self, permission: Permission) -> list[BoundNeed]:
        """Return the needs a right belongs to."""
        return [held for held in self.held.values() if permission in held.permissions]

    def find(self, kind: Kind) -> BoundNeed | None:
        return next((held for resource, held in self.held.items() if denotes(kind, resource)), None)

    def bind(self, held: BoundNeed, informer: Informer | None) -> None:
        """Take an informer for a need, or give it up."""
        held.informer = informer
        if informer is not None:
            self._bound.set()
        else:
            self._bound.clear()
        if self.on_bound is not None:
            self.on_bound(informer)

    async def wait_bound(self) -> None:
        """Wait until there is an informer, or the scope is closed."""
        await self._bound.wait()

    # Its handle.

    def renew(self) -> None:
        """Begin a new generation: what the old handle showed is history."""
        self.generation += 1
        self.handle.invalidate(ScopeClosedError(f"the scope {self} was closed and opened again: open() returns it"))
        self.handle = self._new_handle()
        for resource in self.held:
            self.handle.expect(resource)

    def lose(self, error: Denial) -> None:
        """Answer every read with `error`, from this moment."""
        self.state, self.error = "waiting", error
        self.handle.invalidate(error)

    def close(self) -> None:
        self.state = "closed"
        self._bound.set()
        self.handle.invalidate(ScopeClosedError(f"the scope {self} is closed"))

    def _new_handle(self) -> ResourceCache:
        return ResourceCache(
            self.owner,
            self.namespace,
            self.generation,
            owned=lambda informer: informer.owned_by(self),
            lacking=lambda: self.lacking(self),
            release=lambda kind: self.forget(self, kind),
        )

    def __str__(self) -> str:
        return f"of {self.owner or 'the cache'} {where(self.namespace)}"

    def __repr__(self) -> str:
        kinds = ",".join(str(resource) for resource in self.held)
        return f"<Scope {self} {self.state} kinds={kinds}>"


def _joined(held: Need, need: Need) -> Need:
    """Return what serves both needs of one kind: the wider of each; a plain kind asks for nothing new."""
    if need == Need(need.kind):
        return held
    return Need(
        held.kind,
        held.verbs + tuple(verb for verb in need.verbs if verb not in held.verbs),
        optional=held.optional and need.optional,
        name=held.name if held.name == need.name else None,
        selector=need.selector or held.selector,
        metadata_only=held.metadata_only and need.metadata_only,
        route=need.route or held.route,
    )
