"""May somebody do this here? A monitor for each identity in use, beside the one of the program's own user.

Each has its own reviews, doubts and credentials: what happens to one tells nothing of another. They share the table
of verdicts, and the budget. What an identity may do is asked as that identity, and only while we may act as it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from ..api.acting_rights import rights_to_act_as
from ..api.client import Client
from ..api.denial_origin import is_impersonation
from ..api.permission import Permission
from ..api.request_info import RequestInfo
from ..errors import ForbiddenError, ScopedCacheError
from ..identity import Identity
from ..supervisor import Supervisor
from .change_notifier import Listener
from .monitor import Monitor
from .probe_schedule import Place
from .verdict import Signal


@attrs.define(eq=False)
class _Acting:
    """One identity in use, for as long as somebody tracks a permission of its."""

    client: Client
    monitor: Monitor
    rights: tuple[Permission, ...]
    supervisor: Supervisor
    trackers: int = 0


class IdentityMonitors(Monitor):
    """The monitor of the program's own user, which leads to those of the identities that it acts as.

    Args:
        client_of: returns the client that acts as an identity.
        ended: hears of an identity that is not in use any more, before its client is closed.
        options: as for `Monitor`.
    """

    def __init__(
        self,
        client: Client,
        *,
        client_of: Callable[[Identity], Client],
        ended: Callable[[Identity], None],
        **options: Any,
    ) -> None:
        super().__init__(client, **options)
        self._options = options
        self._client_of = client_of
        self._ended = ended
        self._others: dict[Identity, _Acting] = {}
        self._ending: dict[_Acting, None] = {}  # not in use any more, and not closed yet

    def start(self, supervisor: Supervisor, listener: Listener) -> None:
        """Begin to probe; see `Monitor.start`."""
        super().start(supervisor, listener)
        for acting in self._others.values():
            self._start(acting, listener)

    def stop(self) -> None:
        """Stop listening; the tasks and clients of other identities end with `close`."""
        super().stop()
        for acting in self._others.values():
            acting.monitor.stop()

    async def close(self) -> None:
        """End what runs for other identities."""
        others, self._others = self._others, {}
        for identity in others:
            self._ended(identity)
        for acting in [*self._ending, *others.values()]:
            await self._close(acting)

    def of(self, identity: Identity | None) -> Monitor:
        """Return the monitor of what an identity may do."""
        return self if identity is None else self._acting(identity).monitor

    def track(self, permissions: Iterable[Permission]) -> None:
        for identity, wanted in _by_identity(permissions):
            if identity is None:
                super().track(wanted)
            else:
                acting = self._acting(identity)
                acting.trackers += len(wanted)
                acting.monitor.track(wanted)

    def untrack(self, permissions: Iterable[Permission]) -> None:
        for identity, wanted in _by_identity(permissions):
            if identity is None:
                super().untrack(wanted)
            elif (acting := self._others.get(identity)) is not None:
                acting.monitor.untrack(wanted)
                acting.trackers -= len(wanted)
                if not acting.trackers:
                    self._end(identity, acting)

    async def check(self, permissions: Iterable[Permission]) -> list[Any]:
        """Return verdicts about tracked permissions, first about those of the program's own user.

        Nothing is asked as somebody whom it is known that we may not act as.
        """
        wanted = list(permissions)
        groups = dict(_by_identity(wanted))
        await super().check(groups.pop(None, ()))
        able = [(identity, rights) for identity, rights in groups.items() if self._may_act_as(identity)]
        await asyncio.gather(*(self.of(identity).check(rights) for identity, rights in able))
        return self._tracked.of(wanted)

    async def wait_until_permitted(self, permissions: Iterable[Permission]) -> None:
        wanted = list(permissions)
        identity = next((right.identity for right in wanted if right.identity is not None), None)
        if identity is None or identity not in self._others:
            await super().wait_until_permitted(wanted)
        else:
            await self.of(identity).wait_until_permitted(wanted)

    def use(self, place: Place, identity: Identity | None = None) -> None:
        if identity is None:
            super().use(place)
        elif (acting := self._others.get(identity)) is not None:
            acting.monitor.use(place)

    def await_yes(self, permission: Permission) -> None:
        if permission.identity is None:
            super().await_yes(permission)
        else:
            self.of(permission.identity).await_yes(permission)

    def take(self, permission: Permission, signal: Signal, now: float | None = None) -> None:
        if permission.identity is None:
            super().take(permission, signal, now)
        elif (acting := self._others.get(permission.identity)) is not None:
            acting.monitor.take(permission, signal, now)

    def hint(self, place: Place) -> None:
        super().hint(place)
        for acting in list(self._others.values()):
            acting.monitor.hint(place)

    @property
    def bound(self) -> float:
        return max(super().bound, *(acting.monitor.bound for acting in self._others.values()), 0.0)

    @property
    def server_away(self) -> bool:
        return super().server_away or any(acting.monitor.server_away for acting in self._others.values())

    @property
    def identities(self) -> tuple[Identity, ...]:
        """Return the identities in use."""
        return tuple(self._others)

    def client_of(self, identity: Identity) -> Client:
        """Return the client of an identity in use."""
        return self._acting(identity).client

    def _acting(self, identity: Identity) -> _Acting:
        acting = self._others.get(identity)
        if acting is None:
            client = self._client_of(identity)
            monitor = Monitor(client, **self._options, shared=self._shared)
            monitor.expect_events(lambda: self._events_live())
            client.add_observer(_Refusals(self, identity))
            supervisor = Supervisor(f"acting as {identity}")
            acting = _Acting(client, monitor, rights_to_act_as(identity), supervisor)
            self._others[identity] = acting
            if self._supervisor is not None and self._changes.listener is not None:
                self._start(acting, self._changes.listener)
        return acting

    def _start(self, acting: _Acting, listener: Listener) -> None:
        acting.monitor.start(acting.supervisor, listener)

    def _end(self, identity: Identity, acting: _Acting) -> None:
        del self._others[identity]
        acting.monitor.stop()
        self._ended(identity)
        self._ending[acting] = None
        if self._supervisor is not None:
            self._supervisor.start(f"stop acting as {identity}", self._close(acting))

    async def _close(self, acting: _Acting) -> None:
        await acting.supervisor.close()
        await acting.client.close()
        self._ending.pop(acting, None)

    def _may_act_as(self, identity: Identity | None) -> bool:
        rights = self._tracked.of(rights_to_act_as(identity))
        return not any(verdict.denying for verdict in rights)

    def doubt(self, identity: Identity) -> None:
        """A request as an identity was refused for want of our own right: review that right soon."""
        for right in rights_to_act_as(identity):
            self._probes.bring_forward(right.namespace, self._timer())


@attrs.frozen
class _Refusals:
    """Hears how the requests of an identity end."""

    monitors: IdentityMonitors
    identity: Identity

    def observed(self, info: RequestInfo, error: ScopedCacheError | None) -> None:
        if isinstance(error, ForbiddenError) and is_impersonation(error):
            self.monitors.doubt(self.identity)


def _by_identity(permissions: Iterable[Permission]) -> list[tuple[Identity | None, list[Permission]]]:
    groups: dict[Identity | None, list[Permission]] = {}
    for permission in permissions:
        groups.setdefault(permission.identity, []).append(permission)
    return list(groups.items())
