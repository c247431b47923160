"""Which kinds the server serves: names to resources, asked group by group and remembered for a while.

A kind that is not known (a CRD not installed yet) is asked for again, at most once per `RETRY` seconds and group.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import cachetools
import msgspec

from ..errors import NotFoundError, UnknownKindError
from ..objects import GVK, GVR, Kind, Resource

# New versions of a group appear rarely; kubectl keeps its discovery for six hours, client-go's mapper until a miss.
TTL = 600.0
RETRY = 2.0

# Fetches a discovery document by path; raises NotFoundError where there is none.
Fetch = Callable[[str], Awaitable[bytes]]


class _APIResource(msgspec.Struct, rename="camel"):
    name: str
    kind: str
    namespaced: bool
    singular_name: str = ""
    verbs: list[str] = []
    short_names: list[str] = []


class _APIResourceList(msgspec.Struct):
    resources: list[_APIResource] = []


class _Version(msgspec.Struct, rename="camel"):
    version: str


class _APIGroup(msgspec.Struct, rename="camel"):
    name: str = ""
    versions: list[_Version] = []
    preferred_version: _Version | None = None


class _APIGroupList(msgspec.Struct):
    groups: list[_APIGroup] = []


class Discovery:
    """Turn a kind, however it is written, into the `Resource` the server serves."""

    def __init__(self, fetch: Fetch, *, timer: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._timer = timer
        self._documents: cachetools.TTLCache[str, bytes] = cachetools.TTLCache(256, TTL, timer=timer)
        self._asked: dict[str, float] = {}
        self._flights: dict[str, asyncio.Task[bytes]] = {}
        self._known: cachetools.TTLCache[Kind, Resource] = cachetools.TTLCache(1024, TTL, timer=timer)

    def known(self, kind: Kind) -> Resource | None:
        """Return what is remembered, without asking."""
        return kind if isinstance(kind, Resource) else self._known.get(kind)

    def forget(self) -> None:
        """Ask anew for everything from now on (a CRD was installed, changed or removed)."""
        self._documents.clear()
        self._known.clear()
        self._asked.clear()

    async def resolve(self, kind: Kind) -> Resource:
        """Return the resource of a kind; waits for discovery where it is not remembered.

        A kind is a string (`pods`, `deployments.apps`, `deployments.v1.apps`, `memcacheds.cache.example.com`, also by
        singular or Kind name), a GVK or a GVR (an empty version is the server's preferred one), or a Resource.

        Raises:
            UnknownKindError: the server does not serve it; names what to check.
        """
        known = self.known(kind)
        if known is None:
            known = self._known[kind] = await self._resolve(kind)
        return known

    async def _resolve(self, kind: Kind) -> Resource:
        for group, version, name in _readings(kind):
            found = await self._search(group, version, name)
            if found is not None:
                return found
        raise UnknownKindError(
            f"the API server does not serve {kind}; write it as plural.group (`deployments.apps`), "
            "and check that its CRD is installed"
        )

    async def _search(self, group: str, version: str, name: str) -> Resource | None:
        versions = [version] if version else await self._versions(group)
        for candidate in versions:
            served = await self._resources(group, candidate, name)
            if served is not None:
                return served
        return None

    async def _versions(self, group: str) -> list[str]:
        if not group:
            return ["v1"]
        body = await self._document(f"/apis/{group}")
        if body is None:
            return []
        found = msgspec.json.decode(body, type=_APIGroup)
        preferred = [found.preferred_version.version] if found.preferred_version else []
        return preferred + [v.version for v in found.versions if v.version not in preferred]

    async def _resources(self, group: str, version: str, name: str) -> Resource | None:
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        for again in (False, True):
            body = await self._document(path, again=again)
            if body is None:
                return None
            served = msgspec.json.decode(body, type=_APIResourceList).resources
            found = _find(served, name)
            if found is not None:
                return _resource(group, version, found, served)
        return None

    async def _document(self, path: str, *, again: bool = False) -> bytes | None:
        """Return a document; `again` asks the server although it is remembered, if it was not asked just now."""
        asked = self._asked.get(path, float("-inf"))
        recent = self._timer() - asked < RETRY
        if path in self._documents and (not again or recent):
            return self._documents[path]
        try:
            return await self._fetch_once(path)
        except NotFoundError:
            self._documents.pop(path, None)
            return None

    async def _fetch_once(self, path: str) -> bytes:
        flight = self._flights.get(path)
        if flight is None:
            flight = self._flights[path] = asyncio.ensure_future(self._fetch_now(path))
            flight.add_done_callback(lambda done: self._landed(path, done))
        return await asyncio.shield(flight)

    async def _fetch_now(self, path: str) -> bytes:
        body = await self._fetch(path)
        self._asked[path] = self._timer()
        self._documents[path] = body
        return body

    def _landed(self, path: str, done: asyncio.Task[Any]) -> None:
        self._flights.pop(path, None)
        if not done.cancelled():
            done.exception()  # each waiter has it; nobody may be left to hear it


def _readings(kind: Kind) -> Iterable[tuple[str, str, str]]:
    """Yield (group, version, name) for every way a kind can be read, likeliest first."""
    match kind:
        case GVK():
            yield kind.group, kind.version, kind.kind
        case GVR():
            yield kind.group, kind.version, kind.resource
        case Resource():
            yield kind.gvr.group, kind.gvr.version, kind.gvr.resource
        case str():
            name, _, rest = kind.strip().partition(".")
            yield rest, "", name
            version, _, group = rest.partition(".")
            if version.startswith("v") and version[1:2].isdecimal():
                yield group, version, name


def _find(served: list[_APIResource], name: str) -> _APIResource | None:
    plain = [entry for entry in served if "/" not in entry.name]
    lower = name.lower()
    return next(
        (e for e in plain if e.name == name),
        next((e for e in plain if lower in (e.singular_name, e.kind.lower()) or name in e.short_names), None),
    )


def _resource(group: str, version: str, found: _APIResource, served: list[_APIResource]) -> Resource:
    prefix = f"{found.name}/"
    return Resource(
        gvr=GVR(group, version, found.name),
        gvk=GVK(group, version, found.kind),
        namespaced=found.namespaced,
        verbs=frozenset(found.verbs),
        subresources=frozenset(e.name.removeprefix(prefix) for e in served if e.name.startswith(prefix)),
    )
