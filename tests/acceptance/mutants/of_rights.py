"""Defects of what is known about rights: reviews, verdicts, hints, attempts."""

from __future__ import annotations

from .code_edits import Argument, Body, Returns, Row, Swaps, Without
from .mutant import Mutant

ATTEMPT_MODE = "scopedcache.access.attempt_mode"
MONITOR = "scopedcache.access.monitor:Monitor"
VERDICTS = "scopedcache.access.verdict:TABLE"
INFORMER_POOL = "scopedcache.cache.informer_pool:InformerPool"
HINTING_HANDLER = "scopedcache.cache.rbac_watch:hinting_handler"
SCOPE = "scopedcache.cache.scope:Scope"
SCOPES = "scopedcache.cache.scope_state:TABLE"
SCOPE_TABLE = "scopedcache.cache.scope_table:ScopeTable"
SCOPED_CACHE = "scopedcache.cache.scoped_cache:ScopedCache"
RECONCILE = "examples.memcached_operator.reconciler:MemcachedReconciler.reconcile"

CLOSES_NOTHING = Body(
    f"{SCOPE}.on_verdict",
    """
    if verdict.denying:
        return ()
    ...
    """,
)
ONE_NO = Row(VERDICTS, '("allowed", "no")', '"denied"')

MUTANTS = (
    Mutant(
        "a review that says no is not believed: watches are sent and retried",
        ("7",),
        (
            Body(
                f"{MONITOR}.take",
                """
                if signal == "no" and permission.namespace is not None:
                    signal = "silent"
                ...
                """,
            ),
        ),
    ),
    Mutant(
        "a denied right closes nothing",
        ("9a.1", "9a.2", "9a.3", "9a.4", "O.9a.1", "N.9a.1"),
        (CLOSES_NOTHING,),
    ),
    Mutant(
        "a denied right closes nothing, and the reconciler does not look at its rights",
        ("S1.21",),
        (CLOSES_NOTHING, Without(RECONCILE, "scope.check")),
    ),
    Mutant(
        "rights are not probed: only our own calls tell",
        ("8", "9a.2", "S1.25", "S1.22", "O.8", "N.8"),
        (Without(f"{MONITOR}.start", "start_guarded"),),
    ),
    Mutant(
        "a place where nothing is lost is not probed again",
        ("9a.1", "9a.2", "9a.3", "9a.4", "N.9a.1"),
        (
            Body(
                f"{MONITOR}._review",
                """
                if any(v.lost or v.unreviewed for v in self._tracked.of(self._schedule.permissions(place))):
                    ...
                """,
            ),
        ),
    ),
    Mutant(
        "a 403 that one of our own calls meets is not heard",
        ("9a.call",),
        (
            Body(
                f"{MONITOR}.observed",
                """
                if isinstance(error, ForbiddenError):
                    return
                ...
                """,
            ),
        ),
    ),
    Mutant(
        "a right that comes back opens nothing",
        ("8", "9a.4", "S1.25", "O.8", "N.8"),
        (
            Body(
                f"{SCOPE_TABLE}.verdict_changed",
                """
                if verdict.granted:
                    return
                ...
                """,
            ),
        ),
    ),
    Mutant(
        "losing any declared verb closes the cache",
        ("9a.3",),
        (Returns(f"{SCOPE}._denial_of", '"optional-denied" if need.need.optional else "denied"'),),
    ),
    Mutant(
        "the probe period is a second, whatever the bound",
        ("9a.5",),
        (Argument(f"{MONITOR}.__init__", "ProbeSchedule", 0, "1.0"),),
    ),
    Mutant(
        "every right is asked for by an access review of its own",
        ("9a.5",),
        (Returns("scopedcache.access.rule_matching:allows", "None"),),
    ),
    Mutant(
        "one no of a review is enough for a denial, whether the server is ready or not",
        ("B.restart", "B.ha", "O.B.restart", "N.B.restart"),
        (ONE_NO, Returns(f"{MONITOR}._is_ready", "True")),
    ),
    Mutant(
        "one refusal is enough for a denial",
        ("B.restart", "B.ha", "O.B.restart", "N.B.restart"),
        (ONE_NO, Row(VERDICTS, '("allowed", "refused")', '"denied"')),
    ),
    Mutant(
        "RBAC objects are never watched",
        ("9a.6", "O.9a.6"),
        (Swaps(f"{SCOPED_CACHE}.__aenter__", "self._rbac_watch", "False"),),
    ),
    Mutant(
        "RBAC events hint at nothing",
        ("9a.6", "O.9a.6"),
        (Body(f"{MONITOR}.hint", "return"),),
    ),
    Mutant(
        "an edited Role hints at nothing",
        ("9a.6",),
        (Argument(HINTING_HANDLER, "EventHandler", "on_update", "None"),),
    ),
    Mutant(
        "the period is not stretched while events tell",
        ("9a.6",),
        (Argument(f"{MONITOR}._stretch", "set_stretch", 0, "1.0"),),
    ),
    Mutant(
        "refused reviews change nothing",
        ("9a.7", "O.9a.7"),
        (Body(f"{MONITOR}._review_refused", 'self._no_answer(permissions, "unanswered")'),),
    ),
    Mutant(
        "after a denial in attempt mode nobody tries again",
        ("9a.7", "O.9a.7"),
        (
            Returns(
                f"{ATTEMPT_MODE}:permissions_to_try",
                '[v.permission for v in verdicts if v.permission.verb == "list" and v.state != "denied"]',
            ),
        ),
    ),
    Mutant(
        "watches live as long as ever in attempt mode",
        ("9a.7",),
        (Returns(f"{INFORMER_POOL}._watch_timeout", "None"),),
    ),
    Mutant(
        "attempt mode does not end",
        ("9a.7",),
        (Returns(f"{ATTEMPT_MODE}:AttemptMode.review_answered", "False"),),
    ),
    Mutant(
        "the custom resources' own kind, once lost, stays closed",
        ("X1", "S1.23", "O.8", "N.8"),
        (
            Body(
                f"{SCOPE}.on_verdict",
                """
                if verdict.granted and self.owner is None:
                    return ()
                ...
                """,
            ),
        ),
    ),
    Mutant(
        "the loss of a right closes everything and tells no owner",
        ("9a.1", "9a.3", "9a.4"),
        (
            Body(
                "scopedcache.cache.subscribers:Subscribers.publish",
                """
                if change.cause == "denied":
                    return
                ...
                """,
            ),
        ),
    ),
    Mutant(
        "a right that is there again opens the cache and tells no owner",
        ("8", "9a.4"),
        (Row(SCOPES, '("opening", "synced")', '("open", ("log-synced",))'),),
    ),
)
