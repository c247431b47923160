"""What one generation of a scope shows: kind → view, or the reason why there is none.

The scope's side writes it, `ResourceCache` reads it.
"""

from __future__ import annotations

from copy import copy

from ..errors import NotWatchedError
from ..informer import Informer
from ..kinds import Kind, Resource, denotes
from ..needs import Need
from .lister import View


class ScopeViews:
    """The views of one handle."""

    def __init__(self, namespace: str | None) -> None:
        self.namespace = namespace
        # By each name a kind was asked for, so that a read is one look-up; emptied in place, since readers hold it.
        self.views: dict[Kind, View] = {}
        self.error: Exception | None = None
        self._shown: dict[Resource, Informer] = {}
        self._hidden: dict[Kind, Exception] = {}

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds that are shown."""
        return tuple(sorted(resource.gvk.kind for resource in self._shown))

    def show(self, resource: Resource, informer: Informer, need: Need) -> None:
        namespace = self.namespace if resource.namespaced else None
        view = View(informer, resource, namespace, need.selector, need.name)
        for kind in (resource, need.kind, resource.gvk, resource.gvr.group_resource):
            self.views[kind] = view
        self._shown[resource] = informer
        self._hidden.pop(resource, None)

    def hide(self, kind: Kind, error: Exception | None) -> None:
        """Show a kind no longer: denied, not served, listed anew, or (None) released."""
        for name in [name for name, view in self.views.items() if view.resource == kind]:
            del self.views[name]
        if isinstance(kind, Resource):
            self._shown.pop(kind, None)
        if error is not None:
            self._hidden[kind] = error
        else:
            self._hidden.pop(kind, None)

    def invalidate(self, error: Exception) -> None:
        """Answer every read with `error` from now on."""
        self.views.clear()
        self._shown.clear()
        self.error = error

    def find(self, kind: Kind, namespace: str | None = None) -> View:
        """Return how a kind is seen, whichever of its names is used; raises why it is not."""
        view = self.views.get(kind)
        if view is None:
            view = next((view for view in self.views.values() if denotes(kind, view.resource)), None)
            if view is None:
                raise copy(self._why_not(kind))  # raised as it is, one error would collect the frames of all readers
            self.views[kind] = view
        return view

    def _why_not(self, kind: Kind) -> Exception:
        if self.error is not None:
            return self.error
        hidden = (
            error
            for name, error in self._hidden.items()
            if name == kind or (isinstance(name, Resource) and denotes(kind, name))
        )
        return next(hidden, None) or NotWatchedError(f"nobody opened {kind} here")
