"""Who needs which informer, and which informer serves it: its own, or a wider one that is there anyway.

`cover` in informer_plan.py decides. A need moves from one informer to the other when the other is synced; only where
what served it is lost, it moves at once, and lists anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Protocol

import attrs

from ..api.permission import Permission
from ..errors import ScopedCacheError
from ..identity import Identity
from ..informer import Informer
from ..informer.missed_deletes import PurgedKeys
from ..kinds import Resource
from ..supervisor import Supervisor
from .informer_plan import InformerKey, cover
from .informer_pool import InformerPool

# A wider informer that nobody needs for itself any more serves for so long, while the narrower one lists.
MOVE_WITHIN_SECONDS: Final = 5.0


class Tenant(Protocol):
    """Who needs an informer. Compared by identity."""

    @property
    def may_share(self) -> bool:
        """Tell whether a wider informer will do."""

    def move(self, informer_key: InformerKey, informer: Informer) -> None:
        """What it needs is served by another informer from now on."""


@attrs.define(eq=False)
class Lease:
    """One informer that is needed, by whom, and the one that serves it. The pool knows it as a holder."""

    informer_key: InformerKey
    served_by: InformerKey
    tenants: dict[Tenant, None] = attrs.field(factory=dict)
    moves_to: InformerKey | None = None  # which it holds too, until that is synced

    @property
    def own(self) -> bool:
        """Tell whether it is served by its own informer."""
        return self.served_by == self.informer_key


_Group = dict[InformerKey, Lease]


class InformerLeases:
    """The leases of one cache."""

    def __init__(self, pool: InformerPool, supervisor: Supervisor) -> None:
        self._pool = pool
        self._supervisor = supervisor
        self._groups: dict[tuple[Resource, str | None, Identity | None], _Group] = {}
        self._by_right: dict[Permission, dict[InformerKey, None]] = {}
        self._awaited: dict[InformerKey, asyncio.Task[None]] = {}

    def acquire(self, informer_key: InformerKey, tenant: Tenant) -> Informer:
        """Return the informer that serves a need, started if none does; `tenant` keeps it until it releases it."""
        group = self._groups.setdefault(informer_key.group, {})
        lease = group.get(informer_key)
        if lease is None:
            served_by = cover(informer_key, self._ready(group)) if tenant.may_share else informer_key
            lease = group[informer_key] = Lease(informer_key, served_by)
            self._pool.acquire(served_by, lease)
            for right in informer_key.permissions:
                self._by_right.setdefault(right, {})[informer_key] = None
        lease.tenants[tenant] = None
        if not tenant.may_share and not lease.own:
            self._serve(lease, informer_key)
        self._await_wider(group, informer_key)
        informer = self._pool.running(lease.served_by)
        assert informer is not None
        return informer

    def release(self, informer_key: InformerKey, tenant: Tenant, error: Exception | None = None) -> None:
        """End one tenancy; the last one gives the informer back. `error`: what it was lost for.

        What a wider informer served as well goes on: by its own informer, at once where the wider one is lost.
        """
        group = self._groups.get(informer_key.group, {})
        lease = group.get(informer_key)
        if lease is None or tenant not in lease.tenants:
            return
        lease.tenants.pop(tenant)
        if lease.tenants:
            return
        self._end(lease, group)
        if error is not None:
            self._lose(lease, group, error)
            return
        for other in _served_by(informer_key, group):
            self._move(other, cover(other.informer_key, self._ready(group)))
        self._pool.release(lease.served_by, lease)

    def lose(self, right: Permission, error: Exception) -> set[Tenant]:
        """Close every informer that takes a right, in this step and whoever needs it: reads of it raise `error`.

        Its tenants release it when they come to it. Returns those that cannot wait: theirs is a part of what a wider
        informer shows by other rights.
        """
        keys = list(self._by_right.get(right, ()))
        leases = [self._groups[key.group][key] for key in keys]
        exposed = {tenant for lease in leases if not lease.own for tenant in lease.tenants}
        for lease in leases:
            if lease.own:
                group = self._groups[lease.informer_key.group]
                self._end(lease, group)
                self._lose(lease, group, error)
        return exposed

    def _end(self, lease: Lease, group: _Group) -> None:
        """Nobody needs a lease any more."""
        informer_key = lease.informer_key
        del group[informer_key]
        if not group:
            del self._groups[informer_key.group]
        for right in informer_key.permissions:
            keys = self._by_right[right]
            del keys[informer_key]
            if not keys:
                del self._by_right[right]
        self._end_move(lease)

    def _lose(self, lost: Lease, group: _Group, error: Exception) -> None:
        """Close what is lost, whoever it served; what it held is missing where others do not find it again."""
        covered = _served_by(lost.informer_key, group)
        for lease in covered:
            self._end_move(lease)
            self._pool.release(lease.served_by, lease, error)
        purged_keys = self._pool.release(lost.served_by, lost, error) or {}
        for lease in covered:
            lease.served_by = cover(lease.informer_key, self._ready(group))
            informer = self._pool.acquire(lease.served_by, lease, _missed(purged_keys, lease.informer_key))
            for tenant in list(lease.tenants):
                tenant.move(lease.informer_key, informer)

    def running(self, informer_key: InformerKey) -> Informer | None:
        """Return the informer that serves a need, or would."""
        return self._pool.running(self._serving(informer_key))

    def started(self, informer_key: InformerKey) -> float:
        """Return when the informer that serves a need was started, in the cache's seconds."""
        return self._pool.started(self._serving(informer_key))

    def _serving(self, informer_key: InformerKey) -> InformerKey:
        group = self._groups.get(informer_key.group, {})
        lease = group.get(informer_key)
        return cover(informer_key, self._ready(group)) if lease is None else lease.served_by

    def _ready(self, group: Mapping[InformerKey, Lease]) -> set[InformerKey]:
        """Return the informers that may serve others: needed for themselves, and synced."""
        if len(group) == 1:  # as almost everywhere: there is nobody to serve
            return {key for key in group if key.name is None and self._is_synced(key)}
        wide = (key for key, lease in group.items() if lease.own and (key.name is None or not key.metadata_only))
        return {key for key in wide if self._is_synced(key)}

    def _is_synced(self, informer_key: InformerKey) -> bool:
        informer = self._pool.running(informer_key)
        return informer is not None and informer.synced

    # -- from one informer to the other --------------------------------------------------------------------------

    def _serve(self, lease: Lease, served_by: InformerKey) -> None:
        """Let another informer serve a lease, in this step."""
        informer = self._pool.acquire(served_by, lease)
        before, lease.served_by = lease.served_by, served_by
        self._end_move(lease)
        for tenant in list(lease.tenants):
            tenant.move(lease.informer_key, informer)
        if before != served_by:
            self._pool.release(before, lease)

    def _move(self, lease: Lease, target: InformerKey) -> None:
        """Let another informer serve a lease once it is synced."""
        if target in (lease.served_by, lease.moves_to):
            return
        self._end_move(lease)
        informer = self._pool.acquire(target, lease)
        lease.moves_to = target
        if informer.synced:
            self._serve(lease, target)
        else:
            self._supervisor.start(f"move to {target}", self._move_when_synced(lease, target, informer))

    async def _move_when_synced(self, lease: Lease, target: InformerKey, informer: Informer) -> None:
        with suppress(ScopedCacheError, TimeoutError):
            async with asyncio.timeout(MOVE_WITHIN_SECONDS):
                await informer.wait_synced()
        if lease.moves_to == target and self._pool.running(target) is informer:
            self._serve(lease, target)

    def _end_move(self, lease: Lease) -> None:
        """Give back what a lease was to move to, unless it has."""
        target, lease.moves_to = lease.moves_to, None
        if target is not None and target != lease.served_by:
            self._pool.release(target, lease)

    def _await_wider(self, group: _Group, informer_key: InformerKey) -> None:
        """Have narrower leases served by a wider informer, once that is synced."""
        if len(group) == 1:
            return
        wider = [key for key in informer_key.wider if key in group]
        if any(informer_key in other.wider for other in group):
            wider.append(informer_key)
        for key in wider:
            lease = group[key]
            informer = self._pool.running(key)
            if lease.own and informer is not None and key not in self._awaited:
                task = self._supervisor.start(f"cover by {key}", self._cover_when_synced(key, informer))
                self._awaited[key] = task
                task.add_done_callback(lambda _, key=key: self._awaited.pop(key, None))  # type: ignore[misc]

    async def _cover_when_synced(self, informer_key: InformerKey, informer: Informer) -> None:
        with suppress(ScopedCacheError):
            await informer.wait_synced()
        group = self._groups.get(informer_key.group, {})
        ready = self._ready(group)
        for lease in list(group.values()):
            if all(tenant.may_share for tenant in lease.tenants):
                target = cover(lease.informer_key, ready - {lease.informer_key})
                if target in ready:
                    self._move(lease, target)

    def tenants(self, informer_key: InformerKey) -> int:
        """Return how many are served by an informer."""
        group = self._groups.get(informer_key.group, {})
        return sum(len(lease.tenants) for lease in group.values() if lease.served_by == informer_key)

    def __len__(self) -> int:
        return sum(len(group) for group in self._groups.values())


def _served_by(informer_key: InformerKey, group: _Group) -> list[Lease]:
    """Return the leases of a group that an informer serves."""
    return [lease for lease in group.values() if lease.served_by == informer_key]


def _missed(purged_keys: PurgedKeys, informer_key: InformerKey) -> PurgedKeys:
    """Return what of a wider informer's a narrower one has to ask about."""
    if informer_key.name is None:
        return dict(purged_keys)
    key = (informer_key.namespace or "", informer_key.name)
    return {key: purged_keys[key]} if key in purged_keys else {}
