"""Defects of what is held: scopes and their informers, handles, routes, the snapshot; and of the loops around them."""

from __future__ import annotations

from .mutant import Edit, Mutant

FEED = "scopedcache/controller/event_sources.py"
INDEXED_STORE = "scopedcache/informer/indexed_store.py"
MANAGER = "scopedcache/controller/manager/manager.py"
OUTCOME = "scopedcache/controller/outcome.py"
PLAN = "scopedcache/cache/informer_plan.py"
POOL = "scopedcache/cache/informer_pool.py"
SCOPE = "scopedcache/cache/scope.py"
SCOPE_BINDING = "scopedcache/cache/scope_binding.py"
SCOPE_OPENINGS = "scopedcache/cache/scope_openings.py"
SCOPE_TABLE = "scopedcache/cache/scope_table.py"
SCOPE_VIEWS = "scopedcache/cache/scope_views.py"
SNAPSHOT = "scopedcache/cache/snapshot.py"

NEEDED = "        return BoundNeed.of(resource, need, self.namespace, self._cluster_wide)\n"

MUTANTS = (
    Mutant(
        "the informers of a scope are not routed to its owner",
        ("5", "X3", "X7"),
        (
            Edit(
                SCOPE_BINDING,
                "            informer.router.add(self, ",
                "            informer.router.remove(self, ",
            ),
        ),
    ),
    Mutant(
        "a scope counts as open before its first lists are there",
        ("5",),
        (Edit(SCOPE_OPENINGS, "                await self._wait_synced(binding, need)\n", "                pass\n"),),
    ),
    Mutant(
        "a handle goes on showing the last copy after the loss",
        ("9a.2",),
        (
            Edit(SCOPE_VIEWS, "        self.views.clear()\n        self._shown.clear()\n", ""),
            Edit(INDEXED_STORE, "        self.refuse_reads(error)\n", ""),
            Edit(
                INDEXED_STORE,
                "        purged = self._store.purge()\n        self.backlog.add(purged.bury(), len(purged))\n"
                "        return purged",
                "        return {}",
            ),
        ),
    ),
    Mutant(
        "a scope that is denied or closed keeps its informers",
        ("9a.1", "9a.4", "10", "X3"),
        (Edit(SCOPE_BINDING, "        self._pool.release(need.informer_key, self, error)\n", ""),),
    ),
    Mutant(
        "the snapshot shows no kinds",
        ("S1.20",),
        (Edit(SNAPSHOT, "[scope.uid] = list(shot.kinds)", "[scope.uid] = []"),),
    ),
    Mutant(
        "the scopes of a deleted owner stay",
        ("S1.24", "X2", "X4"),
        (
            Edit(
                SCOPE_TABLE,
                "            self.close(binding)\n\n    def close_all",
                "            pass\n\n    def close_all",
            ),
        ),
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
                SCOPE,
                NEEDED,
                NEEDED.replace("return", "need_of_all =")
                + "        own = attrs.evolve(need_of_all.informer_key, whose=self.uid)\n"
                "        return BoundNeed(resource, need, own, need_of_all.verbs)\n",
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
                "        handle = next(iter(self._handles.values()))\n"
                "        if handle is not None:\n"
                "            handle.add_handler(EventHandler())\n",
            ),
        ),
    ),
)
