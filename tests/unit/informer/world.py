"""An informer between a server that the test plays and a handler that notes what it hears."""

from __future__ import annotations

from typing import Any

from scopedcache.api.client import Client
from scopedcache.errors import ScopedCacheError
from scopedcache.informer import EventHandler, Informer
from scopedcache.objects import Object
from scopedcache.supervisor import Supervisor
from tests.unit.clock import idle, now
from tests.unit.informer.events import PODS, bookmark
from tests.unit.informer.fake_transport import FakeTransport, Watch


class Heard:
    """What a handler was told, in short: `+x@1`, `x@1→2`, `-x@2`; `!` marks the first list, `?` an unseen removal."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.handler = EventHandler(on_add=self._added, on_update=self._updated, on_delete=self._deleted)

    def _added(self, obj: Object, initial: bool) -> None:
        self.words.append(f"+{obj.name}@{obj.resource_version}" + "!" * initial)

    def _updated(self, old: Object, new: Object) -> None:
        self.words.append(f"{new.name}@{old.resource_version}→{new.resource_version}")

    def _deleted(self, obj: Object, unknown: bool) -> None:
        self.words.append(f"-{obj.name}@{obj.resource_version}" + "?" * unknown)

    def take(self) -> list[str]:
        """Return what was told since the last time."""
        words, self.words = self.words, []
        return words


class World:
    """One informer, its server, and what it tells. Luck is always the smallest: pauses are exact."""

    def __init__(self, **options: Any) -> None:
        self.server = FakeTransport()
        self.client = Client(self.server)
        self.supervisor = Supervisor("test")
        self.heard = Heard()
        self.informer = self.make(**options)
        self.informer.add_handler(self.heard.handler)

    def make(self, **options: Any) -> Informer:
        """Return another informer on the same server."""
        asked = {"namespace": "a", "timer": now, "chance": lambda: 0.0, **options}
        return Informer(self.client, asked.pop("resource", PODS), **asked)

    def start(self) -> None:
        self.informer.start(self.supervisor)

    async def begin(self, *lines: bytes, version: int | str = 10) -> Watch:
        """Start the informer, give it its first list, and return the watch that goes on."""
        self.start()
        return await self.list(*lines, version=version)

    async def list(self, *lines: bytes, version: int | str = 10) -> Watch:
        """Answer the next watch with a list."""
        watch = (await self.server.watched()).accept(*lines, bookmark(version, end=True))
        await idle()
        return watch

    async def confirm(self, *objects: dict[str, Any], version: int | str = 10, name: str | None = None) -> None:
        """Answer the question whether the history is still the one that was seen, with the objects that there were."""
        asked = await self.server.asked()
        about = None if name is None else f"metadata.name={name}"
        wanted = (str(version), "Exact", "1", about)
        query = asked.query
        assert (
            query["resourceVersion"],
            query["resourceVersionMatch"],
            query["limit"],
            query.get("fieldSelector"),
        ) == wanted
        asked.answer({"kind": "PodList", "metadata": {"resourceVersion": str(version)}, "items": list(objects)})

    @property
    def held(self) -> dict[str, str]:
        """Return what the cache shows: names and versions."""
        return {obj.name: obj.resource_version for obj in self.informer.list()}

    async def end(self) -> None:
        self.informer.close(ScopedCacheError("the test is over"))
        await self.supervisor.close()
