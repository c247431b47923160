"""Defects of the operator: its manifests, its reconciler, what it writes into a status."""

from __future__ import annotations

from .code_edits import Argument, Body, Constant, Result, Returns, Statement, Swaps
from .manifest_edits import GONE, Field
from .mutant import Mutant

CONFIG = "examples/memcached_operator/config"
PUT_TOGETHER = "scopedcache.kit.program:Program.put_together"
RECONCILE = "examples.memcached_operator.reconciler:MemcachedReconciler.reconcile"
STATUS = "examples.memcached_operator.status"
FORBIDDEN_REQUEUE = "scopedcache.controller.outcome:FORBIDDEN_REQUEUE_SECONDS"
PRIMARIES = "scopedcache.controller.primary_objects:PrimaryObjects"
TIMESTAMP = "scopedcache.controller.reporting.conditions:timestamp"
WORKERS = "scopedcache.controller.workers:Workers"

EARLY = Statement(
    RECONCILE,
    "cache.open",
    """
    early = new_deployment(memcached)
    await create_or_update(self.client, early, lambda draft: shape(memcached, draft))
    ...
    """,
)
AGAIN_IN_TEN = Statement(
    RECONCILE,
    "success_status",
    """
    ...
    return Result(requeue_after=10.0)
    """,
)

MANIFESTS = (
    Mutant(
        "operator.yaml gives rights on Deployments in the whole cluster",
        ("1",),
        (
            Field(
                f"{CONFIG}/rbac/operator.yaml",
                "ClusterRole/scoped-operator-cluster",
                "rules.+",
                "{apiGroups: [apps], resources: [deployments], verbs: [create]}",
            ),
        ),
    ),
    Mutant(
        "the CRD has no `minimum: 0`",
        ("4",),
        (
            Field(
                f"{CONFIG}/crd.yaml",
                "CustomResourceDefinition/memcacheds.cache.example.com",
                "spec.versions.0.schema.openAPIV3Schema.properties.spec.properties.size.minimum",
                GONE,
            ),
        ),
    ),
)

PASSES = (
    Mutant(
        "the operator lists the Pods of a namespace at its start",
        ("3",),
        (Argument(PUT_TOGETHER, "Manager", "runnables", '[lambda: client.list("pods", namespace="allowed-one")]'),),
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
            Swaps(RECONCILE, 'change != "unchanged"', "True"),
            Swaps(RECONCILE, '"child.create" if change == "created" else "child.update"', '"child.create"'),
        ),
    ),
    Mutant(
        "status.nodes is in no order that holds",
        ("6",),
        (Argument(RECONCILE, "sorted", "reverse", "True"),),
    ),
    Mutant(
        "the status message carries the time, and is written anew every ten seconds",
        ("6", "B.idle"),
        (
            Swaps(
                f"{STATUS}:success_status",
                "deployment.name",
                "f\"{deployment.name} at {__import__('asyncio').get_running_loop().time() // 1}\"",
            ),
            AGAIN_IN_TEN,
        ),
    ),
    Mutant(
        "a refused reconcile keeps the only worker for six seconds",
        ("7",),
        (
            Argument(f"{WORKERS}.run", "range", 0, "1"),
            Statement(
                f"{WORKERS}._report",
                "_reporter.report",
                """
                ...
                await asyncio.sleep(6.0)
                """,
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
            Constant(FORBIDDEN_REQUEUE, "1.0"),
            Body(
                RECONCILE,
                """
                from scopedcache import ForbiddenError

                try:
                    ...
                except ForbiddenError:
                    await self.client.list(DEPLOYMENT, namespace=request.namespace)
                    raise
                """,
            ),
        ),
    ),
    Mutant(
        "every pass lists the Pods of a namespace without a custom resource",
        ("9a.5",),
        (
            Statement(
                RECONCILE,
                "cache.open",
                """
                await self.client.list(POD, namespace="unused-0")
                ...
                """,
            ),
        ),
    ),
    Mutant(
        "the reconciler declares no verbs beyond list and watch",
        ("9a.3",),
        (Swaps(RECONCILE, '("create", "update")', "()"),),
    ),
    Mutant(
        "an edit is written before the rights are looked at",
        ("9b",),
        (
            Statement(
                RECONCILE,
                "cache.open",
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
        "the reconciler opens its cache before it looks for a deletion",
        ("10",),
        (
            Statement(
                RECONCILE,
                "cache.close",
                """
                await self.cache.open(memcached, Need(DEPLOYMENT), Need(POD))
                ...
                """,
            ),
        ),
    ),
    Mutant(
        "a custom resource that is gone is looked at again every two seconds",
        ("10",),
        (
            Result(RECONCILE, "Result(requeue_after=2.0) if memcached is None else result"),
            Returns(f"{PRIMARIES}.needs_reconcile", "True"),
        ),
    ),
    Mutant(
        "the Deployment is looked for by its label alone",
        ("X7",),
        (
            Swaps(
                RECONCILE,
                'Need(DEPLOYMENT, verbs=("create", "update"), route=namesake)',
                'Need(DEPLOYMENT, verbs=("create", "update"), selector=selector_of(memcached))',
            ),
        ),
    ),
)

STATUSES = (
    Mutant(
        'the status says only "not permitted"',
        ("7", "O.7", "N.7"),
        (
            Body(
                f"{STATUS}:_failure_status",
                """
                text = "not permitted"
                ...
                """,
            ),
        ),
    ),
    Mutant(
        "a refusal empties status.nodes",
        ("9a.1", "9a.3", "O.9a.1", "N.9a.1"),
        (Result(f"{STATUS}:_failure_status", '{**result, "nodes": []}'),),
    ),
    Mutant(
        "the loss of a right is remembered by namespace, not by custom resource",
        ("9c",),
        (
            Body(
                f"{STATUS}:success_status",
                """
                refusal_status.__dict__.setdefault("had", set()).add(memcached.namespace)
                ...
                """,
            ),
            Swaps(
                f"{STATUS}:refusal_status",
                'before.get("reason") in REASONS_WITH_RIGHTS',
                'memcached.namespace in refusal_status.__dict__.get("had", ())',
            ),
        ),
    ),
    Mutant(
        "the status names no verb",
        ("7", "9a.1", "9a.3", "O.9a.3", "N.9a.3"),
        (
            Body(
                f"{STATUS}:_failure_status",
                """
                for verb in ("list", "watch", "create", "update"):
                    text = text.replace(f" {verb} ", " touch ")
                ...
                """,
            ),
        ),
    ),
    Mutant(
        "the condition Stale gets a new time with every edit",
        ("9b",),
        (
            Argument(
                f"{STATUS}:refusal_status",
                "_condition",
                1,
                '[c for c in status["conditions"] if c["type"] != STALE or '
                'c["observedGeneration"] == memcached.generation]',
            ),
            # Conditions have the machine's time, in seconds: the whole story happens in one of them.
            Argument(TIMESTAMP, "strftime", 0, '"%Y-%m-%dT%H:%M:%S.%fZ"'),
        ),
    ),
)

MUTANTS = (*MANIFESTS, *PASSES, *STATUSES)
