"""Telling an object that its operator may not do what it needs: in its status where there is room, else by an Event.

The default sets the condition `Permitted` to False, naming verb, resource and place, and back to True with the first
reconcile that succeeds again. Whether a kind has `status.conditions` is not worth a look at its schema: the server
drops fields it does not know, so the answer to the first attempt tells.

Best effort: nothing here fails a reconcile.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from ...clock import wall_time
from ...errors import ConflictError, ForbiddenError, InvalidError, NotFoundError, ScopedCacheError
from ...kinds import ObjectKey
from ...objects import Entry, Object
from .conditions import find_condition, set_condition
from .event_recorder import EventRecorder
from .status import patch_status

if TYPE_CHECKING:
    from ...api import Client

logger = logging.getLogger("scopedcache.controller")

StatusPatch = Mapping[str, Any]
# Given the owner and what was refused; returns what to merge into the owner's `status`, None for nothing.
OnForbidden = Callable[[Object, ForbiddenError], StatusPatch | Awaitable[StatusPatch | None] | None]

PERMITTED: Final = "Permitted"
# A conflict means that somebody else wrote the status just now: more than a few in a row is a fight.
PATCH_ATTEMPTS: Final = 4
PATCH_TIMEOUT_SECONDS: Final = 10.0


class ForbiddenReporter:
    """Reports the denials of one controller.

    Args:
        on_forbidden: replaces the default; then taking the report back is the reconciler's own business.
    """

    def __init__(
        self,
        client: Client,
        recorder: EventRecorder,
        on_forbidden: OnForbidden | None = None,
        *,
        now: Callable[[], datetime] = wall_time,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._on_forbidden = on_forbidden
        self._now = now
        self._has_conditions: bool | None = None  # not known yet
        self._reported: set[ObjectKey] = set()

    async def report(self, owner: Object, error: ForbiddenError) -> None:
        """Tell that this owner's reconcile was refused; writes only what changed."""
        try:
            async with asyncio.timeout(PATCH_TIMEOUT_SECONDS):
                await self._report(owner, error)
        except (Exception, asyncio.CancelledError, SystemExit) as trouble:
            if (level := _level(trouble)) is not None:
                logger.log(level, "denial.not_reported", extra=_fields(owner, trouble), exc_info=level >= logging.ERROR)

    async def take_back(self, owner: Object) -> None:
        """Take the default report back, where there is one."""
        # The bytes tell without decoding that there is nothing to take back: this runs after every success.
        if self._on_forbidden is not None:
            return
        if owner.key not in self._reported and PERMITTED.encode() not in Entry.of(owner).raw:
            return
        try:
            async with asyncio.timeout(PATCH_TIMEOUT_SECONDS):
                await self._take_back(owner)
        except (Exception, asyncio.CancelledError, SystemExit) as trouble:
            if (level := _level(trouble)) is not None:
                logger.log(
                    level, "denial.not_taken_back", extra=_fields(owner, trouble), exc_info=level >= logging.ERROR
                )
        else:
            self._reported.discard(owner.key)

    def forget(self, key: ObjectKey) -> None:
        """Say that the owner is gone."""
        self._reported.discard(key)

    async def _report(self, owner: Object, error: ForbiddenError) -> None:
        if self._on_forbidden is not None:
            await self._patch(owner, lambda fresh: self._ask_author(fresh, error))
            return
        missing = f"may not {', '.join(error.subjects)}"
        if not await self._set_permitted(owner, False, "Forbidden", missing):
            self._recorder.record(owner, "Forbidden", missing, type="Warning")

    async def _ask_author(self, owner: Object, error: ForbiddenError) -> StatusPatch | None:
        assert self._on_forbidden is not None
        answer = self._on_forbidden(owner, error)
        return await answer if inspect.isawaitable(answer) else answer

    async def _set_permitted(self, owner: Object, status: bool, reason: str, message: str) -> bool:
        """Write the condition; tell whether the owner's kind has room for it."""
        if self._has_conditions is False and owner.at("status", "conditions") is None:
            return False

        async def patch(fresh: Object) -> StatusPatch:
            conditions = set_condition(
                fresh.at("status", "conditions"),
                PERMITTED,
                status,
                reason,
                message,
                observed_generation=fresh.generation or None,
                now=self._now(),
            )
            return {"conditions": conditions}

        try:
            answer = await self._patch(owner, patch)
        except (InvalidError, NotFoundError):
            return False  # the schema demands more of a status, or there is no status subresource
        if answer is not None:
            self._has_conditions = find_condition(answer.at("status", "conditions"), PERMITTED) is not None
        if not self._has_conditions:
            return False
        self._reported.add(owner.key)
        return True

    async def _take_back(self, owner: Object) -> None:
        # The cache may not have seen our own report yet.
        current = owner if PERMITTED.encode() in owner.to_json() else await self._client.get(owner.gvk, owner.key)
        condition = find_condition(current.at("status", "conditions"), PERMITTED)
        if condition is not None and condition.get("status") == "False":
            await self._set_permitted(current, True, PERMITTED, "")
            self._reported.discard(owner.key)

    async def _patch(self, owner: Object, make: Callable[[Object], Awaitable[StatusPatch | None]]) -> Object | None:
        for attempt in range(1, PATCH_ATTEMPTS + 1):
            status = await make(owner)
            if status is None:
                return None
            try:
                return await patch_status(self._client, owner, status)
            except ConflictError:
                if attempt == PATCH_ATTEMPTS:
                    raise
                fresh = await self._client.get(owner.gvk, owner.key)
                if fresh.uid != owner.uid:
                    return None  # another object by now
                owner = fresh
        raise AssertionError("unreachable")


def _level(trouble: BaseException) -> int | None:
    """Return how loud to say what went wrong, None for not at all; the cancellation of our own task is let through."""
    task = asyncio.current_task()
    if isinstance(trouble, asyncio.CancelledError) and task is not None and task.cancelling():
        raise trouble
    if isinstance(trouble, NotFoundError):
        return None  # the owner went away meanwhile
    return logging.WARNING if isinstance(trouble, ScopedCacheError | TimeoutError) else logging.ERROR


def _fields(owner: Object, trouble: BaseException) -> dict[str, str]:
    return {"kind": owner.kind, "key": str(owner.key), "error": str(trouble)}
