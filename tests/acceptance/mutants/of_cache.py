"""Defects of what is held: scopes and their informers, handles, routes, the snapshot; and of the loops around them."""

from __future__ import annotations

from .mutant import Edit, Mutant

FEED = "scopedcache/controller/event_sources.py"
INFORMER = "scopedcache/informer/informer.py"
MANAGER = "scopedcache/controller/manager/manager.py"
OUTCOME = "scopedcache/controller/outcome.py"
PLAN = "scopedcache/cache/informer_plan.py"
POOL = "scopedcache/cache/informer_pool.py"
RESOURCE_CACHE = "scopedcache/cache/resource_cache.py"
SCOPES = "scopedcache/cache/scope_table.py"
SNAPSHOT = "scopedcache/cache/snapshot.py"

HELD = "before, held = scope.held.get(resource), self._held(resource, need, scope.namespace)\n"

MUTANTS = (
    Mutant(
        "the informers of a scope are not routed to its owner",
        ("5", "X3", "X7"),
        (
            Edit(
                SCOPES,
                "            held.informer.router.add(scope, ",
                "            held.informer.router.remove(scope, ",
            ),
        ),
    ),
    Mutant(
        "a scope counts as open before its first lists are there",
        ("5",),
        (Edit(SCOPES, "                await self._synced(scope, held)\n", "                pass\n"),),
    ),
    Mutant(
        "a handle goes on showing the last copy after the loss",
        ("9a.2",),
        (
            Edit(
                RESOURCE_CACHE,
                "        self._views = {}\n        self._owned = {}\n        self._error",
                "        self._error",
            ),
            Edit(
                INFORMER,
                '        self._state = "closed"\n        self._readable = False\n',
                '        self._state = "closed"\n',
            ),
            Edit(INFORMER, "purged_keys = self._store.purge()", "purged_keys: PurgedKeys = {}"),
        ),
    ),
    Mutant(
        "a scope that is denied or closed keeps its informers",
        ("9a.1", "9a.4", "10", "X3"),
        (Edit(SCOPES, "        self._pool.release(held.informer_key, scope, error)\n", ""),),
    ),
    Mutant(
        "the snapshot shows no kinds",
        ("S1.20",),
        (Edit(SNAPSHOT, "[scope.uid] = list(state.kinds)", "[scope.uid] = []"),),
    ),
    Mutant(
        "the scopes of a deleted owner stay",
        ("S1.24", "X2", "X4"),
        (Edit(SCOPES, "            self.close(scope)\n\n    def release", "            pass\n\n    def release"),),
    ),
    Mutant(
        "the first owner that goes closes the shared informers",
        ("X3",),
        (Edit(POOL, "        if holders:\n            return\n", ""),),
    ),
    Mutant(
        "every owner gets informers of its own",
        ("X3", "X8"),
        (
            Edit(
                PLAN, "    metadata_only: bool = False\n\n", '    metadata_only: bool = False\n    whose: str = ""\n\n'
            ),
            Edit(
                SCOPES,
                HELD,
                HELD + "            one = held.informer_key\n            held.informer_key = "
                "type(one)(one.resource, one.namespace, one.name, one.metadata_only, scope.uid)\n",
            ),
        ),
    ),
    Mutant(
        "the process ends when it may no longer see its own kind",
        ("S1.22",),
        (
            Edit(
                MANAGER,
                "            await stop.wait()\n            self._stopping.set()\n",
                "            saw = False\n"
                "            while not stop.is_set() and not (saw and not self.ready):\n"
                "                saw = self.ready\n"
                "                await asyncio.sleep(0.5)\n"
                "            self._stopping.set()\n",
            ),
        ),
    ),
    Mutant(
        "a denied custom resource is tried again every ten seconds, with one more handler",
        ("7", "B.denied"),
        (
            Edit(OUTCOME, "FORBIDDEN_REQUEUE_SECONDS: Final = 600.0", "FORBIDDEN_REQUEUE_SECONDS: Final = 10.0"),
            Edit(
                FEED,
                "        self._cache.await_grant(owner, error)\n",
                "        self._cache.await_grant(owner, error)\n"
                "        handle = self._handles.get((str(self._resource), "
                "))\n"
                "        if handle is not None:\n"
                "            handle.add_handler(EventHandler())\n",
            ),
        ),
    ),
)
