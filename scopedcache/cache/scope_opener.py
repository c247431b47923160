"""From an owner and kinds to an open scope: asks discovery where it has to, and the table for the rest."""

from __future__ import annotations

from collections.abc import Iterable

from ..api.discovery import Discovery
from ..kinds import Kind
from ..needs import Need
from .home_loop import HomeLoop
from .owner import OwnerId
from .resource_cache import ResourceCache
from .scope_table import Needs, ScopeTable


class ScopeOpener:
    """Opens scopes for owners."""

    def __init__(self, table: ScopeTable, discovery: Discovery, home: HomeLoop) -> None:
        self._table = table
        self._discovery = discovery
        self._home = home

    async def open(self, owner: OwnerId, needs: Iterable[Kind | Need], namespace: str | None) -> ResourceCache:
        """Open what an owner needs in a namespace, None for the whole cluster; raises what `ScopedCache.open` does."""
        self._home.check_running()
        self._table.deleted_owners.check(owner)
        wanted = [Need.of(need) for need in needs]
        known = self._known(wanted)
        if known is None:
            with self._table.opening_guard.arrival(owner):
                known = await self._resolve(wanted)
        return await self._table.open(self._table.of(owner, namespace), known)

    def _known(self, needs: Iterable[Need]) -> Needs | None:
        """Return the needs with their resources, None where discovery has to be asked."""
        known = []
        for need in needs:
            resource = self._discovery.known(need.kind)
            if resource is None:
                return None
            known.append((resource, need))
        return known

    async def _resolve(self, needs: Iterable[Need]) -> Needs:
        return [(await self._discovery.resolve(need.kind), need) for need in needs]
