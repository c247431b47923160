"""Counts where the primaries of some controllers lie on the ring: what the ring is cut by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Protocol

from ...api.codec import decode_items
from ...errors import APIError, CacheError
from ...hash_ranges import ring_hash
from ...kinds import Kind
from .partition import Weights

if TYPE_CHECKING:
    from ...api import Client
    from ..namespaces import WatchedNamespaces

# Metadata alone is small: fewer requests than a list of whole objects takes.
PAGE_OBJECTS: Final = 500


class Weighed(Protocol):
    """What is to be known of a controller: its kind, and where it works."""

    @property
    def for_(self) -> Kind: ...
    @property
    def namespaces(self) -> WatchedNamespaces: ...


async def weigh(client: Client, controllers: Iterable[Weighed]) -> Weights:
    """Return how many primaries lie at which hash, by lists of metadata.

    A namespace that is named, and may not be listed, counts as one: it is to be somebody's.

    Raises:
        APIError, CacheError, TransportError: a list of all namespaces was refused, or not answered.
    """
    found: Counter[int] = Counter()
    for controller in controllers:
        names = controller.namespaces.names
        for name in (None,) if names is None else names:
            try:
                await _count(client, controller.for_, name, found)
            except (APIError, CacheError):
                if name is None:
                    raise
            if name is not None and not found[ring_hash(name)]:
                found[ring_hash(name)] = 1
    return found


async def _count(client: Client, kind: Kind, namespace: str | None, found: Counter[int]) -> None:
    async for page, _ in client.pages(kind, namespace=namespace, page=PAGE_OBJECTS, metadata_only=True):
        for entry in decode_items(page)[0]:
            found[ring_hash(entry.metadata.namespace or entry.metadata.uid)] += 1
