"""The run of a reconciler that code belongs to: what its log lines carry, and what it has written.

It follows the context of the run: into its tasks, into the thread of a plain `def`, and back to the loop from there.
"""

from __future__ import annotations

import secrets
from contextvars import ContextVar
from typing import Final

import attrs

from ..kinds import ObjectKey, Resource
from ..objects import Object


@attrs.define(eq=False)
class ReconcileRun:
    """One run.

    Attributes:
        id: tells its log lines from those of others.
        point: where its key lies on the ring, where replicas share the work.
        writes: how many objects it has written, or deleted, through our client.
    """

    controller: str
    key: ObjectKey
    id: str = attrs.field(factory=lambda: secrets.token_hex(4))
    writes: int = 0
    point: int | None = None


CURRENT_RUN: Final[ContextVar[ReconcileRun | None]] = ContextVar("scopedcache_reconcile_run", default=None)


class WriteCounter:
    """A WriteListener that counts what the runs of one controller write."""

    def __init__(self, controller: str) -> None:
        self._controller = controller

    def written(self, resource: Resource, written: Object) -> None:
        self._count()

    def deleted(self, resource: Resource, key: ObjectKey, uid: str) -> None:
        self._count()

    def _count(self) -> None:
        run = CURRENT_RUN.get()
        if run is not None and run.controller == self._controller:
            run.writes += 1
