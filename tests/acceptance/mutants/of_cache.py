"""Defects of what is held: scopes and their informers, handles, routes, the snapshot; and of the loops around them."""

from __future__ import annotations

from .code_edits import Body, Constant, Statement, Swaps, Without
from .mutant import Mutant

INDEXED_STORE = "scopedcache.informer.indexed_store:IndexedStore"
INFORMER_KEY = "scopedcache.cache.informer_plan:InformerKey"
INFORMER_LEASES = "scopedcache.cache.informer_leases:InformerLeases"
SCOPE_BINDING = "scopedcache.cache.scope_binding:ScopeBinding"
SCOPE_OPENINGS = "scopedcache.cache.scope_openings:ScopeOpenings"
SCOPE_TABLE = "scopedcache.cache.scope_table:ScopeTable"
SCOPE_VIEWS = "scopedcache.cache.scope_views:ScopeViews"
TAKE_SNAPSHOT = "scopedcache.cache.snapshot:take_snapshot"
EVENT_SOURCES = "scopedcache.controller.event_sources:EventSources"
FORBIDDEN_REQUEUE = "scopedcache.controller.outcome:FORBIDDEN_REQUEUE_SECONDS"
MANAGER = "scopedcache.controller.manager.manager:Manager"

OWN_KEY = '__import__("attrs").evolve(need.informer_key, whose=self.uid)'

MUTANTS = (
    Mutant(
        "the informers of a scope are not routed to its owner",
        ("5", "X3", "X7"),
        (Without(f"{SCOPE_BINDING}._show", "router.add"),),
    ),
    Mutant(
        "a scope counts as open before its first lists are there",
        ("5",),
        (Body(f"{SCOPE_OPENINGS}._wait_synced", "pass"),),
    ),
    Mutant(
        "a handle goes on showing the last copy after the loss",
        ("9a.2",),
        (
            Without(f"{SCOPE_VIEWS}.invalidate", "views.clear"),
            Without(f"{SCOPE_VIEWS}.invalidate", "_shown.clear"),
            Without(f"{INDEXED_STORE}.close", "refuse_reads"),
            Swaps(f"{INDEXED_STORE}.close", "self._store.purge()", "{}"),
        ),
    ),
    Mutant(
        "a scope that is denied or closed keeps its informers",
        ("9a.1", "9a.4", "10", "X3", "O.9a.1", "N.9a.1"),
        (Without(f"{SCOPE_BINDING}.unbind", "_leases.release"),),
    ),
    Mutant(
        "the snapshot shows no kinds",
        ("S1.20",),
        (Swaps(TAKE_SNAPSHOT, "list(shot.kinds)", "[]"),),
    ),
    Mutant(
        "the scopes of a deleted owner stay",
        ("S1.24", "X2", "X4"),
        (Without(f"{SCOPE_TABLE}.close_owner", "self.close"),),
    ),
    Mutant(
        "the first owner that goes closes the shared informers",
        ("X3",),
        (Statement(f"{INFORMER_LEASES}.release", "tenants.pop", "lease.tenants.clear()"),),
    ),
    Mutant(
        "every owner gets informers of its own",
        ("X3", "X8"),
        (
            Body(
                INFORMER_KEY,
                """
                ...
                whose: str = ""
                """,
            ),
            Swaps(f"{SCOPE_BINDING}.bind", "need.informer_key", OWN_KEY),
            Swaps(f"{SCOPE_BINDING}.unbind", "need.informer_key", OWN_KEY),
        ),
    ),
    Mutant(
        "the process ends when it may no longer see its own kind",
        ("S1.22", "O.X1"),
        (
            Statement(
                f"{MANAGER}._run_all",
                "stop.wait",
                """
                saw = False
                while not stop.is_set() and not (saw and not self.ready):
                    saw = self.ready
                    await asyncio.sleep(0.5)
                """,
            ),
        ),
    ),
    Mutant(
        "a denied custom resource is tried again every ten seconds, with one more handler",
        ("7", "B.denied"),
        (
            Constant(FORBIDDEN_REQUEUE, "10.0"),
            Statement(
                f"{EVENT_SOURCES}.await_grant",
                "_cache.await_grant",
                """
                ...
                handle = next(iter(self._handles.values()))
                if handle is not None:
                    handle.add_handler(EventHandler())
                """,
            ),
        ),
    ),
)
