"""Telling an object that its operator may not do what it needs: in its status where there is room, else by an Event.

The default sets the condition `Permitted` to False, naming verb, resource and place, and back to True with the first
reconcile that succeeds again. Whether a kind has `status.conditions` is not worth a look at its schema: the server
drops fields it does not know, so the answer to the first attempt tells.

A report wakes nobody whom it reports about (`own_reports.py`), and it is not a quarrel: what the reconciler says itself
in a condition `Permitted` stands, and a condition of ours that it takes out stays out. An Event tells then, as it does
where the status may not be written.

Best effort: nothing here fails a reconcile.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from ...clock import loop_time, wall_time
from ...errors import ConflictError, ForbiddenError, InvalidError, NotFoundError, ScopedCacheError
from ...event_logger import event_logger
from ...kinds import ObjectKey
from ...objects import Entry, Object
from .conditions import find_condition, set_condition
from .event_recorder import EventRecorder
from .own_reports import OwnReports
from .status import patch_status

if TYPE_CHECKING:
    from ...api import Client

logger: Final = event_logger("scopedcache.controller")

StatusPatch = Mapping[str, Any]
# Given the owner and what was refused; returns what to merge into the owner's `status`, None for nothing.
OnForbidden = Callable[[Object, ForbiddenError], StatusPatch | Awaitable[StatusPatch | None] | None]

PERMITTED: Final = "Permitted"
FORBIDDEN: Final = "Forbidden"
WORDS_OF_REFUSAL: Final = "may not "
# After a status was refused us, no other one is tried in its namespace for so long.
STATUS_REFUSED_SECONDS: Final = 60.0
# A conflict means that somebody else wrote the status just now: more than a few in a row is a fight.
PATCH_ATTEMPTS: Final = 4
PATCH_TIMEOUT_SECONDS: Final = 10.0


class ForbiddenReporter:
    """Reports the denials of one controller.

    Args:
        on_forbidden: replaces the default; then taking the report back is the reconciler's own business.
        reports: is told what is written here, so that it wakes nobody.
        on_news: called with the key of an object that somebody else has changed under a report.
    """

    def __init__(
        self,
        client: Client,
        recorder: EventRecorder,
        on_forbidden: OnForbidden | None = None,
        *,
        reports: OwnReports | None = None,
        on_news: Callable[[ObjectKey], None] = lambda key: None,
        now: Callable[[], datetime] = wall_time,
        timer: Callable[[], float] = loop_time,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._on_forbidden = on_forbidden
        self._reports = OwnReports() if reports is None else reports
        self._on_news = on_news
        self._now = now
        self._timer = timer
        self._has_conditions: bool | None = None  # not known yet
        self._reported: dict[ObjectKey, str] = {}  # the version that our condition was added to
        self._status_refused: dict[str, float] = {}  # by namespace: until when no status is tried there

    async def report(self, owner: Object, error: ForbiddenError) -> None:
        """Tell that this owner's reconcile was refused; writes only what changed."""
        try:
            async with asyncio.timeout(PATCH_TIMEOUT_SECONDS):
                await self._report(owner, error)
        except (Exception, asyncio.CancelledError, SystemExit) as trouble:
            _log_not_reported(owner, trouble)

    async def take_back(self, owner: Object) -> None:
        """Take the default report back, where there is one."""
        # The bytes tell without decoding that there is nothing to take back: this runs after every success.
        if self._on_forbidden is not None:
            return
        if owner.key not in self._reported and PERMITTED.encode() not in Entry.of(owner).body:
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
            self._reported.pop(owner.key, None)

    def forget(self, key: ObjectKey) -> None:
        """Say that the owner is gone."""
        self._reported.pop(key, None)
        self._reports.forget(key)

    async def _report(self, owner: Object, error: ForbiddenError) -> None:
        if self._is_about_status(owner, error):
            self._note_refused_status(owner)
        if self._may_try_status(owner):
            try:
                if await self._write_status(owner, error):
                    return
            except ForbiddenError as refusal:
                self._note_refused_status(owner)
                _log_not_reported(owner, refusal)
        self._recorder.record(owner, FORBIDDEN, _words(error), type="Warning")

    async def _write_status(self, owner: Object, error: ForbiddenError) -> bool:
        """Write what is to be said into the status; tell whether there was room for it."""
        if self._on_forbidden is None:
            return await self._set_permitted(owner, False, FORBIDDEN, _words(error))
        await self._patch(owner, lambda fresh: self._ask_author(fresh, error))
        return True

    def _is_about_status(self, owner: Object, error: ForbiddenError) -> bool:
        """Tell whether it was a patch of this very status that was refused: another one would be, too."""
        resource = self._client.discovery.known(owner.gvk)
        return (
            error.verb == "patch"
            and resource is not None
            and error.resource == f"{resource.gvr.group_resource}/status"
            and (error.namespace or "") in ("", owner.namespace)
        )

    def _note_refused_status(self, owner: Object) -> None:
        self._status_refused[owner.namespace] = self._timer() + STATUS_REFUSED_SECONDS

    def _may_try_status(self, owner: Object) -> bool:
        until = self._status_refused.get(owner.namespace)
        if until is not None and self._timer() >= until:
            del self._status_refused[owner.namespace]
            return True
        return until is None

    async def _ask_author(self, owner: Object, error: ForbiddenError) -> StatusPatch | None:
        assert self._on_forbidden is not None
        answer = self._on_forbidden(owner, error)
        return await answer if inspect.isawaitable(answer) else answer

    async def _set_permitted(self, owner: Object, status: bool, reason: str, message: str) -> bool:
        """Write the condition; tell whether the owner's kind has room for it."""
        if self._has_conditions is False and owner.at("status", "conditions") is None:
            return False

        async def patch(fresh: Object) -> StatusPatch | None:
            if not self._is_ours_to_say(fresh):
                return None
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
        if answer is None:
            return False
        self._has_conditions = find_condition(answer.at("status", "conditions"), PERMITTED) is not None
        if self._has_conditions:
            self._reported.setdefault(owner.key, owner.resource_version)
        return self._has_conditions

    def _is_ours_to_say(self, owner: Object) -> bool:
        """Tell whether the condition is, or would be, of our words: the reconciler's own are left alone.

        A condition that we wrote, and that is not there any more, was taken out by somebody who replaces them all.
        """
        found = find_condition(owner.at("status", "conditions"), PERMITTED)
        if found is None:
            return self._reported.get(owner.key) in (None, owner.resource_version)
        words = (found.get("reason"), found.get("message") or "")
        return words == (PERMITTED, "") or (words[0] == FORBIDDEN and words[1].startswith(WORDS_OF_REFUSAL))

    async def _take_back(self, owner: Object) -> None:
        # The cache may not have seen our own report yet.
        current = owner if PERMITTED.encode() in owner.to_json() else await self._client.get(owner.gvk, owner.key)
        condition = find_condition(current.at("status", "conditions"), PERMITTED)
        if condition is not None and condition.get("status") == "False":
            await self._set_permitted(current, True, PERMITTED, "")
            self._reported.pop(owner.key, None)

    async def _patch(self, owner: Object, make: Callable[[Object], Awaitable[StatusPatch | None]]) -> Object | None:
        for attempt in range(1, PATCH_ATTEMPTS + 1):
            status = await make(owner)
            if status is None:
                return None
            try:
                return await self._send(owner, status)
            except ConflictError:
                if attempt == PATCH_ATTEMPTS:
                    raise
                fresh = await self._client.get(owner.gvk, owner.key)
                if fresh.uid != owner.uid:
                    return None  # another object by now
                owner = fresh
        raise AssertionError("unreachable")

    async def _send(self, owner: Object, status: StatusPatch) -> Object:
        answer: Object | None = None
        self._reports.begin(owner)
        try:
            answer = await patch_status(self._client, owner, status)
        finally:
            if self._reports.end(owner.key, answer):
                self._on_news(owner.key)
        return answer


def _words(error: ForbiddenError) -> str:
    """Return all that is missing, in words."""
    return WORDS_OF_REFUSAL + ", ".join(error.subjects)


def _log_not_reported(owner: Object, trouble: BaseException) -> None:
    if (level := _level(trouble)) is not None:
        logger.log(level, "denial.not_reported", extra=_fields(owner, trouble), exc_info=level >= logging.ERROR)


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
