"""Defects of kinds that a controller declares: who hears of a loss and of a gain, and what a denial is taken for."""

from __future__ import annotations

from .code_edits import Body, Constant, Result, Returns, Statement, Swaps
from .mutant import Mutant

EVENT_SOURCES = "scopedcache.controller.event_sources:EventSources"
FORBIDDEN_REQUEUE = "scopedcache.controller.outcome:FORBIDDEN_REQUEUE_SECONDS"
MANAGER_STATE = "scopedcache.controller.manager.manager:Manager._summary"
RECONCILE = "tests.acceptance.declaring_operator:DeclaringReconciler.reconcile"
SCOPE_TABLE = "scopedcache.cache.scope_table:ScopeTable"

FOLLOW = f"{EVENT_SOURCES}._follow_rights"

MUTANTS = (
    Mutant(
        "the loss of a declared kind is told to no key",
        ("O.9a.1", "N.9a.1", "O.9a.6"),
        (
            Body(
                FOLLOW,
                """
                tell = on_edge
                on_edge = lambda: tell() if handle.synced else None
                ...
                """,
            ),
        ),
    ),
    Mutant(
        "the grant of a declared kind is told to no key",
        ("O.8", "N.8", "O.9a.4", "N.9a.4"),
        (
            Body(
                FOLLOW,
                """
                tell = on_edge
                on_edge = lambda: None if handle.synced else tell()
                ...
                """,
            ),
        ),
    ),
    Mutant(
        "the loss of a declared kind is told to one key",
        ("O.9a.1",),
        (
            Statement(
                f"{EVENT_SOURCES}._requeue_concerned",
                "_queue.add",
                """
                ...
                break
                """,
            ),
        ),
    ),
    Mutant(
        "one namespace that is denied makes the operator unready",
        ("N.X1",),
        (Swaps(f"{EVENT_SOURCES}.ready", "any", "all"),),
    ),
    Mutant(
        "only what owners opened counts as degraded",
        ("O.7",),
        (
            Result(
                MANAGER_STATE,
                '{**result, "reasons": [str(scope.error) for scope in snapshot.waiting if scope.owner]}',
            ),
        ),
    ),
    Mutant(
        "the cluster cache knows nothing of what is watched in single namespaces",
        ("N.7",),
        (Swaps(f"{SCOPE_TABLE}.of_everybody", "self._of_nobody.get(namespace, ())", "()"),),
    ),
    Mutant(
        "an edit is written before the child is looked at",
        ("O.9b", "N.9b"),
        (
            Statement(
                RECONCILE,
                "create_or_update",
                """
                if memcached.generation > 1:
                    edited = {"spec": {"replicas": memcached.at("spec", "size")}}
                    await self.client.patch(DEPLOYMENT, request.key, edited)
                ...
                """,
            ),
        ),
    ),
    Mutant(
        "each loss of a declared kind leaves a handler behind",
        ("O.9a.4.flap", "N.9a.4.flap"),
        (
            Statement(
                FOLLOW,
                "wait_denied",
                """
                ...
                handle.add_handler(EventHandler())
                """,
            ),
        ),
    ),
    Mutant(
        # Not N.9a.3: its refused keys are run again within the row's time, by their back-off.
        "nobody waits for a verb that was not declared",
        ("O.9a.3",),
        (Body(f"{EVENT_SOURCES}.await_grant", "pass"),),
    ),
    Mutant(
        "readiness does not look at the controller's own kind",
        ("O.X1", "N.X1"),
        (
            Returns(f"{EVENT_SOURCES}.ready", "True"),
            Result(
                MANAGER_STATE,
                '{**result, "reasons": [reason for reason in result["reasons"] if "memcacheds" not in reason]}',
            ),
        ),
    ),
    Mutant(
        "the log does not say where a declared kind is denied",
        ("N.7", "N.9a.1", "N.8"),
        (Swaps(FOLLOW, "handle.namespace", "None"),),
    ),
    Mutant(
        "each key that is refused says in the log that its kinds are denied",
        ("O.7", "N.7"),
        (
            Body(
                f"{EVENT_SOURCES}.await_grant",
                """
                logger.warning("watch.denied", extra={"namespace": error.namespace, "verb": error.verb})
                ...
                """,
            ),
        ),
    ),
    Mutant(
        "what is refused for want of a declared kind is tried again every second",
        ("O.7", "N.7", "O.9a.1", "N.9a.1"),
        (Constant(FORBIDDEN_REQUEUE, "1.0"),),
    ),
    Mutant(
        "the operator that declares its kinds looks again every two seconds",
        ("O.8", "N.8"),
        (Result(RECONCILE, "Result(requeue_after=2.0)"),),
    ),
)
