"""From an owner and kinds to an open scope."""

from __future__ import annotations

from collections.abc import Iterable

from ..kinds import Kind
from ..needs import Need
from .home_loop import HomeLoop
from .owner import OwnerId
from .resource_cache import ResourceCache
from .scope_table import ScopeTable


class ScopeOpener:
    """Opens scopes for owners; `wait` is the number of seconds that an opening waits where nobody says otherwise."""

    def __init__(self, table: ScopeTable, home: HomeLoop, wait: float) -> None:
        self._table = table
        self._home = home
        self._wait = wait

    async def open(
        self, owner: OwnerId, needs: Iterable[Kind | Need], namespace: str | None, wait: float | None
    ) -> ResourceCache:
        """Open what an owner needs in a namespace, None for the whole cluster; raises what `ScopedCache.open` does."""
        self._home.check_running()
        binding = self._table.of(owner, namespace)
        wanted = [Need.of(need) for need in needs]
        return await self._table.open(binding, wanted, wait=self._wait if wait is None else wait)
