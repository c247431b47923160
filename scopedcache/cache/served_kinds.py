"""Which of the kinds that somebody needs are served: asked until they are, and again after a 404.

A kind whose CRD is not installed, or that offers no `watch`, is a wait like a missing right: nobody has to do anything
for it to be there, or there again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import attrs

from ..api.discovery import Discovery
from ..backoff import Backoff
from ..clock import loop_time
from ..errors import ForbiddenError, ScopedCacheError, UnknownKindError
from ..event_logger import event_logger
from ..kinds import Kind, Resource
from ..supervisor import Supervisor

logger: Final = event_logger("scopedcache.cache")

# Discovery itself asks the server no more than every two seconds, a document or two each time.
ASK_EVERY_SECONDS: Final = 2.5
JITTER_FRACTION: Final = 0.8
# Between two answers that say that a kind which is shown is not served any more: one replica may lag behind another.
CONFIRM_AFTER_SECONDS: Final = 2.0


class KindListener(Protocol):
    """Hears what discovery says."""

    async def kind_served(self, kind: Kind, resource: Resource) -> None:
        """An awaited kind is served."""

    async def kind_unserved(self, kind: Kind, error: UnknownKindError) -> None:
        """An awaited kind is not; a Resource that was doubted: it is not any more."""

    def is_doubted(self, resource: Resource) -> bool:
        """Tell whether requests for a resource meet a 404."""

    def is_shown(self, resource: Resource) -> bool:
        """Tell whether there is something to lose."""


@attrs.define(eq=False)
class _AwaitedKind:
    """A kind that somebody needs and that is not known to be served."""

    since: float
    count: int = 0
    answered: asyncio.Event = attrs.field(factory=asyncio.Event)
    error: UnknownKindError | None = None
    trouble: ScopedCacheError | None = None
    task: asyncio.Task[None] | None = None


class ServedKinds:
    """Asks discovery for a cache."""

    def __init__(
        self,
        discovery: Discovery,
        supervisor: Supervisor,
        listener: KindListener,
        *,
        timer: Callable[[], float] = loop_time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._discovery = discovery
        self._supervisor = supervisor
        self._listener = listener
        self._timer = timer
        self._chance = chance
        self._awaited: dict[Kind, _AwaitedKind] = {}
        self._doubted: dict[Resource, asyncio.Task[None]] = {}

    def known(self, kind: Kind) -> Resource | None:
        """Return the resource of a kind, None where discovery has to be asked, or offers too little."""
        resource = self._discovery.known(kind)
        return None if resource is None or resource.missing_verbs else resource

    # -- kinds that are not there --------------------------------------------------------------------------------

    def add(self, kind: Kind) -> None:
        """Find out whether a kind is served, and go on asking until it is; each `add` is ended by one `drop`."""
        awaited = self._awaited.get(kind)
        if awaited is None:
            awaited = self._awaited[kind] = _AwaitedKind(self._timer())
            awaited.task = self._supervisor.start_guarded(f"kind {kind}", lambda: self._follow(kind, awaited))
        awaited.count += 1

    def drop(self, kind: Kind) -> None:
        awaited = self._awaited[kind]
        awaited.count -= 1
        if not awaited.count:
            del self._awaited[kind]
            awaited.answered.set()
            if awaited.task is not None and awaited.task is not asyncio.current_task():
                awaited.task.cancel()

    async def wait_answered(self, kinds: Iterable[Kind]) -> None:
        """Wait until discovery has answered about all of these, whatever it said."""
        for awaited in [self._awaited[kind] for kind in kinds if kind in self._awaited]:
            await awaited.answered.wait()

    def error(self, kind: Kind) -> UnknownKindError | None:
        """Return what discovery said about an awaited kind, None where it has not answered."""
        awaited = self._awaited.get(kind)
        return None if awaited is None else awaited.error

    def trouble(self, kind: Kind) -> ScopedCacheError | None:
        """Return why discovery has not answered, None where nothing is known of that."""
        awaited = self._awaited.get(kind)
        return None if awaited is None else awaited.trouble

    def asked_since(self, kind: Kind) -> float:
        """Return when an awaited kind was asked for first."""
        awaited = self._awaited.get(kind)
        return self._timer() if awaited is None else awaited.since

    async def _follow(self, kind: Kind, awaited: _AwaitedKind) -> None:
        backoff = Backoff(cap=ASK_EVERY_SECONDS, chance=self._chance)
        name = kind.gvr if isinstance(kind, Resource) else kind  # a Resource is taken at its word
        while True:
            try:
                resource = await self._discovery.resolve_watchable(name)
            except UnknownKindError as error:
                if awaited.error is None:
                    logger.warning("kind.not_served", extra={"kind": str(kind), "error": str(error)})
                awaited.error, awaited.trouble = _awaited_error(error), None
                await self._listener.kind_unserved(kind, awaited.error)
                awaited.answered.set()
                await asyncio.sleep(ASK_EVERY_SECONDS * (1 + JITTER_FRACTION * self._chance()))
            except ScopedCacheError as error:
                awaited.trouble = error
                await asyncio.sleep(backoff.next())
            else:
                if awaited.error is not None:
                    logger.info("kind.served", extra={"kind": str(kind)})
                await self._listener.kind_served(kind, resource)
                return

    # -- kinds that were there -----------------------------------------------------------------------------------

    def doubt(self, resource: Resource) -> None:
        """A request for a resource met a 404: find out whether it is still served."""
        if resource not in self._doubted:
            task = self._supervisor.start(f"doubt {resource}", self._verify(resource))
            self._doubted[resource] = task
            task.add_done_callback(lambda _: self._doubted.pop(resource, None))

    async def _verify(self, resource: Resource) -> None:
        denied = False
        while self._listener.is_doubted(resource):
            self._discovery.forget(resource.gvr.group)
            try:
                await self._discovery.resolve_watchable(resource.gvr)
                denied = False
            except UnknownKindError as error:
                if not isinstance(error.__cause__, ForbiddenError):
                    if denied or not self._listener.is_shown(resource):
                        await self._listener.kind_unserved(resource, _awaited_error(error))
                        return
                    denied = True
            except ScopedCacheError:
                pass  # no answer
            await asyncio.sleep(CONFIRM_AFTER_SECONDS)

    def __len__(self) -> int:
        return len(self._awaited)

    def __repr__(self) -> str:
        return f"<ServedKinds awaited={len(self)} doubted={len(self._doubted)}>"


def _awaited_error(error: UnknownKindError) -> UnknownKindError:
    return UnknownKindError(str(error), awaited=True)
