"""Defects of the operator: its manifests, its reconciler, what it writes into a status."""

from __future__ import annotations

from .mutant import Edit, Mutant

CONFIG = "examples/memcached_operator/config"
MAIN = "examples/memcached_operator/__main__.py"
RECONCILER = "examples/memcached_operator/reconciler.py"
STATUS = "examples/memcached_operator/status.py"
CONDITIONS = "scopedcache/controller/reporting/conditions.py"
OUTCOME = "scopedcache/controller/outcome.py"
PRIMARIES = "scopedcache/controller/primary_objects.py"
WORKERS = "scopedcache/controller/workers.py"

OPENS = "        scope = await self.cache.open(\n"
RECONCILES = "    async def reconcile(self, request: Request) -> Result:\n"
RETRIED = "FORBIDDEN_REQUEUE_SECONDS: Final = 600.0"
EARLY = Edit(
    RECONCILER,
    OPENS,
    "        early = new_deployment(memcached)\n"
    "        await create_or_update(self.client, early, lambda draft: shape(memcached, draft))\n" + OPENS,
)
AGAIN_IN_TEN = Edit(
    RECONCILER,
    "success_status(memcached, deployment, nodes))\n        return Result()",
    "success_status(memcached, deployment, nodes))\n        return Result(requeue_after=10.0)",
)

MANIFESTS = (
    Mutant(
        "operator.yaml gives rights on Deployments in the whole cluster",
        ("1",),
        (
            Edit(
                f"{CONFIG}/rbac/operator.yaml",
                "    resources: [memcacheds/finalizers]\n    verbs: [update]\n",
                "    resources: [memcacheds/finalizers]\n    verbs: [update]\n"
                "  - apiGroups: [apps]\n    resources: [deployments]\n    verbs: [create]\n",
            ),
        ),
    ),
    Mutant(
        "the CRD has no `minimum: 0`",
        ("4",),
        (
            Edit(
                f"{CONFIG}/crd.yaml",
                "                  format: int32\n                  minimum: 0\n",
                "                  format: int32\n",
            ),
        ),
    ),
)

