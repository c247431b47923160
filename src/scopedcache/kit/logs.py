"""Log lines for people and for machines: an event's constant name first, its data as fields.

The library configures no logging; an operator's command calls `configure_logging` once.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any, Literal

# What every LogRecord has: everything else came in by `extra=`.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JSONFormatter(logging.Formatter):
    """One JSON object per line: `time` (seconds since the epoch), `level`, `logger`, `event`, and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """`12:00:00.000 INFO  cache.created namespace=a owner=…`; tracebacks only where asked for."""

    def __init__(self, *, tracebacks: bool = False) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        time = f"{self.formatTime(record, self.datefmt)}.{int(record.msecs):03d}"
        data = " ".join(f"{name}={_short(value)}" for name, value in fields(record).items() if value is not None)
        line = f"{time} {record.levelname:<7} {record.getMessage()} {data}".rstrip()
        if record.exc_info and record.exc_info[1] is not None:
            if self._tracebacks:
                line += "\n" + self.formatException(record.exc_info)
            elif "error" not in fields(record):
                line += f" error={_short(record.exc_info[1])}"
        return line


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was given with `extra=`.

    A LogRecord has a `name` of its own, so an object's name is given as `object_name`, and shown as `name`.
    """
    given = {name: value for name, value in vars(record).items() if name not in _OWN}
    return {"name" if name == "object_name" else name: value for name, value in given.items()}


def configure_logging(format: Literal["text", "json"] = "text", *loggers: str, verbose: bool = False) -> None:
    """Log to stderr: the library and `loggers` from INFO (DEBUG if `verbose`), everybody else from WARNING."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONFormatter() if format == "json" else TextFormatter(tracebacks=verbose))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("scopedcache", *loggers):
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.INFO)


def _short(value: Any) -> str:
    text = str(value)
    return f'"{text}"' if " " in text else text
