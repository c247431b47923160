"""What the storage holds and tells of: an object at one version, and a change."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

import msgspec

from ..clock import wall
from ..kinds.kind import Kind
from ..wire.status_errors import Body

EventType = Literal["ADDED", "MODIFIED", "DELETED"]

DELETION_GRACE_SECONDS: Final = 30

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Stored:
    """An object at one version. Its body must not be changed."""

    __slots__ = ("_raw", "body", "kind", "version")

    def __init__(self, kind: Kind, body: Body, version: int) -> None:
        self.kind = kind
        self.body = body
        self.version = version
        self._raw: bytes | None = None

    @property
    def raw(self) -> bytes:
        """Return the JSON, made once: kind, apiVersion and metadata come first, as real servers write them."""
        if self._raw is None:
            self._raw = _encode(self.body)
        return self._raw

    @property
    def metadata(self) -> Body:
        return self.body["metadata"]  # type: ignore[no-any-return]

    @property
    def name(self) -> str:
        return str(self.metadata["name"])

    @property
    def namespace(self) -> str:
        return str(self.metadata.get("namespace", ""))

    @property
    def uid(self) -> str:
        return str(self.metadata["uid"])

    @property
    def deleting(self) -> bool:
        return "deletionTimestamp" in self.metadata

    def grace(self, wanted: int | None) -> int:
        """Return the seconds a deletion waits: only Pods that have a node do."""
        spec = self.body.get("spec") or {}
        if self.kind.key != ("", "pods") or not spec.get("nodeName"):
            return 0
        if (self.body.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            return 0
        if wanted is not None:
            return wanted
        return int(spec.get("terminationGracePeriodSeconds", DELETION_GRACE_SECONDS))

    def copy(self) -> Body:
        """Return a body that belongs to the caller."""
        return _decode(self.raw)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<Stored {self.kind} {self.namespace}/{self.name} at {self.version}>"


class Event(NamedTuple):
    """A change: what there is now (of a deleted object its last state), and what there was before."""

    type: EventType
    stored: Stored
    previous: Stored | None

    @property
    def kind(self) -> Kind:
        return self.stored.kind

    @property
    def version(self) -> int:
        return self.stored.version


def timestamp(now: float, after: float = 0.0) -> str:
    """Return a time, or one so many seconds after it, as metadata carries it: in whole seconds of the wall clock."""
    return _second(int(wall(now) + after))


@functools.lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
