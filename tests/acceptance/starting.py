"""Starting what rows run on: the cluster that the environment names, the manifests applied, the operator ready."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scopedcache.errors import ScopedCacheError
from scopedcache.testing import ControlPlane, EmbeddedCluster
from scopedcache.testing.control_plane.binaries import find_binaries
from scopedcache.testing.control_plane.node import find_parts
from scopedcache.testing.embedded import Fault

from .clock import LoopTime, going_by
from .in_process import Inside, virtual_loop
from .world import ACCOUNT, SYSTEM, Cluster, World, set_up

# What every request takes on the embedded cluster: where all happens in one instant, no order of things can be wrong.
LATENCY = 0.005


@contextmanager
def started(
    logs: Path | None, name: str, *, applied: bool = True, apart: bool = False, **options: Any
) -> Iterator[World]:
    """Run a cluster, with the manifests applied unless a row is to do that, and end everything afterwards.

    Args:
        logs: keeps the logs of all parts; a temporary folder by default.
        apart: run the operator as a process on the embedded cluster, too; else it is in here, in virtual time.
    """
    with tempfile.TemporaryDirectory(prefix="acceptance-") as temporary:
        folder = (logs or Path(temporary)) / name
        folder.mkdir(parents=True, exist_ok=True)
        with start_cluster(folder, apart=apart, **options) as (plane, inside):
            if applied:
                set_up(plane)
            world = World(plane, plane.service_account(SYSTEM, ACCOUNT), folder, inside)
            try:
                yield world
            finally:
                world.end()


def check_cluster(*, containers: bool = False) -> None:
    """Raise what is missing where a real cluster is wanted and cannot be started; ValueError for no cluster."""
    if wanted_cluster() != "embedded":
        find_binaries()
    if wanted_cluster() == "node":
        if not containers:
            raise ScopedCacheError("nothing here runs in a Pod; CLUSTER=node is for `make acceptance` without EXAMPLE")
        find_parts()


def wanted_cluster() -> str:
    """Return what the environment variable CLUSTER names: `real` (the default), `node`, or `embedded`."""
    wanted = os.environ.get("CLUSTER", "real")
    if wanted not in ("real", "node", "embedded"):
        raise ValueError(f"CLUSTER is {wanted!r}; it is `real`, `node` or `embedded`")
    return wanted


@contextmanager
def start_cluster(folder: Path, *, apart: bool, **options: Any) -> Iterator[tuple[Cluster, Inside | None]]:
    """Run the cluster that is wanted, and the loop that the rows run on where they are in here."""
    if wanted_cluster() != "embedded":
        with ControlPlane.start(folder=folder, node=wanted_cluster() == "node", **options) as plane:
            yield plane, None
    elif apart:
        with EmbeddedCluster.start(folder=folder, http=True, **options) as plane:
            yield plane, None
    else:
        with EmbeddedCluster.start(folder=folder, **options) as cluster, virtual_loop() as loop:
            cluster.go_by(loop)
            cluster.faults.add(Fault(latency=LATENCY))
            with going_by(LoopTime(loop)):
                yield cluster, Inside(cluster, loop)


@contextmanager
def operated(logs: Path | None, name: str) -> Iterator[World]:
    """Run a control plane with the manifests applied and an operator that is ready."""
    with started(logs, name) as world:
        world.start_operator("--no-leader-elect")
        yield world
