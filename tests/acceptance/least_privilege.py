"""No rule of the Memcached operator's manifests is idle: without it, what the operator is for does not come about."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from scopedcache.errors import ScopedCacheError
from scopedcache.testing.resources import load_manifests

from .clock import now
from .examples.example import Manifest, Right, rights_in
from .observations import MEMCACHEDS
from .rows import Group, Outcome, Row
from .starting import started, wanted_cluster
from .waiting import Failed, NotRun, differs, eventually
from .world import CONFIG, CONVERGED, World

NEEDS: Final = "scoped-operator-needs"
NAMESPACE, NAME = "allowed", "memcached"
LEASES: Final = "leases.coordination.k8s.io"
# Its own and its renewals: at once, and every two seconds.
LEASE_SECONDS: Final = 30.0
# Who sets `blockOwnerDeletion` may then update the owner's finalizers, or is refused: some distributions ask for that.
STRICT: Final = {"enable-admission-plugins": "OwnerReferencesPermissionEnforcement"}


def manifests() -> list[Manifest]:
    """Return what is applied for the operator's rights."""
    rbac = CONFIG / "rbac"
    return load_manifests([rbac / "operator.yaml", rbac / "scoped-operator-needs.yaml"])


def group() -> Group:
    """Return a row for each rule, and one for all of them."""
    rows = (
        Row("L.0", "all rules: it works", None, partial(_with, None)),
        *(
            Row(f"L.{number}", f"needs {right.words}", None, partial(_with, right))
            for number, right in enumerate(rights_in(manifests()), 1)
        ),
    )
    return Group("the Memcached operator: no rule is idle", _nowhere, rows)


def _with(missing: Right | None, _: World) -> Outcome:
    real = wanted_cluster() == "real"
    if missing is not None and "finalizers" in missing.words and not real:
        raise NotRun("the embedded cluster does not enforce owner references: CLUSTER=real does")
    options: dict[str, Any] = {"apiserver_flags": STRICT} if real else {}
    with (
        tempfile.TemporaryDirectory(prefix="acceptance-") as folder,
        started(Path(folder), "rights", applied=False, **options) as world,
    ):
        world.plane.apply(CONFIG / "crd.yaml")
        world.plane.apply(manifests() if missing is None else missing.without(manifests()))
        began = now()
        try:
            works(world)
        except (Failed, ScopedCacheError) as failure:
            if missing is None:
                raise
            return Outcome(None, {"fails": str(failure).splitlines()[0][:80], "after": now() - began})
    if missing is None:
        return Outcome()
    raise Failed("all works without it: take it out of config/rbac")


def works(world: World) -> None:
    """Lead, take on a custom resource, follow its changes and its Deployment's, let it go, lead on."""
    world.start_operator("--leader-elect")
    leader = eventually("the Lease is held", lambda: None if _renewed(world) else "nobody", within=LEASE_SECONDS)
    world.plane.create_namespace(NAMESPACE)
    world.plane.bind(world.account, NEEDS, namespace=NAMESPACE)
    world.create(NAMESPACE, NAME, 1)
    world.await_success(NAMESPACE, NAME, 1, within=LEASE_SECONDS)
    world.resize(NAMESPACE, NAME, 2)
    world.await_rollout(NAMESPACE, NAME, 2, within=LEASE_SECONDS)
    world.await_success(NAMESPACE, NAME, 2, within=LEASE_SECONDS)
    before = _renewed(world)
    eventually(f"the Lease is renewed {leader:.0f} s later", lambda: _same(world, before), within=LEASE_SECONDS)
    world.delete(NAMESPACE, NAME)
    eventually("it is gone", lambda: _left(world), within=CONVERGED)


def _renewed(world: World) -> str:
    return "".join(str(one["spec"].get("renewTime", "")) for one in world.plane.list(LEASES, world.account.namespace))


def _same(world: World, before: str) -> str | None:
    return "it is as it was" if _renewed(world) == before else None


def _left(world: World) -> str | None:
    return differs("custom resources", len(world.plane.list(MEMCACHEDS)), 0)


@contextmanager
def _nowhere() -> Iterator[World]:
    """Stand for a world: these rows make their own."""
    yield None  # type: ignore[misc]  # nobody looks at it
