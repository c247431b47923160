"""Which objects of a kind an informer holds where somebody else shares them out: those that carry a label.

The server leaves out the rest, as for any label selector. What differs is the end: an object whose label is taken away
arrives as DELETED, in its last form that carried it, and so does one that is gone. Only the server can tell the two
apart, and it is asked (`ListWatch.elsewhere`): what goes on elsewhere was not deleted.
"""

from __future__ import annotations

from collections.abc import Callable

from ..objects import Metadata
from ..selectors import LabelSelector


class LabelShard:
    """The objects whose `label` has a value; which ones these are is written by others.

    Raises:
        ValueError: no label can be called so, or have this value.
    """

    def __init__(self, label: str, value: str) -> None:
        self.labels = LabelSelector.parse({label: value})
        self._on_left: list[Callable[[Metadata], None]] = []

    def admits(self, metadata: Metadata) -> bool:
        """Tell whether an object is among them."""
        return self.labels.matches(metadata.labels or {})

    def on_left(self, tell: Callable[[Metadata], None]) -> Callable[[], None]:
        """Call `tell` for each object that was held, goes on, and is another's now; returns the way to end it."""
        self._on_left.append(tell)
        return lambda: self._on_left.remove(tell)

    def left(self, metadata: Metadata) -> None:
        """Say that an object is another's now."""
        for tell in list(self._on_left):
            tell(metadata)
