"""How the objects of one informer are asked for: the same kind, place and selection in pages and in watches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from ..api.client import Client
from ..api.codec import Unreadable, decode_items
from ..api.request_info import RequestInfo
from ..api.request_query import PAGE_OBJECTS, selected_name
from ..api.watch.event_decoder import EventDecoder
from ..api.watch.watch_stream import WatchStream
from ..kinds import Resource
from ..objects import Entry
from ..selectors import Labels, LabelSelector
from .informer_options import InformerOptions

NAME_FIELD: Final = "metadata.name="


class Page(NamedTuple):
    """One page of a list: what could be read of it, what could not, and the version it stands for."""

    entries: list[Entry]
    unreadable: list[Unreadable]
    version: str


class ListWatch:
    """One kind in one place, narrowed by selectors, and the server to ask for it.

    Attributes:
        watch_timeout: seconds a watch may last before we end it by ourselves; None leaves that to the server.
        asked_timeout: seconds the last watch was asked to last.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        namespace: str | None,
        labels: Labels,
        fields: str | None,
        options: InformerOptions,
        chance: Callable[[], float],
    ) -> None:
        self.resource = resource
        self.namespace = namespace
        self.watch_timeout: float | None = None
        self.asked_timeout = 0.0
        self._client = client
        self._labels = LabelSelector.parse(labels)
        terms = fields.split(",") if fields else []
        names = [term.removeprefix(NAME_FIELD) for term in terms if term.startswith(NAME_FIELD)]
        self._fields = fields
        self._name = names[0] if names else None
        self._by_fields = len(terms) > len(names)
        self._options = options
        self._chance = chance
        self._decoder = EventDecoder()
        self._info = RequestInfo("watch", resource, namespace, selected_name(fields))

    def selects(self, entry: Entry) -> bool | None:
        """Tell whether an object is among those that are asked for; None where only the server can tell, by fields."""
        metadata = entry.metadata
        here = self.namespace is None or metadata.namespace == self.namespace
        named = self._name is None or metadata.name == self._name
        if not (here and named and self._labels.matches(metadata.labels or {})):
            return False
        return None if self._by_fields else True

    async def pages(self, *, whole: bool, metadata_only: bool) -> AsyncIterator[Page]:
        """Yield the pages of a consistent list; waits for the server between them.

        `whole` asks for one page that holds everything.
        """
        async for page, _ in self._client.pages(
            self.resource,
            namespace=self.namespace,
            labels=self._labels,
            fields=self._fields,
            page=None if whole else PAGE_OBJECTS,
            metadata_only=metadata_only,
        ):
            entries, unreadable = decode_items(page)
            yield Page(entries, unreadable, page.metadata.resource_version)

    @asynccontextmanager
    async def watch(self, version: str, *, initial_events: bool, metadata_only: bool) -> AsyncIterator[WatchStream]:
        """Open a watch at a version; with `initial_events` it begins with the whole list, and lasts long enough for it.

        Raises:
            ScopedCacheError: it was refused, or nobody answered.
        """
        self.asked_timeout = self.watch_timeout or self._options.watch_timeout * (1 + self._chance())
        opened = self._client.open_watch(
            self.resource,
            namespace=self.namespace,
            labels=self._labels,
            fields=self._fields,
            resource_version=version,
            initial_events=initial_events,
            timeout=max(self.asked_timeout, self._options.list_deadline) if initial_events else self.asked_timeout,
            idle_timeout=self._options.idle_timeout,
            metadata_only=metadata_only,
        )
        async with opened as stream:
            async with WatchStream(stream, self._info, self._decoder, line_limit=self._options.line_limit) as batches:
                yield batches
