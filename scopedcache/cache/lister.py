"""Reads from memory, never a request, never a wait. Forbidden, not synced, not watched, closed, absent stay apart."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, TypeVar, overload

import attrs

from ..api.client import Labels
from ..errors import NotSyncedError, NotWatchedError
from ..informer import Informer
from ..kinds import Kind, ObjectKey, Resource, denotes
from ..objects import Object
from ..selectors import LabelSelector

T = TypeVar("T")
# A key, or the bare name of an object in the lister's own namespace.
Name = ObjectKey | tuple[str, str] | str


@attrs.frozen
class View:
    """One kind as one lister sees it: an informer, narrowed to a namespace and to what a need selects."""

    informer: Informer
    resource: Resource
    namespace: str | None
    selector: LabelSelector
    name: str | None = None

    def key(self, key: Name) -> tuple[str, str]:
        """Return the key to look up; a bare name lies in the view's own namespace."""
        namespace, name = ("", key) if isinstance(key, str) else key
        if self.name is not None and name != self.name:
            raise NotWatchedError(f"{self.resource} {name}: only the one named {self.name} was opened here")
        if not self.resource.namespaced:
            return "", name
        if self.namespace is not None:
            if namespace and namespace != self.namespace:
                raise NotWatchedError(
                    f"{self.resource} in namespace {namespace}: this scope sees {self.namespace} alone"
                )
            namespace = self.namespace
        return namespace, name

    def shows(self, found: Object) -> bool:
        """Tell whether the need this view stands for selects an object."""
        if self.name is not None and found.name != self.name:
            return False
        return not self.selector or self.selector.matches(found.labels)


class Lister:
    """Reads of the kinds that were opened. What it returns is the caller's own."""

    def __init__(self) -> None:
        self._views: dict[Kind, View] = {}

    @overload
    def get(self, kind: Kind, key: Name, *, max_age: float | None = None) -> Object | None: ...
    @overload
    def get(self, kind: Kind, key: Name, *, model: type[T], max_age: float | None = None) -> T | None: ...

    def get(
        self,
        kind: Kind,
        key: Name,
        *,
        model: type[T] | None = None,
        max_age: float | None = None,
    ) -> Object | T | None:
        """Return an object, or None where it is known not to be there.

        A key may be a bare name. `model` decodes straight into a type; `max_age` (seconds) turns data that nobody has
        confirmed for longer into an error.

        Raises:
            ForbiddenError: the right to see this kind here is gone.
            CacheError: nothing can be said: not watched, not synced, closed, or older than `max_age`.
        """
        view = self._views.get(kind) or self._view(kind, None if isinstance(key, str) else key[0] or None)
        # The usual key needs no second look: this is the path every reconcile takes.
        usual = type(key) is ObjectKey and key[0] == view.namespace
        found = view.informer.get(key if usual else view.key(key))  # type: ignore[arg-type]  # narrowed by `usual`
        if max_age is not None:
            _fresh(view.informer, max_age)
        if found is None or ((view.selector or view.name) and not view.shows(found)):
            if view.name:
                view.key(key)  # of another name than the one that was opened, nothing is known
            return None
        return found.to_model(model) if model else found

    @overload
    def list(self, kind: Kind, *, labels: Labels = None, max_age: float | None = None) -> Sequence[Object]: ...
    @overload
    def list(
        self, kind: Kind, *, labels: Labels = None, model: type[T], max_age: float | None = None
    ) -> Sequence[T]: ...

    def list(
        self, kind: Kind, *, labels: Labels = None, model: type[T] | None = None, max_age: float | None = None
    ) -> Sequence[Object] | Sequence[T]:
        """Return all objects of a kind that the labels select, in no particular order. See `get` for what it raises."""
        view = self._view(kind)
        found = view.informer.list(namespace=view.namespace, labels=labels)
        if max_age is not None:
            _fresh(view.informer, max_age)
        return self._shown(view, found, model)

    def by_index(self, kind: Kind, name: str, value: str) -> Sequence[Object]:
        """Return what an index added by `ScopedCache.add_index` holds under a value.

        Raises:
            NoSuchIndexError: it was not added.
        """
        view = self._view(kind)
        found = view.informer.by_index(name, value)
        if view.namespace is not None and view.informer.namespace is None and view.resource.namespaced:
            found = [entry for entry in found if entry.namespace == view.namespace]
        return self._shown(view, found, None)

    def age(self, kind: Kind) -> float:
        """Return the seconds since the server was last heard about a kind."""
        return self._view(kind).informer.age

    def _shown(self, view: View, found: Sequence[Object], model: type[Any] | None) -> Sequence[Any]:
        if view.selector or view.name:
            found = [entry for entry in found if view.shows(entry)]
        return [entry.to_model(model) for entry in found] if model else found

    def _view(self, kind: Kind, namespace: str | None = None) -> View:
        """Return how a kind is seen; `namespace` is where, if what is read says so."""
        view = self._views.get(kind)
        if view is None:
            view = next((held for held in self._views.values() if denotes(kind, held.resource)), None)
            if view is None:
                raise copy(self._missing(kind))  # raised as it is, one error would collect the frames of all readers
            self._views[kind] = view
        return view

    def view_of(self, kind: Kind) -> View:
        """Return how a kind is seen here; raises what a read would."""
        return self._view(kind)

    def _missing(self, kind: Kind) -> Exception:
        return NotWatchedError(f"nobody opened {kind} here")


def _fresh(informer: Informer, max_age: float) -> None:
    if informer.age > max_age:
        raise NotSyncedError(
            f"{informer.resource}: the server was last heard {informer.age:.1f} s ago (max_age={max_age})"
        )
