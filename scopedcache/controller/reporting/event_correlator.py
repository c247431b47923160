"""Which Events are worth a request: repeats are counted, floods are cut. Plain decisions, the clock comes in.

The limits are client-go's (tools/record/events_cache.go): what happened before in the last 10 min raises the count of
its Event; past 10 notes that differ only in their words, one Event stands for all; an object may cause 25 requests at
once, then one every 5 min.
"""

from __future__ import annotations

import itertools
from collections.abc import MutableMapping
from typing import Final, Literal

import attrs
from cachetools import LRUCache

EventType = Literal["Normal", "Warning"]

WINDOW_SECONDS: Final = 600.0
ALIKE_LIMIT_NOTES: Final = 10
BURST_EVENTS: Final = 25
REFILL_SECONDS: Final = 300.0
REMEMBERED_OBJECTS: Final = 4096
# What events.k8s.io/v1 takes.
REASON_LIMIT_CHARACTERS: Final = 128
NOTE_LIMIT_BYTES: Final = 1024
# Leaves room for the time and the number behind it.
NAME_LIMIT_CHARACTERS: Final = 200
COMBINED_PREFIX: Final = "(combined from similar events): "


@attrs.frozen
class Subject:
    """The object an Event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str

    @property
    def event_namespace(self) -> str:
        """Return where its Events live."""
        return self.namespace or "default"

    def reference(self) -> dict[str, str]:
        """Return the object reference of an Event."""
        fields = attrs.asdict(self)
        return {"apiVersion": fields.pop("api_version"), **{name: value for name, value in fields.items() if value}}

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@attrs.frozen
class Post:
    """One request to make: create the Event `name` (count 1), or raise its count.

    `series` tells the correlator which series it belongs to.
    """

    name: str
    type: EventType
    reason: str
    action: str
    note: str
    count: int
    series: tuple[str, ...]


@attrs.define
class _Series:
    name: str
    count: int
    last: float


@attrs.define
class _Bucket:
    tokens: float
    at: float


@attrs.define
class _Notes:
    seen: set[str]
    since: float


class EventCorrelator:
    """Remembers what was posted in the last minutes, for a bounded number of objects."""

    def __init__(self) -> None:
        self._series: MutableMapping[tuple[str, ...], _Series] = LRUCache(REMEMBERED_OBJECTS)
        self._notes: MutableMapping[tuple[str, ...], _Notes] = LRUCache(REMEMBERED_OBJECTS)
        self._buckets: MutableMapping[str, _Bucket] = LRUCache(REMEMBERED_OBJECTS)
        self._numbers = itertools.count(1)

    def decide(
        self, subject: Subject, *, type: EventType, reason: str, action: str, note: str, now: float
    ) -> Post | None:
        """Return the request to make for something that happened; None where it is one too many."""
        reason, action = reason[:REASON_LIMIT_CHARACTERS], action[:REASON_LIMIT_CHARACTERS]
        alike = (subject.uid, subject.namespace, subject.name, type, reason, action)
        series, words = self._which_series(alike, note, now)
        if not self._has_token(subject, now):
            return None
        run = self._series.get(series)
        if run is None or now - run.last > WINDOW_SECONDS:
            run = self._series[series] = _Series(self._new_name(subject, now), 0, now)
        run.count, run.last = run.count + 1, now
        return Post(run.name, type, reason, action, _cut(words), run.count, series)

    def forget(self, post: Post) -> None:
        """Say that a post did not reach the server: the next of its series starts anew."""
        self._series.pop(post.series, None)

    def _which_series(self, alike: tuple[str, ...], note: str, now: float) -> tuple[tuple[str, ...], str]:
        notes = self._notes.get(alike)
        if notes is None or now - notes.since > WINDOW_SECONDS:
            notes = self._notes[alike] = _Notes(set(), now)
        if note not in notes.seen and len(notes.seen) >= ALIKE_LIMIT_NOTES:
            return alike, COMBINED_PREFIX + note
        notes.seen.add(note)
        return (*alike, note), note

    def _has_token(self, subject: Subject, now: float) -> bool:
        key = subject.uid or str(subject)
        bucket = self._buckets.setdefault(key, _Bucket(BURST_EVENTS, now))
        bucket.tokens = min(float(BURST_EVENTS), bucket.tokens + (now - bucket.at) / REFILL_SECONDS)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def _new_name(self, subject: Subject, now: float) -> str:
        # Unique among processes by the time, within one by the number.
        return f"{subject.name[:NAME_LIMIT_CHARACTERS]}.{int(now * 1e9):x}.{next(self._numbers):x}"


def _cut(note: str) -> str:
    """Return as much of a note as an Event takes, whole characters only."""
    return note.encode()[:NOTE_LIMIT_BYTES].decode(errors="ignore")
