"""Log lines for people and for machines: an event's constant name first, its data as fields; one record, one line.

The library configures no logging; an operator's command calls `configure_logging` once.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any, Final, Literal

from ..errors import ScopedCacheError

# What every LogRecord has: everything else came in by `extra=`.
_RECORD_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JSONFormatter(logging.Formatter):
    """One JSON object per line: `time` (seconds since the epoch), `level`, `logger`, `event`, and the fields.

    `traceback` is there for exceptions that nobody raised on purpose; with `tracebacks`, for all of them.
    """

    def __init__(self, *, tracebacks: bool = False) -> None:
        super().__init__()
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        head = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line = {**head, **fields(record), **head}
        if record.exc_info and (self._tracebacks or not isinstance(record.exc_info[1], ScopedCacheError)):
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """`12:00:00.000 INFO    cache.created namespace=a owner=…`; tracebacks follow only where asked for."""

    def __init__(self, *, tracebacks: bool = False) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        time = f"{self.formatTime(record, self.datefmt)}.{int(record.msecs):03d}"
        data = " ".join(f"{name}={_quote(value)}" for name, value in fields(record).items() if value is not None)
        event = record.getMessage().replace("\n", "\\n")
        line = f"{time} {record.levelname:<7} {event} {data}".rstrip()
        if self._tracebacks and record.exc_info and record.exc_info[1] is not None:
            line += "\n" + self.formatException(record.exc_info)
        return line


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was given with `extra=`; `error` says what an exception says, with its type where that is not ours.

    A LogRecord has a `name` of its own, so an object's name is given as `object_name`, and shown as `name`.
    """
    extra = {name: value for name, value in vars(record).items() if name not in _RECORD_FIELDS}
    error = record.exc_info[1] if record.exc_info else None
    if error is not None and extra.get("error", str(error)) == str(error):
        extra["error"] = str(error) if isinstance(error, ScopedCacheError) else f"{type(error).__name__}: {error}"
    return {"name" if name == "object_name" else name: value for name, value in extra.items()}


def configure_logging(format: Literal["text", "json"] = "text", *loggers: str, verbose: bool = False) -> None:
    """Log to stderr: the library and `loggers` from INFO (DEBUG if `verbose`), everybody else from WARNING."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = JSONFormatter if format == "json" else TextFormatter
    handler.setFormatter(formatter(tracebacks=verbose))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("scopedcache", *loggers):
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.INFO)


def _quote(value: Any) -> str:
    """Return a value as one word, or in quotes: whatever a server said cannot begin a line of its own."""
    text = str(value)
    plain = text.isprintable() and not any(mark in text for mark in ' "=')
    return text if text and plain else json.dumps(text, ensure_ascii=False)
