"""What to ask the server next, and what each answer means: the state machine of one list+watch.

Plain and synchronous: `next` says what to do, the other methods take in what came of it. reflector_loop.py drives it.

    listing ──complete──▶ watching ──410──▶ listing
       │  ▲                  │  ▲
       │  └── pause ◀─error──┘  └── end of stream: resume at the last version
       └─ 403, 401: the next step waits for a verdict first
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import attrs

from ..backoff import Backoff
from ..errors import (
    APIError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    ProtocolError,
    ScopedCacheError,
    ServerError,
    TooManyRequestsError,
    UnauthorizedError,
)

# A streaming list without its end mark is given up after this long, and a paged list is tried instead.
LIST_DEADLINE_SECONDS: Final = 60.0
# A watch that lasted this long was healthy: the next failure starts with the smallest pause again.
HEALTHY_SECONDS: Final = 5.0
# Watches of one kind end together (a CRD edit closes them all); reconnects spread over this many seconds.
RECONNECT_SPREAD_SECONDS: Final = 1.0
# Retries of a resource version from the future before it is given up (another replica, or a restored etcd).
TOO_NEW_RETRIES: Final = 3
# Times that a watch may be unreadable at the same version: an event that stays unreadable is passed by with a list.
GARBLED_RETRIES: Final = 2


@attrs.define
class ServerFeatures:
    """What was learnt about one API server, shared by all reflectors that talk to it."""

    streaming_lists: bool = True


@attrs.frozen
class StreamingList:
    """Open a watch that begins with the whole list. Always a consistent one: it cannot go back in time."""


@attrs.frozen
class PagedList:
    """List page by page."""


@attrs.frozen
class Watch:
    """Open a watch at a version."""

    version: str


Ask = StreamingList | PagedList | Watch


@attrs.frozen
class Next:
    """What to do: wait `pause` seconds, then `ask`. `gated`: first wait until the verdict lets us ask again."""

    ask: Ask
    pause: float = 0.0
    gated: bool = False


ReflectorState = Literal["listing", "watching"]


class Reflector:
    """The memory of one list+watch."""

    def __init__(
        self,
        server: ServerFeatures | None = None,
        *,
        chance: Callable[[], float],
        backoff: Backoff | None = None,
    ) -> None:
        self.state: ReflectorState = "listing"
        self.version = ""
        self.seen = ""  # the last version there was, kept while a list is made
        self._server = server or ServerFeatures()
        self._backoff = backoff or Backoff(chance=chance)
        self._chance = chance
        self._paged = False  # for good: a streaming list did not work out here
        self._paged_once = False
        self._garbled = 0
        self._pause = 0.0
        self._gated = False
        self._too_new = 0
        self.relists = 0

    def next(self) -> Next:
        """Return what to do now."""
        pause, gated = self._pause, self._gated
        self._pause, self._gated = 0.0, False
        if self.state == "watching":
            return Next(Watch(self.version), pause, gated)
        return Next(StreamingList() if self._streams else PagedList(), pause, gated)

    def listed(self, version: str) -> None:
        """A list is complete, as of `version`."""
        self.state = "watching"
        self.version = self.seen = version
        self._too_new = self._garbled = 0
        self._paged_once = False

    def progressed(self, version: str) -> None:
        """An event or a bookmark moved the version."""
        if version:
            self.version = self.seen = version
            self._garbled = 0

    def ended(self, lasted: float, asked: float) -> None:
        """The server ended the stream, `lasted` seconds after it began. It says nothing about rights.

        `asked` is how long it was to last: a short one that lasted nearly that long was healthy too.
        """
        if self.state == "listing":  # before the end mark: what came is no list
            self._pause = self._backoff.next()
        elif lasted >= min(HEALTHY_SECONDS, asked / 2):
            self._backoff.reset()
            self._pause = self._chance() * RECONNECT_SPREAD_SECONDS
        else:
            self._pause = self._backoff.next()

    def overdue(self) -> None:
        """A streaming list did not end in time."""
        self._paged = True
        self._pause = self._backoff.next()

    def broken(self) -> None:
        """Our own side failed in the middle of something: begin with a list."""
        self.state = "listing"

    def failed(self, error: ScopedCacheError, lasted: float) -> None:
        """Asking, or the stream, failed with this."""
        if lasted >= HEALTHY_SECONDS:
            self._backoff.reset()
        streamed = self.state == "listing" and self._streams
        if streamed and _about_the_way(error):
            self._paged_once = True  # as client-go does: whatever is wrong with a streaming list, try the other kind
        match error:
            case GoneError():
                self._relist()
            case ForbiddenError() | UnauthorizedError():
                # State and version stay: a false alarm resumes where it was. The pause is for callers without a gate.
                self._gated = True
                self._pause = self._backoff.next()
            case TooManyRequestsError():
                self._pause = error.retry_after + self._chance()
            case InvalidError() if streamed:
                self._server.streaming_lists = not _about_streaming(error)
            case NotFoundError():
                self.state, self.version = "listing", ""
                self._pause = self._backoff.next()
            case ServerError() if _too_new(error):
                self._future(error)
            case ServerError(retry_after=float() as wait):
                self._pause = max(wait, self._backoff.next())
            case ProtocolError() if self.state == "watching":
                self._unreadable()
            case _:
                self._pause = self._backoff.next()

    def _relist(self) -> None:
        self.state = "listing"
        self.version = ""
        self.relists += 1
        self._pause = self._chance() * RECONNECT_SPREAD_SECONDS if self.relists == 1 else self._backoff.next()

    @property
    def _streams(self) -> bool:
        """Tell whether the next list is a streaming one."""
        return self._server.streaming_lists and not self._paged and not self._paged_once

    def _unreadable(self) -> None:
        self._garbled += 1
        self._pause = self._backoff.next()
        if self._garbled > GARBLED_RETRIES:
            self._garbled = 0
            self._relist()

    def _future(self, error: ServerError) -> None:
        self._too_new += 1
        self._pause = error.retry_after or self._backoff.next()
        if self._too_new > TOO_NEW_RETRIES:
            self._too_new = 0
            self._relist()

    def __repr__(self) -> str:
        return f"<Reflector {self.state} version={self.version or '-'}>"


def _about_the_way(error: ScopedCacheError) -> bool:
    """Tell whether asking in another way may help: not against missing rights, a missing kind, or a busy server."""
    return isinstance(error, InvalidError | ServerError | ProtocolError) or type(error) is APIError


def _about_streaming(error: InvalidError) -> bool:
    """Tell whether the server does not know streaming lists; anything else may be wrong with our selectors alone."""
    fields = {cause.get("field") for cause in error.details.get("causes") or ()}
    return error.status == 422 and bool(fields & {"sendInitialEvents", "resourceVersionMatch"})


def _too_new(error: ServerError) -> bool:
    causes = error.details.get("causes") or ()
    return error.status == 504 and any(cause.get("reason") == "ResourceVersionTooLarge" for cause in causes)
