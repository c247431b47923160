"""Which objects of a kind an informer holds where several replicas share them: those whose hash lies in some ranges.

Each object is looked at here, always. What the server leaves out saves traffic and no more: one that does not know
shards takes no notice of the parameter, and of two API servers behind one address one may know it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..errors import ScopedCacheError
from ..event_logger import event_logger
from ..hash_ranges import BY_NAMESPACE, BY_UID, HashRange, HashRanges, ring_hash
from ..objects import Metadata

logger: Final = event_logger("scopedcache.informer")

# Where nothing is shown, nothing is to be asked for: a range has at least one hash, and no object lies at this one.
_EMPTY: Final = HashRanges((HashRange(0, 1),))


class ShardFilter:
    """The ranges that are shown now; they change while informers run.

    Attributes:
        ranges: what is shown.
        refused: what a server said that could not read what we asked for: a fault of ours, and nobody is asked again.
    """

    def __init__(self, ranges: HashRanges | None = None) -> None:
        self.ranges = ranges or HashRanges()
        self.refused: str | None = None
        self._asks_server = False
        self._on_wider: list[Callable[[], None]] = []
        self._on_less_asked: list[Callable[[], None]] = []

    @property
    def asks_server(self) -> bool:
        """Tell whether the server is asked to leave the rest out: it was seen to know how."""
        return self._asks_server

    @asks_server.setter
    def asks_server(self, knows: bool) -> None:
        changed, self._asks_server = knows != self._asks_server, knows
        if changed:
            _tell(self._on_less_asked)

    def set_ranges(self, ranges: HashRanges) -> None:
        """Show other ranges. What is shown too much from now on is for `Informer.drop_outside` to let go."""
        wider, changed = not self.ranges.covers(ranges), ranges != self.ranges
        self.ranges = ranges
        if wider:
            _tell(self._on_wider)
        elif changed and self.selector(namespaced=True) is not None:
            _tell(self._on_less_asked)

    def on_wider(self, tell: Callable[[], None]) -> None:
        """Call `tell` when more is to be shown: it has to be listed."""
        self._on_wider.append(tell)

    def on_less_asked(self, tell: Callable[[], None]) -> None:
        """Call `tell` when the server is to be asked for less: a watch that is open brings what is not shown.

        It would for as long as it lasts, which is ten minutes.
        """
        self._on_less_asked.append(tell)

    def forget(self, tell: Callable[[], None]) -> None:
        """Call it no more."""
        for listeners in (self._on_wider, self._on_less_asked):
            if tell in listeners:
                listeners.remove(tell)

    def admits(self, metadata: Metadata) -> bool:
        """Tell whether an object belongs to what is shown; those of cluster-scoped kinds by their UID."""
        return ring_hash(metadata.namespace or metadata.uid) in self.ranges

    def selector(self, *, namespaced: bool) -> str | None:
        """Return what the server is asked for; None where it is not asked."""
        if not self.asks_server or self.refused is not None:
            return None
        return (self.ranges or _EMPTY).selector(BY_NAMESPACE if namespaced else BY_UID)

    def refuse(self, error: ScopedCacheError) -> None:
        """Ask no server any more: one could not read what we asked for. Each object is looked at here from now on."""
        if self.refused is None:
            self.refused = str(error)
            logger.error("shard.selector_refused", extra={"ranges": len(self.ranges.ranges), "error": str(error)})


def _tell(listeners: list[Callable[[], None]]) -> None:
    for tell in list(listeners):
        tell()
