"""What one owner sees in one namespace: a handle for reading, good for as long as the rights behind it hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy

from ..errors import NotSyncedError, where
from ..informer import Informer
from ..kinds import Kind, Resource, denotes
from ..needs import Need
from ..objects import Object
from .lister import Lister, View
from .owner import Denial, OwnerId


class ResourceCache(Lister):
    """The kinds an owner opened in a namespace; made by `ScopedCache.open`.

    When a required right goes, everything it shows goes with it: reads raise ForbiddenError from that moment. Once the
    scope is open again, this handle is history (ScopeClosedError); `open` returns the new one.
    """

    def __init__(
        self,
        owner: OwnerId | None,
        namespace: str | None,
        generation: int,
        *,
        owned: Callable[[Informer], Sequence[Object]],
        lacking: Callable[[], Sequence[Denial]],
        release: Callable[[Kind], None],
    ) -> None:
        super().__init__()
        self.owner = owner
        self.namespace = namespace
        self.generation = generation
        self._owned_in = owned
        self._lacking = lacking
        self._release = release
        self._owned: dict[Resource, Informer] = {}
        self._missed: dict[Resource, Exception] = {}
        self._error: Exception | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds it shows."""
        return tuple(sorted(resource.gvk.kind for resource in self._owned))

    def owned(self, kind: Kind) -> Sequence[Object]:
        """Return the objects of a kind that belong to this owner: by owner reference, route, label or chain.

        See `get` for what it raises.
        """
        view = self._view(kind)
        found = self._owned_in(view.informer)
        # An informer of the whole cluster may route by labels what lies elsewhere.
        return found if view.namespace is None else [entry for entry in found if entry.namespace == view.namespace]

    @property
    def missing_permissions(self) -> Sequence[Denial]:
        """Return what is missing of the verbs that the needs declare beyond list and watch. Reads do not need them."""
        return self._lacking()

    def check(self) -> None:
        """Raise if this handle shows nothing any more, or a declared verb is missing.

        Raises:
            ForbiddenError: which right is missing.
            ScopeClosedError: the scope was closed, or opened again.
        """
        if self._error is not None:
            raise copy(self._error)
        for error in self.missing_permissions:
            raise error

    def release(self, kind: Kind) -> None:
        """Give up one kind: its informer ends unless somebody else needs it; reads of it raise NotWatchedError."""
        self._release(kind)

    # -- for the cache -------------------------------------------------------------------------------------------

    def show(self, resource: Resource, informer: Informer, need: Need) -> None:
        namespace = self.namespace if resource.namespaced else None
        view = View(informer, resource, namespace, need.selector, need.name)
        self._views[resource] = self._views[need.kind] = view
        self._views[resource.gvk] = self._views[resource.gvr.group_resource] = view
        self._owned[resource] = informer
        self._missed.pop(resource, None)

    def hide(self, resource: Resource, error: Exception | None) -> None:
        """Show a kind no longer: denied, listed anew, or (None) released."""
        self._views = {kind: view for kind, view in self._views.items() if view.resource != resource}
        self._owned.pop(resource, None)
        if error is not None:
            self._missed[resource] = error
        else:
            self._missed.pop(resource, None)

    def expect(self, resource: Resource) -> None:
        """A kind is on its way: reads of it say so."""
        self.hide(resource, NotSyncedError(f"{resource} {where(self.namespace)}: the first list is not complete yet"))

    def invalidate(self, error: Exception) -> None:
        """Answer every read with `error` from now on."""
        self._views = {}
        self._owned = {}
        self._error = error

    def _missing(self, kind: Kind) -> Exception:
        if self._error is not None:
            return self._error
        for resource, error in self._missed.items():
            if denotes(kind, resource):
                return error
        return super()._missing(kind)

    def __repr__(self) -> str:
        state = f"closed: {self._error}" if self._error else f"kinds={','.join(self.kinds)}"
        return f"<ResourceCache of {self.owner or 'nobody'} in {self.namespace or 'the cluster'} {state}>"
