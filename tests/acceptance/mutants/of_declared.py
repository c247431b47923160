"""Defects of kinds that a controller declares: who hears of a loss and of a gain, and what a denial is taken for."""

from __future__ import annotations

from .mutant import Edit, Mutant

CACHE = "scopedcache/cache/scoped_cache.py"
MANAGER = "scopedcache/controller/manager/manager.py"
OPERATOR = "tests/acceptance/declaring_operator.py"
PENDING = "scopedcache/cache/pending_grants.py"
SCOPES = "scopedcache/cache/scope_table.py"
SOURCES = "scopedcache/controller/event_sources.py"

AWAITS = "        if not self._shows(error):\n"
READY = "        return settled and any(handle is not None and handle.synced for handle in primaries)\n"
REASONS = "for handle in self._handles.values() if handle is not None and handle.denied}"

MUTANTS = (
    Mutant(
        "a remembered denial is taken for a fresh answer of the authoriser",
        ("O.8", "N.8"),
        (
            Edit(CACHE, ' = error.by == "authorizer" and not error.cached', ' = error.by == "authorizer"'),
            Edit(SOURCES, AWAITS, "        if True:\n"),
        ),
    ),
    Mutant(
        "the loss of a declared kind is told to no key",
        ("O.9a.1", "N.9a.1", "O.9a.6"),
        (
            Edit(
                SOURCES,
                "            on_edge()\n            await handle.wait_synced()\n",
                "            await handle.wait_synced()\n",
            ),
        ),
    ),
    Mutant(
        "the grant of a declared kind is told to no key",
        ("O.8", "N.8", "O.9a.4", "N.9a.4"),
        (
            Edit(
                SOURCES,
                '            logger.info("watch.granted", extra=fields)\n            on_edge()\n',
                '            logger.info("watch.granted", extra=fields)\n',
            ),
        ),
    ),
    Mutant(
        "the loss of a declared kind is told to one key",
        ("O.9a.1",),
        (
            Edit(
                SOURCES,
                "                    if number % KEYS_PER_STEP == 0:\n                        await asyncio.sleep(0)\n",
                "                    break\n",
            ),
        ),
    ),
    Mutant(
        "one namespace that is denied makes the operator unready",
        ("N.X1",),
        (Edit(SOURCES, READY, READY.replace("any(", "all(")),),
    ),
    Mutant(
        "only what owners opened counts as degraded",
        ("O.7",),
        (
            Edit(
                MANAGER,
                "        reasons |= {str(scope.error) for scope in snapshot.waiting if scope.error is not None}\n",
                "        reasons = {str(scope.error) for scope in snapshot.waiting if scope.error and scope.owner}\n",
            ),
        ),
    ),
    Mutant(
        "the cluster cache knows nothing of what is watched in single namespaces",
        ("N.7",),
        (Edit(SCOPES, "            yield from self._of_nobody.get(namespace, ())\n", "            yield from ()\n"),),
    ),
    Mutant(
        "an edit is written before the child is looked at",
        ("O.9b", "N.9b"),
        (
            Edit(
                OPERATOR,
                "        deployment, _ = await create_or_update(\n",
                "        if memcached.generation > 1:\n"
                '            edited = {"spec": {"replicas": memcached.at("spec", "size")}}\n'
                "            await self.client.patch(DEPLOYMENT, request.key, edited)\n"
                "        deployment, _ = await create_or_update(\n",
            ),
        ),
    ),
    Mutant(
        "each loss of a declared kind leaves a handler behind",
        ("O.9a.4.flap", "N.9a.4.flap"),
        (
            Edit(
                SOURCES,
                "            on_edge()\n            await handle.wait_synced()\n",
                "            on_edge()\n            handle.add_handler(EventHandler())\n"
                "            await handle.wait_synced()\n",
            ),
        ),
    ),
    Mutant(
        "nobody waits for a verb that was not declared",
        ("O.9a.3", "N.9a.3"),
        (Edit(SOURCES, AWAITS, "        if False:\n"),),
    ),
    Mutant(
        "readiness does not look at the controller's own kind",
        ("O.X1", "N.X1"),
        (
            Edit(SOURCES, READY, "        return True\n"),
            Edit(
                SOURCES,
                REASONS,
                REASONS.replace("handle.denied}", "handle.denied and handle.resource != self._resource}"),
            ),
            Edit(
                MANAGER,
                "        reasons |= {str(scope.error) for scope in snapshot.waiting if scope.error is not None}\n",
                "",
            ),
        ),
    ),
)
