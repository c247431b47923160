"""How the objects of one informer are asked for: the same kind, place and selection in pages and in watches."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Final, NamedTuple

from ..api.client import Client
from ..api.codec import Unreadable, decode_items
from ..api.request_info import RequestInfo
from ..api.request_query import PAGE_OBJECTS, selected_name
from ..api.shard_support import refuses_selector
from ..api.watch.event_decoder import EventDecoder, WatchEvent
from ..api.watch.watch_stream import WatchStream
from ..errors import ScopedCacheError
from ..kinds import Resource
from ..objects import Entry, Metadata
from ..selectors import Labels, LabelSelector
from .delta import Key
from .informer_options import InformerOptions
from .label_shard import LabelShard
from .last_event import LastEvent
from .shard_filter import ShardFilter

NAME_FIELD: Final = "metadata.name="
NAMESPACE_FIELD: Final = "metadata.namespace="
_ABOUT_OBJECTS: Final = frozenset({"ADDED", "MODIFIED", "DELETED"})
# More objects than these are asked for by one list of all: it is metadata, and no more than as many requests.
ASKED_BY_NAME: Final = 20

WatchEvents = AsyncIterable[Sequence[WatchEvent]]


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
        label_shard: others say by a label which objects are ours: what leaves the selection may go on elsewhere.
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
        shard: ShardFilter | LabelShard | None = None,
    ) -> None:
        self.resource = resource
        self.namespace = namespace
        self.watch_timeout: float | None = None
        self._asked_shard: str | None = None
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
        self.label_shard = shard if isinstance(shard, LabelShard) else None
        if self.label_shard is not None:
            self._labels = LabelSelector(self._labels.requirements + self.label_shard.labels.requirements)
        self._shard = shard if isinstance(shard, ShardFilter) else None
        self._decoder = EventDecoder()
        self._info = RequestInfo("watch", resource, namespace, selected_name(fields))

    def selects(self, entry: Entry) -> bool | None:
        """Tell whether an object is among those that are asked for; None where only the server can tell, by fields, and
        where it is another replica's.
        """
        metadata = entry.metadata
        here = self.namespace is None or metadata.namespace == self.namespace
        named = self._name is None or metadata.name == self._name
        shard = self._shard or self.label_shard
        if here and shard is not None and not shard.admits(metadata):
            return None
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
            shard=self._shard_selector,
        ):
            entries, unreadable = decode_items(page)
            if self._shard is not None:
                entries = [entry for entry in entries if self._shard.admits(entry.metadata)]
            yield Page(entries, unreadable, page.metadata.resource_version)

    async def elsewhere(self, uids: Mapping[Key, str]) -> set[Key]:
        """Return which of these objects, that we see no more, are another's now, by the labels that they have.

        One that is gone is not among them, unless there is another one of its name, and that is not ours.

        Raises:
            ScopedCacheError: a list was refused, or nobody answered.
        """
        assert self.label_shard is not None
        found: dict[Key, Metadata] = {}
        if len(uids) > ASKED_BY_NAME:
            await self._find(self.namespace, None, found)
        else:
            for namespace, name in uids:
                await self._find(namespace or None, NAME_FIELD + name, found)
        ours = self.label_shard.admits
        return {key for key in uids.keys() & found.keys() if found[key].uid == uids[key] or not ours(found[key])}

    async def _find(self, namespace: str | None, fields: str | None, found: dict[Key, Metadata]) -> None:
        async for page, _ in self._client.pages(self.resource, namespace=namespace, fields=fields, metadata_only=True):
            for entry in decode_items(page)[0]:
                found[(entry.metadata.namespace, entry.metadata.name)] = entry.metadata

    async def check(self, version: str, last: LastEvent | None, *, metadata_only: bool) -> bool:
        """Tell whether a version, and the event that was heard last before it, are of the server's history.

        One list of one object, of the state at exactly that version; etcd answers it, not a watch cache.

        Raises:
            ServerError: the server has not come there: 504, with the cause `ResourceVersionTooLarge`.
            GoneError: it does not remember.
        """
        if last is not None and self._shard is not None and not self._shard.admits(last.metadata):
            last = None  # it was given away since: what is asked for does not show it
        pages = self._client.pages(
            self.resource,
            namespace=self.namespace,
            labels=self._labels,
            fields=self._fields if last is None else self._fields_of(last.metadata),
            page=1,
            metadata_only=metadata_only,
            resource_version=version,
            shard=self._shard_selector,
        )
        async with aclosing(pages):
            page, _ = await anext(pages)
        entries, unreadable = decode_items(page)
        return last is None or bool(unreadable) or last.agrees_with([entry.metadata for entry in entries])

    def _fields_of(self, metadata: Metadata) -> str:
        """Return the fields that select one object among those that are asked for."""
        terms = [self._fields] if self._fields else []
        if self._name is None:
            terms.append(NAME_FIELD + metadata.name)
        if self.namespace is None and metadata.namespace:
            terms.append(NAMESPACE_FIELD + metadata.namespace)
        return ",".join(terms)

    @asynccontextmanager
    async def watch(self, version: str, *, initial_events: bool, metadata_only: bool) -> AsyncIterator[WatchEvents]:
        """Open a watch at a version; with `initial_events` it begins with the whole list, and lasts long enough for it.

        Raises:
            ScopedCacheError: it was refused, or nobody answered.
        """
        self.asked_timeout = self.watch_timeout or self._options.watch_timeout * (1 + self._chance())
        self._asked_shard = self._shard_selector
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
            shard=self._asked_shard,
        )
        async with opened as stream:
            async with WatchStream(stream, self._info, self._decoder, line_limit=self._options.line_limit) as batches:
                yield batches if self._shard is None else _ours(batches, self._shard)

    def failed(self, error: ScopedCacheError) -> None:
        """Take note of why a list or a watch failed: a shard that the server cannot read is not asked for again."""
        if self._shard is not None and refuses_selector(error):
            self._shard.refuse(error)

    def shown(self, snapshot: dict[Key, Entry]) -> dict[Key, Entry]:
        """Return what of a list is to be shown still: our part may be smaller than when it was asked for."""
        if self._shard is None:
            return snapshot
        return {key: entry for key, entry in snapshot.items() if self._shard.admits(entry.metadata)}

    @property
    def asked_otherwise(self) -> bool:
        """Tell whether the last watch was asked for another part than is to be asked for now."""
        return self._asked_shard != self._shard_selector

    @property
    def _shard_selector(self) -> str | None:
        return None if self._shard is None else self._shard.selector(namespaced=self.resource.namespaced)


async def _ours(batches: WatchStream, shard: ShardFilter) -> AsyncIterator[Sequence[WatchEvent]]:
    """Yield the events that concern our part, and marks: what another replica works on never enters the store."""
    async for events in batches:
        yield [event for event in events if event[0] not in _ABOUT_OBJECTS or shard.admits(event[1].metadata)]
