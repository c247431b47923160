"""Reads from memory, never a request, never a wait. Forbidden, not synced, not watched, closed, absent stay apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, overload

import attrs

from ..errors import NotSyncedError, NotWatchedError
from ..informer import Informer
from ..kinds import Kind, ObjectKey, Resource
from ..objects import Object
from ..selectors import Labels, LabelSelector

T = TypeVar("T")
# A key, `namespace/name`, or the bare name of an object in the lister's own namespace.
Name = ObjectKey | tuple[str, str] | str


@attrs.frozen
class View:
    """One kind as one lister sees it: an informer, narrowed to a namespace and to what a need selects."""

    informer: Informer
    resource: Resource
    namespace: str | None
    selector: LabelSelector
    name: str | None = None
    # What a key is looked up with: one call less in every read. And the namespace that a bare name lies in.
    look_up: Callable[[tuple[str, str]], Object | None] = attrs.field(init=False, eq=False, repr=False)
    home: str | None = attrs.field(init=False, eq=False, repr=False)

    @look_up.default
    def _look_up_of_informer(self) -> Callable[[tuple[str, str]], Object | None]:
        return self.informer.look_up

    @home.default
    def _find_home(self) -> str | None:
        return self.namespace if self.name is None and self.resource.namespaced else None

    def key(self, key: Name) -> tuple[str, str]:
        """Return the key to look up; a bare name lies in the view's own namespace."""
        namespace, name = split_name(key)
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
        if not namespace:
            raise ValueError(f"{self.resource} {name!r}: name its namespace, as namespace/name or as a key")
        return namespace, name

    def shows(self, obj: Object) -> bool:
        """Tell whether the need this view stands for selects an object."""
        if self.name is not None and obj.name != self.name:
            return False
        return not self.selector or self.selector.matches(obj.labels)


def split_name(key: Name) -> tuple[str, str]:
    """Return the namespace, empty where none is said, and the name.

    Raises:
        ValueError: more than one slash: it is no name of an object.
    """
    if not isinstance(key, str):
        namespace, name = key
        return namespace, name
    namespace, _, name = key.rpartition("/")
    if "/" in namespace:
        raise ValueError(f"{key!r} is no name of an object: namespace/name, or a bare name")
    return namespace, name


class Views(Protocol):
    """How a lister sees each kind."""

    @property
    def views(self) -> Mapping[Kind, View]:
        """Return those that need no search. The mapping stays the same one, whatever it holds."""

    def find(self, kind: Kind, namespace: str | None = None) -> View:
        """Return the view of a kind; raises what a read is to raise where there is none.

        `namespace` is where what is read lies, if the reader says so.
        """


class Lister:
    """Reads of the kinds that were opened. What it returns is the caller's own."""

    def __init__(self, views: Views) -> None:
        self._views = views.views
        self._find = views.find

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

        A key may be `namespace/name`, or the bare name of an object in the lister's own namespace. `model` decodes
        straight into a type; `max_age` (seconds) turns data that nobody has confirmed for longer into an error.

        Raises:
            ForbiddenError: the right to see this kind here is gone.
            CacheError: nothing can be said: not watched, not synced, closed, or older than `max_age`.
            ValueError: a bare name, where objects of every namespace are seen; or a string with two slashes.
        """
        view = self._views.get(kind)
        if view is None:
            view = self._find(kind, split_name(key)[0] or None)
        # The usual keys need no second look: this is the path every reconcile takes.
        if type(key) is ObjectKey and key[0] == view.namespace:
            obj = view.look_up(key)
        elif type(key) is str and view.home is not None and "/" not in key:
            obj = view.look_up((view.home, key))
        else:
            obj = view.look_up(view.key(key))
        if max_age is not None:
            _check_age(view.informer, max_age)
        if obj is None or ((view.selector or view.name) and not view.shows(obj)):
            if view.name:
                view.key(key)  # of another name than the one that was opened, nothing is known
            return None
        return obj.to_model(model) if model else obj

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
        view = self._find(kind)
        objects = _named(view, labels) if view.name else view.informer.list(namespace=view.namespace, labels=labels)
        if max_age is not None:
            _check_age(view.informer, max_age)
        return _select(view, objects, model)

    def by_index(self, kind: Kind, name: str, value: str) -> Sequence[Object]:
        """Return what an index added by `ScopedCache.add_index` holds under a value.

        Raises:
            NoSuchIndexError: it was not added.
        """
        view = self._find(kind)
        objects = view.informer.by_index(name, value)
        if view.namespace is not None and view.informer.namespace is None and view.resource.namespaced:
            objects = [obj for obj in objects if obj.namespace == view.namespace]
        return _select(view, objects, None)

    def age(self, kind: Kind) -> float:
        """Return the seconds since the server was last heard about a kind."""
        return self._find(kind).informer.age


def _named(view: View, labels: Labels) -> Sequence[Object]:
    """Return the one object a view is about, without a look at the others that its informer may hold."""
    if view.namespace is None and view.resource.namespaced:
        return view.informer.list(labels=labels)
    obj = view.informer.get((view.namespace or "", view.name or ""))
    return [obj] if obj is not None and LabelSelector.parse(labels).matches(obj.labels) else []


def _select(view: View, objects: Sequence[Object], model: type[Any] | None) -> Sequence[Any]:
    if view.selector or view.name:
        objects = [obj for obj in objects if view.shows(obj)]
    return [obj.to_model(model) for obj in objects] if model else objects


def _check_age(informer: Informer, max_age: float) -> None:
    if informer.age > max_age:
        raise NotSyncedError(
            f"{informer.resource}: the server was last heard {informer.age:.1f} s ago (max_age={max_age})"
        )
