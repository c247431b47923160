"""The run of a reconciler that code belongs to: what its log lines carry, and what it has written.

It follows the context of the run: into its tasks, into the thread of a plain `def`, and back to the loop from there.
"""

from __future__ import annotations

import secrets
from contextvars import ContextVar
from typing import Final

import attrs

from ..api.write_tally import WriteTally
from ..kinds import ObjectKey


@attrs.define(eq=False)
class ReconcileRun:
    """One run.

    Attributes:
        id: tells its log lines from those of others.
        point: where its key lies on the ring, where replicas share the work.
        tally: how many objects it has written, or deleted, through clients of ours.
    """

    controller: str
    key: ObjectKey
    id: str = attrs.field(factory=lambda: secrets.token_hex(4))
    tally: WriteTally = attrs.field(factory=WriteTally)
    point: int | None = None


CURRENT_RUN: Final[ContextVar[ReconcileRun | None]] = ContextVar("scopedcache_reconcile_run", default=None)
