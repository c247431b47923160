"""Kubernetes Events about what an operator did or could not do: recorded at once, posted later, at best effort.

Recording never waits and never fails: what the API server does not take (no permission, a namespace that ends) is
counted and dropped. Repeats of an Event raise its count instead of writing a new one.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from cachetools import LRUCache

from ... import metrics
from ...clock import loop_time, wall_time
from ...errors import NotFoundError, ScopedCacheError
from ...event_logger import event_logger
from ...kinds import GVK, ObjectKey
from ...objects import Object
from .event_correlator import EventCorrelator, Post, Subject

if TYPE_CHECKING:
    from ...api import Client

logger: Final = event_logger("scopedcache.controller")

EVENT: Final = GVK("events.k8s.io", "v1", "Event")
# Behind this many unposted Events the server is in trouble, and more of them are no help.
BACKLOG_EVENTS: Final = 1000
POST_TIMEOUT_SECONDS: Final = 10.0
# Names of Events that we have posted: those of the last minutes, for a controller that watches Events.
REMEMBERED_NAMES: Final = 4096


class EventRecorder:
    """Records Events; a runnable posts them.

    Args:
        client: posts them.
        controller: who speaks: a qualified name such as `memcached-operator` or `example.com/memcached`.
        instance: which process speaks; host and process id by default.
    """

    def __init__(
        self,
        client: Client,
        *,
        controller: str = "scopedcache",
        instance: str | None = None,
        instrumentation: metrics.Instrumentation = metrics.NULL,
        timer: Callable[[], float] = loop_time,
        now: Callable[[], datetime] = wall_time,
    ) -> None:
        self._client = client
        self._controller = controller
        self._instance = (instance or f"{socket.gethostname()}-{os.getpid()}")[:128]
        self._instrumentation = instrumentation
        for result in ("posted", "failed", "dropped"):
            instrumentation.increment(metrics.EVENTS_POSTED, 0.0, result=result)
        self._correlator = EventCorrelator()
        self._timer = timer
        self._now = now
        self._names: MutableMapping[ObjectKey, None] = LRUCache(REMEMBERED_NAMES)
        self._backlog: asyncio.Queue[tuple[Subject, Post]] = asyncio.Queue(BACKLOG_EVENTS)

    def record(
        self,
        regarding: Object,
        reason: str,
        note: str,
        *,
        action: str = "Reconcile",
        type: Literal["Normal", "Warning"] = "Normal",
    ) -> None:
        """Note that something happened to an object. Plain: returns at once, raises nothing.

        `reason` and `action` are short CamelCase words for machines, `note` is a sentence for people (cut at 1 KiB).
        """
        subject = Subject(
            api_version=regarding.api_version,
            kind=regarding.kind,
            namespace=regarding.namespace,
            name=regarding.name,
            uid=regarding.uid,
        )
        post = self._correlator.decide(subject, type=type, reason=reason, action=action, note=note, now=self._timer())
        if post is None or self._backlog.full():
            self._count("dropped")
        else:
            self._names[ObjectKey(subject.event_namespace, post.name)] = None
            self._backlog.put_nowait((subject, post))

    def is_own(self, event: Object) -> bool:
        """Tell whether an Event is one of the last that were recorded here."""
        return event.key in self._names

    async def run(self) -> None:
        """Post what is recorded, in order, until cancelled."""
        while True:
            subject, post = await self._backlog.get()
            try:
                async with asyncio.timeout(POST_TIMEOUT_SECONDS):
                    await self._send(subject, post)
                self._count("posted")
            except (ScopedCacheError, TimeoutError) as error:
                self._correlator.forget(post)
                self._count("failed")
                logger.debug("event.not_posted", extra={"regarding": str(subject), "error": str(error)})
            except Exception:
                self._correlator.forget(post)
                self._count("failed")
                logger.exception("event.not_posted", extra={"regarding": str(subject)})
            finally:
                self._backlog.task_done()

    async def flush(self) -> None:
        """Wait until everything recorded so far was tried."""
        await self._backlog.join()

    async def _send(self, subject: Subject, post: Post) -> None:
        if post.count > 1:
            series = {"series": {"count": post.count, "lastObservedTime": self._micro()}}
            try:
                await self._client.patch(EVENT, post.name, series, namespace=subject.event_namespace)
                return
            except NotFoundError:
                pass  # it expired, or was never posted: begin anew
        await self._client.create(self._body(subject, post))

    def _body(self, subject: Subject, post: Post) -> dict[str, Any]:
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {"name": post.name, "namespace": subject.event_namespace},
            "eventTime": self._micro(),
            "reportingController": self._controller,
            "reportingInstance": self._instance,
            "type": post.type,
            "reason": post.reason,
            "action": post.action,
            "note": post.note,
            "regarding": subject.reference(),
        }

    def _micro(self) -> str:
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _count(self, result: str) -> None:
        self._instrumentation.increment(metrics.EVENTS_POSTED, result=result)
