"""Get, list and watch: what resource versions, limits and tokens mean (semantics 4.3)."""

from __future__ import annotations

import base64
from typing import Final

import attrs
import msgspec

from ..kinds.kind import Kind
from ..storage.history import History, StoredList
from ..storage.stored_object import Stored
from ..wire.messages import Answer, Request
from ..wire.request_attributes import Attributes, is_true
from ..wire.status_errors import Body, Cause, StatusError, bad_request, expired, invalid, too_large_version
from .rendering import list_bytes, object_bytes, view_of
from .selection import Selection, selection_of
from .shard_selectors import shard_info
from .watches import Watch, Watches

_INCONSISTENT: Final = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
_MATCHES: Final = ("Exact", "NotOlderThan")


class _Token(msgspec.Struct, rename={"version": "rv"}):
    """Where a list goes on; version -1: with whatever there is by now."""

    version: int
    start: tuple[str, str]


_decode_token = msgspec.json.Decoder(_Token).decode


@attrs.frozen
class Reads:
    """The verbs that change nothing.

    `seen` is what this server has seen of the storage: what watches tell, and what is asked for by a version is taken
    from.
    """

    storage: History
    watches: Watches
    seen: History

    def get(self, request: Request, kind: Kind, asked: Attributes, now: float) -> Answer:
        """Answer with one object."""
        view = view_of(request)
        source = self.seen if request.asked("resourceVersion") else self.storage
        stored = source.existing(kind, asked.namespace, asked.name)
        return Answer(200, object_bytes(stored, asked.api_version, view, now))

    def list(self, request: Request, kind: Kind, asked: Attributes, now: float) -> Answer:
        """Answer with a list, or one page of it.

        Raises:
            StatusError: 410, the version or the token is too old; 504, the version is from the future; 400 and 422 for
                parameters that do not go together.
        """
        view = view_of(request)
        selection = selection_of(request, kind, asked)
        _check_parameters(request, watching=False)
        objects, version, limited = self._found(request, kind, selection)
        there = len(objects)
        if not selection.is_plain:
            objects = [stored for stored in objects if selection.matches(stored)]
        metadata: Body = {"resourceVersion": str(version), **shard_info(selection.shard, kind, view)}
        limit = _number(request.asked("limit")) if limited else 0
        if limit and len(objects) > limit:
            last = objects[limit - 1]
            metadata["continue"] = _token(_Token(version, (last.namespace, last.name)))
            if selection.is_by_shard_alone:  # what is outside of the shard counts too, as on the server
                metadata["remainingItemCount"] = there - limit
            objects = objects[:limit]
        return Answer(200, list_bytes(kind, asked.api_version, view, objects, metadata, now))

    def watch(self, request: Request, kind: Kind, asked: Attributes, now: float) -> Watch:
        """Open a watch.

        Raises:
            StatusError: as for lists; a version that is too old is an ERROR in the watch.
        """
        view = view_of(request)
        selection = selection_of(request, kind, asked)
        _check_parameters(request, watching=True)
        since = _number(request.asked("resourceVersion"), "resourceVersion")
        bookmarks = is_true(request.asked("allowWatchBookmarks"))
        streaming = is_true(request.asked("sendInitialEvents"))
        timeout = self.watches.timeout(float(_number(request.asked("timeoutSeconds"))))
        if streaming and since > self.seen.version:
            raise too_large_version(since, self.seen.version)
        watch = Watch(kind, asked.api_version, selection, view, now=now, timeout=timeout, bookmarks=bookmarks)
        initial: list[Stored] = []
        if streaming or not since:
            objects = self.seen.list(kind, selection.namespace)
            initial = [stored for stored in objects if selection.is_plain or selection.matches(stored)]
        plain = bool(since) and not streaming
        self.watches.begin(watch, since if plain else None, initial, marked=streaming and bookmarks)
        return watch

    def _found(self, request: Request, kind: Kind, selection: Selection) -> tuple[StoredList, int, bool]:
        """Return the objects, the version they stand for, and whether `limit` counts."""
        place = selection.namespace
        given = request.asked("resourceVersion")
        wanted = _number(given, "resourceVersion")
        if text := request.asked("continue"):
            token = _read_token(text)
            version = self.storage.version if token.version < 0 else token.version
            try:
                objects = self.storage.list_at(kind, version, place)
            except StatusError as refusal:
                raise expired(_INCONSISTENT, _token(_Token(-1, token.start))) from refusal
            return [s for s in objects if (s.namespace, s.name) > token.start], version, True
        match = request.asked("resourceVersionMatch")
        is_exact = match == "Exact" or bool(wanted and not match and request.asked("limit"))
        source = self.seen if given and not is_exact else self.storage
        if wanted > source.version:
            raise too_large_version(wanted, source.version)
        if is_exact:
            try:
                return source.list_at(kind, wanted, place), wanted, True
            except StatusError as refusal:
                raise expired("The resourceVersion for the provided list is too old.") from refusal
        # Version 0 is "whatever the cache has", and the cache knows no pages.
        return source.list(kind, place), source.version, given != "0"


def _check_parameters(request: Request, *, watching: bool) -> None:
    version, match = request.asked("resourceVersion"), request.asked("resourceVersionMatch")
    initial, token = request.asked("sendInitialEvents"), request.asked("continue")
    field, words = "resourceVersionMatch", ""
    if initial and not watching:
        field, words = "sendInitialEvents", "sendInitialEvents is forbidden for list"
    elif initial and match != "NotOlderThan":
        words = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    elif match and watching and not initial:
        words = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
    elif match and match not in _MATCHES:
        raise _wrong_options(Cause.unsupported(field, f'"{match}"', _MATCHES))
    elif match and not watching and not version:
        words = "resourceVersionMatch is forbidden unless resourceVersion is provided"
    elif match == "Exact" and version == "0":
        words = 'resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'
    elif match and token:
        words = "resourceVersionMatch is forbidden when continue is provided"
    if words:
        raise _wrong_options(Cause.forbidden(field, words))
    if version not in ("", "0") and token and not watching:
        raise bad_request("specifying resource version is not allowed when using continue")


def _wrong_options(cause: Cause) -> StatusError:
    return invalid("meta.k8s.io", "ListOptions", "", [cause])


def _number(text: str, name: str = "") -> int:
    if not text:
        return 0
    if not text.isdecimal():
        raise bad_request(
            f'{name or "parameter"}: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    return int(text)


def _token(token: _Token) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode().rstrip("=")


def _read_token(text: str) -> _Token:
    try:
        return _decode_token(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, msgspec.DecodeError) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from error