PASSES = (
    Mutant(
        "the operator lists the Pods of a namespace at its start",
        ("3",),
        (
            Edit(
                MAIN,
                "        stop_timeout=STOP_TIMEOUT_SECONDS,\n",
                "        stop_timeout=STOP_TIMEOUT_SECONDS,\n"
                '        runnables=[lambda: client.list("pods", namespace="allowed-one")],\n',
            ),
        ),
    ),
    Mutant(
        "the reconciler creates the Deployment before it opens its cache",
        ("5",),
        (EARLY,),
    ),
    Mutant(
        "the reconciler creates the Deployment before it opens its cache, and its log says otherwise",
        ("5",),
        (
            EARLY,
            Edit(RECONCILER, '        if change != "unchanged":\n', "        if True:\n"),
            Edit(
                RECONCILER,
                '"child.create" if change == "created" else "child.update"',
                '"child.create"',
            ),
        ),
    ),
    Mutant(
        "status.nodes is in no order that holds",
        ("6",),
        (
            Edit(RECONCILER, "nodes = sorted(pod.name for", "nodes = sorted((pod.name for"),
            Edit(RECONCILER, "if not pod.deletion_timestamp)", "if not pod.deletion_timestamp), reverse=True)"),
        ),
    ),
    Mutant(
        "the status message carries the time, and is written anew every ten seconds",
        ("6", "B.idle"),
        (
            Edit(
                STATUS,
                'servers available"',
                "servers available at {__import__('asyncio').get_running_loop().time()}\"",
            ),
            AGAIN_IN_TEN,
        ),
    ),
    Mutant(
        "a refused reconcile keeps the only worker for six seconds",
        ("7",),
        (
            Edit(WORKERS, "for n in range(self._count)])", "for n in range(1)])"),
            Edit(
                WORKERS,
                "            await self._reporter.report(owner, outcome.error)\n",
                "            await self._reporter.report(owner, outcome.error)\n            await asyncio.sleep(6.0)\n",
            ),
        ),
    ),
    Mutant(
        "a settled custom resource is looked at again every ten seconds",
        ("6",),
        (AGAIN_IN_TEN,),
    ),
    Mutant(
        "a refused custom resource is tried again every second, by a list",
        ("7",),
        (
            Edit(OUTCOME, RETRIED, "FORBIDDEN_REQUEUE_SECONDS: Final = 1.0"),
            Edit(RECONCILER, "import Client, Need,", "import Client, ForbiddenError, Need,"),
            Edit(
                RECONCILER,
                RECONCILES,
                RECONCILES + "        try:\n            return await self.attempt(request)\n"
                "        except ForbiddenError:\n"
                "            await self.client.list(DEPLOYMENT, namespace=request.namespace)\n            raise\n\n"
                "    async def attempt(self, request: Request) -> Result:\n",
            ),
        ),
    ),
    Mutant(
        "every pass lists the Pods of a namespace without a custom resource",
        ("9a.5",),
        (Edit(RECONCILER, OPENS, '        await self.client.list(POD, namespace="unused-0")\n' + OPENS),),
    ),
    Mutant(
        "the reconciler declares no verbs beyond list and watch",
        ("9a.3",),
        (Edit(RECONCILER, 'Need(DEPLOYMENT, verbs=("create", "update"), ', "Need(DEPLOYMENT, "),),
    ),
    Mutant(
        "an edit is written before the rights are looked at",
        ("9b",),
        (
            Edit(
                RECONCILER,
                OPENS,
                "        if memcached.generation > 1:\n"
                '            edited = {"spec": {"replicas": memcached.at("spec", "size")}}\n'
                "            await self.client.patch(DEPLOYMENT, request.key, edited)\n" + OPENS,
            ),
        ),
    ),
    Mutant(
        "the reconciler opens its cache before it looks for a deletion",
        ("10",),
        (
            Edit(
                RECONCILER,
                "        if memcached.deletion_timestamp:\n",
                "        await self.cache.open(memcached, Need(DEPLOYMENT), Need(POD))\n"
                "        if memcached.deletion_timestamp:\n",
            ),
        ),
    ),
    Mutant(
        "a custom resource that is gone is looked at again every two seconds",
        ("10",),
        (
            Edit(
                RECONCILER,
                '            logger.info("cr.gone", extra=fields)\n            return Result()',
                '            logger.info("cr.gone", extra=fields)\n            return Result(requeue_after=2.0)',
            ),
            Edit(
                PRIMARIES,
                "return key in self._deleted or self.get(key) is not None",
                "return True",
            ),
        ),
    ),
    Mutant(
        "the Deployment is looked for by its label alone",
        ("X7",),
        (
            Edit(
                RECONCILER,
                'Need(DEPLOYMENT, verbs=("create", "update"), route=namesake)',
                'Need(DEPLOYMENT, verbs=("create", "update"), selector=selector_of(memcached))',
            ),
        ),
    ),
)

STATUSES = (
    Mutant(
        'the status says only "not permitted"',
        ("7",),
        (
            Edit(
                STATUS,
                'f"Forbidden: may not {error.subject}, which Memcached {memcached.name} needs (not permitted by RBAC)"',
                '"not permitted"',
            ),
        ),
    ),
    Mutant(
        "a refusal empties status.nodes",
        ("9a.1", "9a.3"),
        (
            Edit(
                STATUS,
                '        "state": {"status": "Failed", "message": text},\n',
                '        "state": {"status": "Failed", "message": text},\n        "nodes": [],\n',
            ),
        ),
    ),
    Mutant(
        "the loss of a right is remembered by namespace, not by custom resource",
        ("9c",),
        (
            Edit(STATUS, "Status = dict[str, Any]\n", "Status = dict[str, Any]\n_had: set[str] = set()\n"),
            Edit(STATUS, "    done = is_current and", "    _had.add(memcached.namespace)\n    done = is_current and"),
            Edit(
                STATUS,
                'before.get("reason") in REASONS_WITH_RIGHTS',
                "memcached.namespace in _had or bool(before) is None",
            ),
        ),
    ),
    Mutant(
        "the status names no verb",
        ("7", "9a.1", "9a.3"),
        (
            Edit(
                STATUS,
                "may not {error.subject}, which",
                "no permission to {error.resource} in {error.namespace}, which",
            ),
        ),
    ),
    Mutant(
        "the condition Stale gets a new time with every edit",
        ("9b",),
        (
            Edit(
                STATUS,
                'memcached, status["conditions"], STALE, True,',
                'memcached, [c for c in status["conditions"] if c["type"] != STALE or '
                'c["observedGeneration"] == memcached.generation], STALE, True,',
            ),
            # Conditions have the machine's time, in seconds: the whole story happens in one of them.
            Edit(CONDITIONS, "%H:%M:%SZ", "%H:%M:%S.%fZ"),
        ),
    ),
)

MUTANTS = (*MANIFESTS, *PASSES, *STATUSES)
