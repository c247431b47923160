"""What to ask the server next, and what each answer means: the state machine of one list+watch.

Plain and synchronous: `next` says what to do, the other methods take in what came of it. reflector_loop.py drives it.

    listing ──complete──▶ watching ──gone, absent, or too many tries──▶ listing
       │  ▲                  │  ▲
       │  └── pause ◀─error──┘  └── end of stream: resume at the last version
       └─ refused: the next step waits for a verdict first

A watch resumes at the version it had come to, as long as that may help. `TRIES` says how often it is tried at one and
the same version, by the trouble it met; then the version is given up for a list:

    trouble      tries  what it is
    gone         0      the version is too old (410, or a reason that says so)
    absent       0      404: the kind is not served
    unreadable   2      what came is no watch: rubbish, HTML, half a line, a line over the limit
    failing      3      every other error, and a stream that ended at once, or was cut, without a word
    future       3      the server does not know a version that new yet
    silent       8      a stream that lasted, and was cut without a word
    refused      -      401, 403: whether the right is gone is for a verdict to say, and a list needs it as well
    busy         -      429: the server says when
    unreachable  -      nobody answered, so nobody refused the version

A server that was restored from an older state takes a watch at a version of its future, says nothing on it until it has
come that far, and never tells what was undone. So where nobody answered, a stream was cut, or the server was away to
anybody, it is asked before the watch goes on whether its history is still the one that was seen: by a list of the one
object, at that version, that was heard of last. Quiet streams that are cut all the time are asked about once. After an
outage the watch goes on from that last event, not from a later bookmark: a restored server may have put other events in
between by then.

Pauses grow, and end sooner when the server answers again after it was away to everybody: the back-off is for a server
that is there. How much sooner differs from informer to informer, and comes to nothing where that does not help: each
time that a watch was not healthy after it, the moment is put off twice as far.

client-go gives a version up after every error but the last two, and, for some time, internal errors.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Final, Literal, get_args

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
    TransportError,
    UnauthorizedError,
)
from .last_event import LastEvent

# A streaming list without its end mark is given up after this long, and a paged list is tried instead.
LIST_DEADLINE_SECONDS: Final = 60.0
# A watch that lasted this long was healthy: the next failure starts with the smallest pause again.
HEALTHY_SECONDS: Final = 5.0
# Watches of one kind end together (a CRD edit closes them all); reconnects spread over this many seconds.
RECONNECT_SPREAD_SECONDS: Final = 1.0
# No pause that a server asks for is longer: a date far away, or a slip of its clock, must not end a view for good.
LONGEST_PAUSE_SECONDS: Final = 300.0

# The moment after a server is back is put off so often at most, twice as far each time.
WAKES: Final = 5

# Lists in pages that outlived the token of their next page, before the list is asked for in one page.
EXPIRED_PAGES: Final = 1

Trouble = Literal[
    "gone", "absent", "unreadable", "failing", "future", "silent", "refused", "busy", "unreachable",
]  # fmt: skip
TROUBLES: Final[tuple[Trouble, ...]] = get_args(Trouble)
# Tries at one version before it is given up for a list.
TRIES: Final[dict[Trouble, float]] = {
    "gone": 0,
    "absent": 0,
    "unreadable": 2,
    "failing": 3,
    "future": 3,
    # Ten minutes, at 75 s each: some servers send no bookmarks, and quiet kinds of theirs are not to be listed often.
    "silent": 8,
    "refused": math.inf,
    "busy": math.inf,
    "unreachable": math.inf,
}


@attrs.define
class ServerFeatures:
    """What was learnt about one API server, shared by all reflectors that talk to it.

    Attributes:
        streaming_lists: whether it knows watches that begin with a list.
        whole_objects_only: groups of which it hands out no metadata alone. By group, for aggregated servers stand
            behind one address with others: to keep whole objects of every kind for one of them would be dear.
    """

    streaming_lists: bool = True
    whole_objects_only: set[str] = attrs.field(factory=set)


@attrs.frozen
class StreamingList:
    """Open a watch that begins with the whole list. Always a consistent one: it cannot go back in time."""


@attrs.frozen
class PagedList:
    """List page by page. `whole`: in one page, because the list outlives the tokens that lead through its pages."""

    whole: bool = False


@attrs.frozen
class Watch:
    """Open a watch at a version."""

    version: str


@attrs.frozen
class VersionCheck:
    """Ask whether a version, and what was heard last, are of the server's history.

    `last` None: nothing was heard since the list.
    """

    version: str
    last: LastEvent | None = None


Ask = StreamingList | PagedList | Watch | VersionCheck


@attrs.frozen
class Next:
    """What to do: wait `pause` seconds, then `ask`, for metadata alone where `metadata_only` says so.

    `gated`: first wait until the verdict lets us ask again.
    `spread`: where the server is back from an outage, the pause ends so many seconds after that, and not before `least`
    seconds have passed, which it asked for; None: the pause is as long as it is.
    """

    ask: Ask
    pause: float = 0.0
    gated: bool = False
    metadata_only: bool = False
    spread: float | None = None
    least: float = 0.0


ReflectorState = Literal["listing", "watching"]


class Reflector:
    """The memory of one list+watch.

    Args:
        server: what is known about the server, to be read and added to.
        group: the API group that is asked for.
        metadata_only: metadata alone is wanted; each step says whether to ask for that.
    """

    def __init__(
        self,
        server: ServerFeatures | None = None,
        *,
        group: str = "",
        metadata_only: bool = False,
        chance: Callable[[], float],
        backoff: Backoff | None = None,
    ) -> None:
        self.state: ReflectorState = "listing"
        self.version = ""
        self.seen = ""  # the last version there was, kept while a list is made
        self._server = server or ServerFeatures()
        self._group = group
        self._wants_metadata = metadata_only
        self._backoff = backoff or Backoff(chance=chance)
        self._chance = chance
        self._paged = False  # for good: a streaming list did not work out here
        self._paged_once = False
        self._expired_pages = 0
        self._tries: Counter[Trouble] = Counter()  # what watches at this version met
        self._open = False  # a stream was accepted for what was asked last
        self._spoke = False  # and told a version
        self._last: LastEvent | None = None  # what was heard last since the list
        self._told = ""  # the version of that, or of the list
        self._away = False  # nobody answered since
        self._doubted = False  # whether this version is of the server's history is to be asked
        self._checked = False  # and was
        self._asked_whether = False  # and is
        self._pause = 0.0
        self._gated = False
        self._spread: float | None = None
        self._least = 0.0
        self._wakes = 0  # pauses that ended sooner since a watch was healthy
        self.relists = 0

    def next(self) -> Next:
        """Return what to do now."""
        step = Next(self.ask, self._pause, self._gated, self._asks_for_metadata, self._spread, self._least)
        self._asked_whether = isinstance(step.ask, VersionCheck)
        self._pause, self._gated, self._open = 0.0, False, False
        self._spread, self._least = None, 0.0
        return step

    def woken(self) -> None:
        """A pause ended sooner, for the server is back. What it was like before says nothing of how it is now."""
        if not self._wakes:
            self._backoff.reset()
        self._wakes = min(self._wakes + 1, WAKES)

    def opened(self) -> None:
        """A stream was accepted."""
        self._open = True
        self._spoke = False

    def was_away(self) -> None:
        """The server did not answer somebody: it may have come back with another history."""
        self._away = True
        self._doubt()

    def _doubt(self) -> None:
        self._doubted = self._asked_whether = self.state == "watching"

    def confirmed(self) -> None:
        """The version is of the server's history."""
        self._doubted, self._checked = False, True
        if self._away:
            self.version, self._away = self._told, False

    def disproved(self) -> None:
        """The server's history is another one than was seen: begin with a list."""
        self._relist("gone")

    def listed(self, version: str) -> None:
        """A list is complete, as of `version`."""
        self.state = "watching"
        self.version = self.seen = self._told = version
        self._tries.clear()
        self._spoke, self._doubted, self._checked = True, False, False
        self._last, self._away = None, False
        self._expired_pages = 0
        self._paged_once = False

    def progressed(self, version: str, last: LastEvent | None = None) -> None:
        """An event or a bookmark told a version; `last`: what is remembered of the events."""
        if last is not None:
            self._last, self._told = last, last.metadata.resource_version
        self._spoke = self._spoke or bool(version)
        if version and version != self.version:
            self.version = self.seen = version
            self._tries.clear()
            self._checked = False

    def ended(self, lasted: float, asked: float) -> None:
        """The server ended the stream, `lasted` seconds after it began. It says nothing about rights.

        `asked` is how long it was to last: a short one that lasted nearly that long was healthy too.
        """
        if self.state == "listing":  # before the end mark: what came is no list
            self._pause = self._backoff.next()
            self._spread = self._next_spread()
        elif lasted >= min(HEALTHY_SECONDS, asked / 2):
            self._healthy()
            self._tries.clear()
            self._pause = self._chance() * RECONNECT_SPREAD_SECONDS
        else:
            self._pause = self._backoff.next()
            self._spread = self._next_spread()
            self._count("failing")

    def overdue(self) -> None:
        """A streaming list did not end in time."""
        self._paged = True
        self._pause = self._backoff.next()

    def broken(self) -> None:
        """Our own side failed in the middle of something: begin with a list."""
        self.state = "listing"
        self._doubted = False

    def failed(self, error: ScopedCacheError, lasted: float) -> None:
        """Asking, or the stream, failed with this."""
        if lasted >= HEALTHY_SECONDS:
            self._healthy()
        if self._asks_for_metadata and isinstance(error, APIError) and error.status in (406, 415):
            self._server.whole_objects_only.add(self._group)
            return
        streamed = self.state == "listing" and self._streams
        if streamed and _about_the_way(error):
            self._paged_once = True  # as client-go does: whatever is wrong with a streaming list, try the other kind
            if _about_streaming(error):
                self._server.streaming_lists = False
            if isinstance(error, InvalidError):
                return  # at once: nothing is wrong with the server
        if self._asked_whether and isinstance(error, InvalidError):
            self.confirmed()  # some aggregated server that cannot tell: it is believed
            return
        if self._asked_whether and _too_new(error):
            self.disproved()  # it is etcd that says so, and no cache that is behind
            return
        trouble = self._trouble(error, lasted)
        if trouble != "silent" or self._spoke:
            self._checked = False
        if trouble == "unreachable":
            self.was_away()
        elif isinstance(error, TransportError) and not self._checked:
            self._doubt()
        match trouble:
            case "gone":
                self._expired_pages += self.state == "listing" and not streamed
            case "refused":
                # State and version stay: a false alarm resumes where it was. The pause is for callers without a gate.
                self._gated = True
        self._pause = self._pause_after(error, trouble)
        if trouble not in ("gone", "busy", "future"):
            self._spread = self._next_spread()
            if isinstance(error, ServerError) and error.retry_after is not None:
                self._least = min(error.retry_after, LONGEST_PAUSE_SECONDS)
        self._count(trouble)

    def _healthy(self) -> None:
        self._backoff.reset()
        self._wakes = 0

    def _next_spread(self) -> float:
        return self._chance() * RECONNECT_SPREAD_SECONDS * (1 << self._wakes)

    def _trouble(self, error: ScopedCacheError, lasted: float) -> Trouble:
        match error:
            case GoneError():
                return "gone"
            case ForbiddenError() | UnauthorizedError():
                return "refused"
            case TooManyRequestsError():
                return "busy"
            case NotFoundError():
                return "absent"
            case _ if _too_new(error):
                return "future"
            case ProtocolError():
                return "unreadable"
            case TransportError() if not self._open and not error.connected:
                return "unreachable"
            case TransportError() if self._open and lasted >= HEALTHY_SECONDS:
                return "silent"
            case _:
                return "failing"

    def _pause_after(self, error: ScopedCacheError, trouble: Trouble) -> float:
        match error:
            case TooManyRequestsError():
                return min(error.retry_after, LONGEST_PAUSE_SECONDS) + self._chance()
            case ServerError(retry_after=float() as asked):
                asked = min(asked, LONGEST_PAUSE_SECONDS)
                return asked if trouble == "future" else max(asked, self._backoff.next())
            case GoneError() if not self.relists:
                return self._chance() * RECONNECT_SPREAD_SECONDS
            case _:
                return self._backoff.next()

    def _count(self, trouble: Trouble) -> None:
        """Count a try at this version; give the version up where there were too many."""
        self._tries[trouble] += 1
        if self._tries[trouble] > TRIES[trouble]:
            self._relist(trouble)

    def _relist(self, trouble: Trouble) -> None:
        if trouble == "gone" or self.state == "watching":
            self.relists += trouble != "absent"
            self.state, self.version = "listing", ""
            self._doubted = False
            self._tries.clear()

    @property
    def ask(self) -> Ask:
        """Return what is to be asked for now."""
        if self.state == "watching":
            return VersionCheck(self.version, self._last) if self._doubted else Watch(self.version)
        return StreamingList() if self._streams else PagedList(whole=self._expired_pages > EXPIRED_PAGES)

    @property
    def _asks_for_metadata(self) -> bool:
        return self._wants_metadata and self._group not in self._server.whole_objects_only

    @property
    def _streams(self) -> bool:
        """Tell whether the next list is a streaming one."""
        return self._server.streaming_lists and not self._paged and not self._paged_once

    def __repr__(self) -> str:
        return f"<Reflector {self.state} version={self.version or '-'}>"


def draw_tries() -> str:
    """Return the tries as text, as they stand at the top of this file."""
    return "\n".join(f"{trouble:<12} {'-' if TRIES[trouble] == math.inf else TRIES[trouble]}" for trouble in TROUBLES)


def _about_the_way(error: ScopedCacheError) -> bool:
    """Tell whether asking in another way may help: not against missing rights, a missing kind, or a busy server."""
    return isinstance(error, InvalidError | ServerError | ProtocolError) or type(error) is APIError


def _about_streaming(error: ScopedCacheError) -> bool:
    """Tell whether the server does not know streaming lists; anything else may be wrong with our selectors alone."""
    if not isinstance(error, InvalidError) or error.status != 422:
        return False
    return any(cause.get("field") in ("sendInitialEvents", "resourceVersionMatch") for cause in error.causes)


def _too_new(error: ScopedCacheError) -> bool:
    return (
        isinstance(error, ServerError)
        and error.status == 504
        and any(cause.get("reason") == "ResourceVersionTooLarge" for cause in error.causes)
    )
