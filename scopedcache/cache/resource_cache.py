"""What one owner sees in one namespace: a handle for reading, good for as long as the rights behind it hold."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Protocol

from ..api.client import Client
from ..informer import Informer
from ..kinds import Kind
from ..objects import Object
from .lister import Lister
from .owner import Denial, OwnerId
from .scope_views import ScopeViews


class Backing(Protocol):
    """What a handle asks of the scope it reads."""

    def owned_in(self, informer: Informer) -> Sequence[Object]:
        """Return what of an informer's is the owner's."""

    def missing_permissions(self) -> Sequence[Denial]:
        """Return what is missing of the verbs that the needs declare."""

    def release(self, kind: Kind) -> None:
        """Give up one kind."""

    @property
    def client(self) -> Client:
        """Return the client that sends as the scope's identity."""


class ResourceCache(Lister):
    """The kinds an owner opened in a namespace; made by `ScopedCache.open`.

    When a required right goes, everything it shows goes with it: reads raise ForbiddenError from that moment. Once the
    scope is open again, this handle is history (ScopeClosedError); `open` returns the new one.
    """

    def __init__(self, owner: OwnerId | None, generation: int, views: ScopeViews, backing: Backing) -> None:
        super().__init__(views)
        self.owner = owner
        self.namespace = views.namespace
        self.generation = generation
        self._shown = views
        self._backing = backing

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds it shows."""
        return self._shown.kinds

    @property
    def client(self) -> Client:
        """Return the client that sends as this owner's identity: the cache's own, where it was told of none.

        It is good for as long as this handle shows something.

        Raises:
            ForbiddenError, UnauthorizedError, ScopeClosedError: see `get`: the handle shows nothing any more.
        """
        if self._shown.error is not None:
            raise copy(self._shown.error)
        return self._backing.client

    def owned(self, kind: Kind) -> Sequence[Object]:
        """Return the objects of a kind that belong to this owner: by owner reference, route, label or chain.

        See `get` for what it raises.
        """
        view = self._shown.find(kind)
        objects = self._backing.owned_in(view.informer)
        # An informer of the whole cluster may route by labels what lies elsewhere, one of a whole kind what has
        # another name.
        if view.namespace is not None:
            objects = [obj for obj in objects if obj.namespace == view.namespace]
        return objects if view.name is None else [obj for obj in objects if obj.name == view.name]

    @property
    def missing_permissions(self) -> Sequence[Denial]:
        """Return what is missing of the verbs that the needs declare beyond list and watch. Reads do not need them."""
        return self._backing.missing_permissions()

    def check(self) -> None:
        """Raise if this handle shows nothing any more, or a declared verb is missing.

        Raises:
            ForbiddenError: which right is missing.
            ScopeClosedError: the scope was closed, or opened again.
        """
        if self._shown.error is not None:
            raise copy(self._shown.error)
        for error in self.missing_permissions:
            raise error

    def release(self, kind: Kind) -> None:
        """Give up one kind: its informer ends unless somebody else needs it; reads of it raise NotWatchedError."""
        self._backing.release(kind)

    def __repr__(self) -> str:
        error = self._shown.error
        state = f"closed: {error}" if error else f"kinds={','.join(self.kinds)}"
        return f"<ResourceCache of {self.owner or 'nobody'} in {self.namespace or 'the cluster'} {state}>"
