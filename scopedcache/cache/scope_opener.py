"""From an owner and kinds to an open scope."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..identity import As, Identity, ServiceAccount
from ..kinds import Kind
from ..needs import Need
from ..objects import Object
from .home_loop import HomeLoop
from .owner import OwnerId
from .resource_cache import ResourceCache
from .scope_table import ScopeTable

# As whom an owner's scope is served; None: as the program's own user.
IdentityOf = Callable[[Object], Identity | None]


class ScopeOpener:
    """Opens scopes for owners; `wait` is the number of seconds that an opening waits where nobody says otherwise."""

    def __init__(self, table: ScopeTable, home: HomeLoop, wait: float, identity: IdentityOf | None = None) -> None:
        self._table = table
        self._identity = identity
        self._home = home
        self._wait = wait

    async def open(
        self, owner: Object | OwnerId, needs: Iterable[Kind | Need], namespace: str | None, wait: float | None
    ) -> ResourceCache:
        """Open what an owner needs in a namespace, None for the whole cluster; raises what `ScopedCache.open` does."""
        self._home.check_running()
        identity = None if self._identity is None else self._identity_of(owner, self._identity)
        who = owner if isinstance(owner, OwnerId) else OwnerId.of(owner)
        if not self._table.is_open(who.uid, namespace) and await self._table.turns.take(who.uid, namespace):
            self._home.check_running()
        binding = self._table.of(who, namespace, identity)
        wanted = [Need.of(need) for need in needs]
        return await self._table.open(binding, wanted, wait=self._wait if wait is None else wait)

    def _identity_of(self, owner: Object | OwnerId, identity_of: IdentityOf) -> Identity | None:
        """Ask as whom an owner is to be served; without its object, it is as before.

        Raises:
            ValueError: nothing is known of it, and its object is not here to be asked about.
            TypeError: the answer is no identity.
        """
        if isinstance(owner, OwnerId):
            if not self._table.has_scopes(owner.uid):
                raise ValueError(
                    f"as whom {owner} is served is told by its object: open with that, not with its OwnerId"
                )
            return self._table.identity_of(owner.uid)
        identity = identity_of(owner)
        if identity is not None and not isinstance(identity, As | ServiceAccount):
            raise TypeError(
                f"identity= returned {identity!r} for {OwnerId.of(owner)}: an As, a ServiceAccount, or None"
            )
        return identity
