"""Defects of what is known about rights: reviews, verdicts, hints, attempts."""

from __future__ import annotations

from .mutant import Edit, Mutant

ATTEMPTS = "scopedcache/access/attempt_mode.py"
MONITOR = "scopedcache/access/monitor.py"
REVIEWER = "scopedcache/access/reviewer.py"
VERDICT = "scopedcache/access/verdict.py"
CACHE = "scopedcache/cache/scoped_cache.py"
POOL = "scopedcache/cache/informer_pool.py"
RBAC_WATCH = "scopedcache/cache/rbac_watch.py"
SCOPE = "scopedcache/cache/scope.py"
SCOPE_TABLE = "scopedcache/cache/scope_table.py"
RECONCILER = "examples/memcached_operator/reconciler.py"

CLOSES_NOTHING = Edit(SCOPE, "            if verdict.denying:\n", '            if verdict.state == "nowhere":\n')
ONE_NO = Edit(VERDICT, '("allowed", "no"): "confirm"', '("allowed", "no"): "denied"')

MUTANTS = (
    Mutant(
        "a review that says no is not believed: watches are sent and retried",
        ("7",),
        (
            Edit(
                MONITOR,
                '"yes" if allowed else no, now)',
                '"yes" if allowed else no if permission.namespace is None else "silent", now)',
            ),
        ),
    ),
    Mutant(
        "a denied right closes nothing",
        ("9a.1", "9a.2", "9a.3", "9a.4"),
        (CLOSES_NOTHING,),
    ),
    Mutant(
        "a denied right closes nothing, and the reconciler does not look at its rights",
        ("S1.21",),
        (CLOSES_NOTHING, Edit(RECONCILER, "        scope.check()\n", "")),
    ),
    Mutant(
        "rights are not probed: only our own calls tell",
        ("8", "9a.2", "S1.25", "S1.22"),
        (
            Edit(
                MONITOR,
                '        supervisor.start_guarded("access-monitor", lambda: self._probes.run(supervisor))\n',
                "",
            ),
        ),
    ),
    Mutant(
        "a place where nothing is lost is not probed again",
        ("9a.1", "9a.2", "9a.3", "9a.4"),
        (
            Edit(
                MONITOR,
                "        await self._review_flights.share(place, self._supervisor)\n",
                "        if any(v.lost or v.unreviewed for v in self._tracked.of(self._schedule.permissions(place))):\n"
                "            await self._review_flights.share(place, self._supervisor)\n",
            ),
        ),
    ),
    Mutant(
        "a 403 that one of our own calls meets is not heard",
        ("9a.call",),
        (
            Edit(
                MONITOR,
                "        permission, signal = needed_permission(info), signal_of(info, error)\n",
                "        if isinstance(error, ForbiddenError):\n"
                "            return\n"
                "        permission, signal = needed_permission(info), signal_of(info, error)\n",
            ),
        ),
    ),
    Mutant(
        "a right that comes back opens nothing",
        ("8", "9a.4", "S1.25"),
        (
            Edit(
                SCOPE_TABLE,
                "        if verdict.denying or verdict.granted:\n",
                "        if verdict.denying:\n",
            ),
        ),
    ),
    Mutant(
        "losing any declared verb closes the cache",
        ("9a.3",),
        (
            Edit(
                SCOPE,
                '        if permission not in need.informer_key.permissions:\n            return "verb-denied"\n',
                "",
            ),
        ),
    ),
    Mutant(
        "the probe period is a second, whatever the bound",
        ("9a.5",),
        (Edit(MONITOR, "ProbeSchedule(period, rate, chance)", "ProbeSchedule(1.0, rate, chance)"),),
    ),
    Mutant(
        "every right is asked for by an access review of its own",
        ("9a.5",),
        (
            Edit(
                REVIEWER,
                "left = [p for p, allowed in by_rules.items() if allowed",
                "left = [p for p, allowed in by_rules.items() if p or allowed",
            ),
        ),
    ),
    Mutant(
        "one no of a review is enough for a denial, whether the server is ready or not",
        ("B.restart", "B.ha", "O.B.restart", "N.B.restart"),
        (ONE_NO, Edit(MONITOR, "ready = self._readiness.answered(answer, now)", "ready = True")),
    ),
    Mutant(
        "one refusal is enough for a denial",
        ("B.restart", "B.ha"),
        (
            ONE_NO,
            Edit(VERDICT, '("allowed", "refused"): "suspect"', '("allowed", "refused"): "denied"'),
        ),
    ),
    Mutant(
        "RBAC objects are never watched",
        ("9a.6",),
        (Edit(CACHE, "        if self._rbac_watch:\n", "        if False:\n"),),
    ),
    Mutant(
        "RBAC events hint at nothing",
        ("9a.6", "O.9a.6"),
        (Edit(MONITOR, "            if self._rbac_events.note(concerned):\n", "            if False:\n"),),
    ),
    Mutant(
        "an edited Role hints at nothing",
        ("9a.6",),
        (Edit(RBAC_WATCH, "on_update=lambda old, new: hint(new),", "on_update=None,"),),
    ),
    Mutant(
        "the period is not stretched while events tell",
        ("9a.6",),
        (Edit(MONITOR, "EVENTS_PERIOD_FACTOR if events_tell_all else 1.0", "1.0"),),
    ),
    Mutant(
        "refused reviews change nothing",
        ("9a.7",),
        (
            Edit(
                MONITOR,
                "            await self._review_refused(place, permissions)\n",
                '            self._no_answer(permissions, "unanswered")\n',
            ),
        ),
    ),
    Mutant(
        "after a denial in attempt mode nobody tries again",
        ("9a.7", "O.9a.7"),
        (
            Edit(
                ATTEMPTS,
                'if v.permission.verb == "list" or (v.permission.verb == "watch" and v.lost)]',
                'if v.permission.verb == "list" and v.state != "denied"]',
            ),
        ),
    ),
    Mutant(
        "watches live as long as ever in attempt mode",
        ("9a.7",),
        (Edit(POOL, "self._monitor.renewal if self._monitor.attempting else None", "None"),),
    ),
    Mutant(
        "attempt mode does not end",
        ("9a.7",),
        (Edit(MONITOR, "        if self._attempt_mode.review_answered():\n", "        if False:\n"),),
    ),
    Mutant(
        "the custom resources' own kind, once lost, stays closed",
        ("X1", "S1.23"),
        (
            Edit(
                SCOPE,
                "elif verdict.granted and verdict.permission in need.informer_key.permissions:",
                "elif verdict.granted and self.owner and verdict.permission in need.informer_key.permissions:",
            ),
        ),
    ),
)
