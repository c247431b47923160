"""Which kinds the server serves: names to resources, asked group by group and remembered for a while.

A kind that is not known (a CRD not installed yet) is asked for again, at most once per document and `RETRY_SECONDS`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from difflib import get_close_matches
from typing import Any, Final, TypeVar

import attrs
import cachetools
import msgspec

from ..built_in_names import BUILT_IN_NAMES, CORE_PLURALS
from ..clock import loop_time
from ..errors import (
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    ProtocolError,
    ScopedCacheError,
    ServerError,
    TooManyRequestsError,
    TransportError,
    UnknownKindError,
)
from ..kinds import GVK, GVR, Kind, Resource, meanings
from .denial_origin import is_impersonation

# New versions of a group appear rarely; kubectl keeps its discovery for six hours, client-go's mapper until a miss.
TTL_SECONDS: Final = 600.0
RETRY_SECONDS: Final = 2.0
# Pauses after which a refused document is asked for again: a server that has just started refuses everybody for about
# a second (semantics §7), and there is no right on a kind behind this that could be awaited.
REFUSED_PAUSES_SECONDS: Final = (1.0, 2.0)

# Fetches a discovery document by path; raises NotFoundError where there is none.
Fetch = Callable[[str], Awaitable[bytes]]

T = TypeVar("T")


@attrs.frozen
class _Answer:
    """A discovery document as it was at a time; `body` None where there was none."""

    body: bytes | None
    at: float


class _APIResource(msgspec.Struct, rename="camel"):
    name: str
    kind: str
    # Go writes a nil slice as null; others write null for whatever is empty.
    namespaced: bool | None = False
    singular_name: str | None = ""
    verbs: list[str | None] | None = None
    short_names: list[str | None] | None = None


class _APIResourceList(msgspec.Struct):
    resources: list[msgspec.Raw] | None = None


class _Version(msgspec.Struct, rename="camel"):
    version: str | None = None


class _APIGroup(msgspec.Struct, rename="camel"):
    versions: list[_Version | None] | None = None
    preferred_version: _Version | None = None


_group = msgspec.json.Decoder(_APIGroup).decode
_resource_list = msgspec.json.Decoder(_APIResourceList).decode
_api_resource = msgspec.json.Decoder(_APIResource).decode
# What may be wrong with one document alone: an aggregated server that is down, or that answers with anything else.
_OF_ONE_DOCUMENT: Final = (
    ForbiddenError, InvalidError, GoneError, ConflictError, NotFoundError, TooManyRequestsError, ServerError,
    ProtocolError, TransportError,
)  # fmt: skip


class Discovery:
    """Turn a kind, however it is written, into the `Resource` the server serves."""

    def __init__(self, fetch: Fetch, *, timer: Callable[[], float] = loop_time) -> None:
        self._fetch = fetch
        self._timer = timer
        self._answers: cachetools.TTLCache[str, _Answer] = cachetools.TTLCache(256, TTL_SECONDS, timer=timer)
        self._flights: dict[str, asyncio.Task[_Answer]] = {}
        self._ended = asyncio.Event()
        self._known: cachetools.TTLCache[Kind, Resource] = cachetools.TTLCache(1024, TTL_SECONDS, timer=timer)

    def known(self, kind: Kind) -> Resource | None:
        """Return what is remembered, without asking."""
        return kind if isinstance(kind, Resource) else self._known.get(kind)

    def forget(self, group: str) -> None:
        """Ask anew for the kinds of a group from now on (a CRD was installed, changed or removed)."""
        path = f"/apis/{group}" if group else "/api/v1"
        for known in [known for known in self._answers if known == path or known.startswith(f"{path}/")]:
            self._answers.pop(known, None)
        for kind in [kind for kind, resource in self._known.items() if resource.gvr.group == group]:
            self._known.pop(kind, None)

    def end(self) -> None:
        """Pause no more: there is no transport any longer, and whoever waits is to hear that at once."""
        self._ended.set()

    async def resolve(self, kind: Kind) -> Resource:
        """Return the resource of a kind; waits for discovery where it is not remembered.

        A kind is a string (`pods`, `deployments.apps`, `deployments.v1.apps`, `memcacheds.cache.example.com`, also by
        singular or Kind name; `apps/v1/Deployment`; kinds of Kubernetes itself without their group and by short names:
        `deployments`, `deploy`), a GVK or a GVR (an empty version is the server's preferred one), or a Resource.

        Raises:
            UnknownKindError: the server does not serve it, or refuses to say; names what to check.
        """
        known = self.known(kind)
        if known is None:
            known = self._known[kind] = await self._resolve(kind)
        return known

    async def resolve_watchable(self, kind: Kind) -> Resource:
        """Return the resource of a kind that can be listed and watched. See `resolve`.

        Raises:
            UnknownKindError: the server does not serve it, or offers no list or watch of it.
        """
        known = self.known(kind)
        if known is not None and known.missing_verbs:
            self.forget(known.gvr.group)  # it may offer more by now
        resource = await self.resolve(kind)
        if resource.missing_verbs:
            missing = " and no ".join(resource.missing_verbs)
            raise UnknownKindError(f"the API server offers no {missing} of {kind}: it cannot be cached")
        return resource

    async def _resolve(self, kind: Kind) -> Resource:
        trouble: ScopedCacheError | None = None
        for group, version, name in _interpretations(kind):
            try:
                resource = await self._search(group, version, name)
            except _OF_ONE_DOCUMENT as error:
                trouble = trouble or error
                continue
            if resource is not None:
                return resource
        if isinstance(trouble, ForbiddenError) and not is_impersonation(trouble):
            raise UnknownKindError(
                f"cannot find out whether the API server serves {kind}: {trouble}; "
                "the ClusterRole `system:discovery` gives that right"
            ) from trouble
        if trouble is not None:
            raise trouble
        raise UnknownKindError(
            f"the API server does not serve {kind}{self._did_you_mean(kind)}; "
            "write it as plural.group (`deployments.apps`), and check that its CRD is installed"
        )

    def _did_you_mean(self, kind: Kind) -> str:
        """Return a question about a string that resembles a built-in kind, or one of a group that was looked at."""
        if not isinstance(kind, str):
            return ""
        likely = {name: f"{plural}.{group}".rstrip(".") for name, (group, plural) in BUILT_IN_NAMES.items()}
        likely |= {name: name for name in (*likely.values(), *CORE_PLURALS, *self._plurals())}
        close = get_close_matches(kind.strip().lower(), likely, n=1, cutoff=0.75)
        return f" (did you mean `{likely[close[0]]}`?)" if close else ""

    def _plurals(self) -> Iterable[str]:
        """Yield `plural.group` of every kind in the documents at hand."""
        for path, answer in list(self._answers.items()):
            group = path.removeprefix("/apis/").rpartition("/")[0] if path.startswith("/apis/") else ""
            if answer.body is None or not (group or path == "/api/v1"):
                continue
            with suppress(ProtocolError):
                for entry in _served(_read(answer.body, _resource_list).resources or ()):
                    if "/" not in entry.name:
                        yield f"{entry.name}.{group}".rstrip(".")

    async def _search(self, group: str, version: str, name: str) -> Resource | None:
        """Return the resource of a name in a group; what is wrong with one version hides none of the others.

        Raises:
            ScopedCacheError: it is not where it could be looked for, and one version could not be asked.
        """
        troubles: dict[str, ScopedCacheError] = {}
        for again in (False, True):
            for candidate in [version] if version else await self._versions(group, again):
                if candidate in troubles:
                    continue
                try:
                    resource = await self._search_version(group, candidate, name, again)
                except _OF_ONE_DOCUMENT as error:
                    troubles[candidate] = error
                    continue
                if resource is not None:
                    return resource
        for trouble in troubles.values():
            raise trouble
        return None

    async def _versions(self, group: str, again: bool) -> list[str]:
        if not group:
            return ["v1"]
        body = await self._document(f"/apis/{group}", again)
        if body is None:
            return []
        api_group = _read(body, _group)
        listed = [api_group.preferred_version, *(api_group.versions or ())]
        return list(dict.fromkeys(one.version for one in listed if one is not None and one.version))

    async def _search_version(self, group: str, version: str, name: str, again: bool) -> Resource | None:
        body = await self._document(f"/apis/{group}/{version}" if group else f"/api/{version}", again)
        if body is None:
            return None
        served = _served(_read(body, _resource_list).resources or ())
        entry = _find(served, name)
        return _resource(group, version, entry, served) if entry is not None else None

    async def _document(self, path: str, again: bool) -> bytes | None:
        """Return a document, None where there is none.

        What is not there, and with `again` what is, is asked for anew, unless that was done just now.
        """
        answer = self._answers.get(path)
        if answer is None or ((again or answer.body is None) and self._timer() - answer.at >= RETRY_SECONDS):
            answer = await self._fetch_once(path)
        return answer.body

    async def _fetch_once(self, path: str) -> _Answer:
        flight = self._flights.get(path)
        if flight is None:
            flight = self._flights[path] = asyncio.ensure_future(self._fetch_now(path))
            flight.add_done_callback(lambda done: self._forget_flight(path, done))
        return await asyncio.shield(flight)

    async def _fetch_now(self, path: str) -> _Answer:
        for pause in REFUSED_PAUSES_SECONDS:
            with suppress(ForbiddenError):
                return await self._ask(path)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._ended.wait()
        return await self._ask(path)

    async def _ask(self, path: str) -> _Answer:
        body: bytes | None
        try:
            body = await self._fetch(path)
        except NotFoundError:
            body = None
        answer = self._answers[path] = _Answer(body, self._timer())
        return answer

    def _forget_flight(self, path: str, done: asyncio.Task[Any]) -> None:
        self._flights.pop(path, None)
        if not done.cancelled():
            done.exception()  # each waiter has it; nobody may be left to hear it


def _interpretations(kind: Kind) -> Iterable[tuple[str, str, str]]:
    """Yield (group, version, name) for every way a kind can be understood, likeliest first."""
    match kind:
        case GVK():
            yield kind.group, kind.version, kind.kind
        case GVR():
            yield kind.group, kind.version, kind.resource
        case Resource():
            yield kind.gvr.group, kind.gvr.version, kind.gvr.resource
        case str():
            yield from meanings(kind)


def _read(body: bytes, decode: Callable[[bytes], T]) -> T:
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"the answer is not a discovery document: {error}") from error


def _served(resources: Iterable[msgspec.Raw]) -> list[_APIResource]:
    """Read the entries of a document; one that cannot be read hides none of the others."""
    served = []
    for raw in resources:
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            served.append(_api_resource(raw))
    return served


def _find(served: list[_APIResource], name: str) -> _APIResource | None:
    plain = [entry for entry in served if "/" not in entry.name]
    lower = name.lower()
    if not lower:  # old servers leave out the singular names of built-in kinds
        return None
    return next(
        (e for e in plain if e.name == name),
        next((e for e in plain if lower in (e.singular_name, e.kind.lower()) or name in (e.short_names or ())), None),
    )


def _resource(group: str, version: str, entry: _APIResource, served: list[_APIResource]) -> Resource:
    prefix = f"{entry.name}/"
    return Resource(
        gvr=GVR(group, version, entry.name),
        gvk=GVK(group, version, entry.kind),
        namespaced=bool(entry.namespaced),
        verbs=frozenset(verb for verb in entry.verbs or () if verb),
        subresources=frozenset(e.name.removeprefix(prefix) for e in served if e.name.startswith(prefix)),
    )
