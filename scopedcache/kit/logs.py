"""Log lines for people and for machines: an event's constant name first, its data as fields; one record, one line.

A line that was logged while a reconciler ran carries the id of that run, whoever logged it: `reconcile`. One about an
exception of the author's own code says where it was raised: `at`.

The library configures no logging; an operator's command calls `configure_logging` once.
"""

from __future__ import annotations

import json
import logging
import sys
import sysconfig
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from ..controller.reconcile_run import CURRENT_RUN
from ..errors import ScopedCacheError
from ..event_logger import event_of, field_text

# Code that is not the author's: ours, Python's and that of what was installed, and what has no file.
_FOREIGN: Final = (
    str(Path(__file__).parents[1]),
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    "<",
)
# What every LogRecord has: everything else came in by `extra=`.
_RECORD_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JSONFormatter(logging.Formatter):
    """One JSON object per line: `time` (ISO 8601, in UTC), `level`, `logger`, `event`, and the fields.

    `traceback` is there for exceptions that nobody raised on purpose; with `tracebacks`, for all of them.
    """

    def __init__(self, *, tracebacks: bool = False) -> None:
        super().__init__()
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        head = {
            "time": _iso(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": event_of(record),
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
        event = event_of(record).replace("\n", "\\n")
        line = f"{time} {record.levelname:<7} {event} {field_text(fields(record))}".rstrip()
        if self._tracebacks and record.exc_info and record.exc_info[1] is not None:
            line += "\n" + self.formatException(record.exc_info)
        return line


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was given with `extra=`; `error` says what an exception says, with its type where that is not ours.

    A LogRecord has a `name` of its own, so an object's name is given as `object_name`, and shown as `name`.
    """
    extra = {name: value for name, value in vars(record).items() if name not in _RECORD_FIELDS}
    if extra.get("event") == event_of(record):  # it is the line's head
        del extra["event"]
    run = CURRENT_RUN.get()
    if run is not None:
        extra.setdefault("reconcile", run.id)
    error = record.exc_info[1] if record.exc_info else None
    if error is not None and (place := _place_of(error)) is not None:
        extra.setdefault("at", place)
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


def _place_of(error: BaseException) -> str | None:
    """Return file and line of the last step in somebody's own code; None for an error of ours, which needs no code."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ScopedCacheError):
        return None
    places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    own = [(path, line) for path, line in places if not path.startswith(_FOREIGN)]
    return "{}:{}".format(*(own or places)[-1]) if places else None


def _iso(created: float) -> str:
    return datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
