"""The primary objects of one controller: which object a key stands for, whether that can be told now, and which ones
were deleted but not yet reconciled as gone. Keys whose object cannot be told are parked here.

Plain and synchronous but for `drop_outside`; `EventSources` fills it, `Workers` ask it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from itertools import starmap
from typing import TYPE_CHECKING

import attrs

from ..errors import APIError, CacheError
from ..kinds import ObjectKey
from ..objects import Object
from .work_queue import Priority

if TYPE_CHECKING:
    from ..cache import InformerHandle


@attrs.define(eq=False)
class _Place:
    """The primary kind in one place, and the keys parked until it can be seen there again."""

    handle: InformerHandle
    parked: dict[ObjectKey, Priority] = attrs.field(factory=dict)


class PrimaryObjects:
    """What the informers of a controller's own kind show, in all of its places.

    Args:
        on_parked: told of the namespace ("" is everywhere) in which a key was parked.
        always: keys that are reconciled whether their object is there or not.
    """

    def __init__(self, *, on_parked: Callable[[str], None], always: Collection[ObjectKey] = ()) -> None:
        self._on_parked = on_parked
        self._always = frozenset(always)
        self._places: dict[str, _Place] = {}
        self._deleted: dict[ObjectKey, list[Object]] = {}

    # -- places --------------------------------------------------------------------------------------------------

    def add_place(self, namespace: str, handle: InformerHandle) -> None:
        """Show what an informer shows; the namespace "" is everywhere."""
        self._places[namespace] = _Place(handle)

    def remove_place(self, namespace: str) -> None:
        """Show a place no longer; keys parked there are dropped."""
        self._places.pop(namespace, None)

    def covers(self, key: ObjectKey) -> bool:
        """Tell whether the key lies in one of the controller's places."""
        return self._place_of(key) is not None

    def keys(self, namespace: str = "") -> Iterator[ObjectKey]:
        """Return the keys of all objects that can be told, of one place, or of all (""); it may be consumed slowly."""
        for name, place in list(self._places.items()):
            if namespace in ("", name):
                yield from starmap(ObjectKey, _keys_in(place))

    @property
    def complete(self) -> bool:
        """Tell whether all of the shard is held, wherever it may be seen."""
        places = self._places.values()
        return bool(places) and all(place.handle.complete or place.handle.denied is not None for place in places)

    @property
    def count(self) -> int:
        """Return how many objects are held."""
        return sum(place.handle.objects for place in self._places.values())

    async def drop_outside(self) -> None:
        """Let go of what is not in the shard any more."""
        for place in list(self._places.values()):
            await place.handle.drop_outside()

    # -- objects -------------------------------------------------------------------------------------------------

    def is_visible(self, key: ObjectKey) -> bool:
        """Tell whether it can be told now if the key's object exists."""
        place = self._place_of(key)
        return place is not None and place.handle.synced

    def get(self, key: ObjectKey) -> Object | None:
        """Return the object of a key; None where it is gone, or nothing can be told."""
        place = self._place_of(key)
        if place is not None:
            with suppress(CacheError, APIError):
                return place.handle.get(key)
        return None

    def needs_reconcile(self, key: ObjectKey) -> bool:
        """Tell whether a reconcile of the key makes sense: its object is there, or its deletion is still news."""
        return key in self._always or key in self._deleted or self.get(key) is not None

    def is_always(self, key: ObjectKey) -> bool:
        """Tell whether a key is reconciled without an object too."""
        return key in self._always

    @property
    def denied_everywhere(self) -> bool:
        """Tell whether no object can be told, for want of rights."""
        places = self._places.values()
        return bool(places) and all(place.handle.denied is not None for place in places)

    # -- deletions -----------------------------------------------------------------------------------------------

    def add_deleted(self, obj: Object) -> None:
        """Keep a deleted object until a reconcile has seen that it is gone."""
        self._deleted.setdefault(obj.key, []).append(obj)

    def deleted(self, key: ObjectKey) -> tuple[Object, ...]:
        """Return the deleted objects of a key that no reconcile has dealt with."""
        return tuple(self._deleted.get(key, ()))

    def drop_deleted(self, key: ObjectKey, objects: Sequence[Object], *, again: bool) -> None:
        """Forget deleted objects that a reconcile has seen to be gone.

        `again` keeps the deletion news: the reconcile failed and is to be run once more.
        """
        later = [obj for obj in self._deleted.get(key, ()) if obj not in objects]
        if later or (again and key in self._deleted):
            self._deleted[key] = later
        else:
            self._deleted.pop(key, None)

    def uid(self, key: ObjectKey) -> str | None:
        """Return the UID of a key's object, or of the one that was deleted last; None where there is neither."""
        obj = self.get(key) or next(reversed(self._deleted.get(key, [])), None)
        return None if obj is None else obj.uid

    def drop_news(self, is_ours: Callable[[Object], bool]) -> None:
        """Forget the deletions that are another replica's to deal with."""
        for key, objects in list(self._deleted.items()):
            kept = [obj for obj in objects if is_ours(obj)]
            if kept:
                self._deleted[key] = kept
            else:
                del self._deleted[key]

    # -- parked keys ---------------------------------------------------------------------------------------------

    def park(self, key: ObjectKey, priority: Priority) -> None:
        """Put a key aside until its object can be told again; no worker waits for it."""
        namespace = self._namespace_of(key)
        if namespace is None:
            return
        parked = self._places[namespace].parked
        if parked.get(key) != "high":
            parked[key] = priority
        self._on_parked(namespace)

    def unpark(self, key: ObjectKey) -> None:
        """Drop a parked key: something else makes it run."""
        place = self._place_of(key)
        if place is not None:
            place.parked.pop(key, None)

    def take_parked(self, namespace: str) -> Iterator[tuple[ObjectKey, Priority]]:
        """Hand out, and forget, the keys parked in a place."""
        place = self._places.get(namespace)
        if place is not None:
            parked, place.parked = place.parked, {}
            yield from parked.items()

    def _place_of(self, key: ObjectKey) -> _Place | None:
        return self._places.get("") or self._places.get(key.namespace)

    def _namespace_of(self, key: ObjectKey) -> str | None:
        return next((namespace for namespace in ("", key.namespace) if namespace in self._places), None)


def _keys_in(place: _Place) -> Sequence[tuple[str, str]]:
    with suppress(CacheError, APIError):
        return place.handle.list_keys()
    return ()
