"""One row of the table on one server, and what was not as it should be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from scopedcache.testing import virtual_time

from .gate import Gate
from .rows import Row
from .servers import Embedded, Real
from .stage import Outcome, perform


def run_embedded(row: Row, seed: int = 0) -> Outcome:
    """Run a row on an embedded cluster of its own, in virtual time."""
    with Embedded.running(members=row.members, seed=seed) as server:
        return virtual_time.run(perform(server, row.fault, name=row.name, places=row.places, seed=seed))


def run_real(row: Row, seed: int = 0) -> Outcome:
    """Run a row on a real control plane of its own."""
    with Real.running(members=row.members, by_certificate=row.by_certificate) as server:
        return asyncio.run(_perform_real(server, row, seed))


async def _perform_real(server: Real, row: Row, seed: int) -> Outcome:
    async with Gate.to(server.plane.urls).listening() as gate:
        server.gate = gate if row.members > 1 or row.through_gate else None
        return await perform(server, row.fault, name=row.name, places=row.places, seed=seed)


def complaints(row: Row, came: Outcome) -> Sequence[str]:
    """Return what was not as the row says."""
    found = []
    told = set(came.reads.split("; ")) - set(row.reads)
    if told:
        found.append(f"readers were told {sorted(told)}")
    if came.recovery > row.recovery:
        found.append(f"it took {came.recovery:.1f} s to recover, {row.recovery:g} s are allowed")
    if came.rate > row.rate:
        found.append(f"{came.rate:.1f} requests/s, {row.rate:g} are allowed")
    if came.denied and not row.denies:
        found.append(f"rights were believed to be lost {came.denied} times")
    return found
