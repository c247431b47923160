"""Loggers for events: a constant name first, then what it is about as `name=value`, and the same as fields.

The message is readable under anybody's logging configuration (`logging.basicConfig`, pytest, a host's own), and whoever
wants data reads the fields of the record: those of `extra=`, and `event`, the name alone.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any, Final

import attrs

# Which of several clusters it happens in that is told of; nothing for the program's own, and where there is but one.
CURRENT_CLUSTER: Final[ContextVar[str]] = ContextVar("scopedcache_cluster", default="")
# Fields for machines alone: nobody reads a UID, and a line is short enough to be read.
UNSEEN_FIELDS: Final = frozenset({"uid"})


@attrs.frozen
class EventMessage:
    """What a line says, put together when somebody prints it."""

    event: str
    fields: Mapping[str, Any]
    error: BaseException | None = None

    def __str__(self) -> str:
        seen = {name: value for name, value in self.fields.items() if name not in UNSEEN_FIELDS}
        if self.error is not None and "error" not in seen:
            seen["error"] = f"{type(self.error).__name__}: {self.error}"
        return f"{self.event} {field_text(seen)}".rstrip()


class EventLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs events: `logger.info("watch.started", extra={"kind": "Pod"})` says `watch.started kind=Pod`."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Return the message and what the record is to carry."""
        fields = kwargs.get("extra") or {}
        cluster = CURRENT_CLUSTER.get()
        if cluster:
            fields = {"cluster": cluster, **fields}
        kwargs["extra"] = {**fields, "event": msg}
        error = kwargs.get("exc_info")
        if error and not isinstance(error, BaseException):
            error = sys.exc_info()[1]
        return EventMessage(msg, fields, error or None), kwargs


def event_logger(name: str) -> EventLogger:
    """Return the logger of a folder."""
    return EventLogger(logging.getLogger(name))


def event_of(record: logging.LogRecord) -> str:
    """Return the event that a record is about; the whole message where it is no event of ours."""
    event, message = getattr(record, "event", None), record.getMessage()
    return event if isinstance(event, str) and message.partition(" ")[0] == event else message


def field_text(fields: Mapping[str, Any]) -> str:
    """Return fields as `name=value name="two words"`; what is None is left out."""
    return " ".join(f"{name}={_word(value)}" for name, value in fields.items() if value is not None)


def _word(value: Any) -> str:
    """Return a value as one word, or in quotes: whatever a server said cannot begin a line of its own."""
    text = ",".join(map(str, value)) if type(value) in (list, tuple) else str(value)
    plain = text.isprintable() and not any(mark in text for mark in ' "=')
    return text if text and plain else json.dumps(text, ensure_ascii=False)
