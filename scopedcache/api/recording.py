"""A recording: what was asked and how it was answered, as lines of JSON in a file.

The first line says what follows: `{"recording": "scopedcache", "version": 1, "bodies": false}`. Every other line has
`t`, the seconds since the beginning, and `n`, the number of the exchange it belongs to:

| line | says |
|---|---|
| `{"t", "n", "ask": {"method", "path", "query", "lane", "body"}}` | a request; `lane` is `watch` for a stream |
| `{"t", "n", "answer": {"status", "type", "headers", "body"}}` | it was answered; a watch, with its head |
| `{"t", "n", "lines": […]}` | a watch brought these lines |
| `{"t", "n", "end": "…", "rest": 0}` | its end: `server`, `client`, or an error; `rest`: bytes of a half line |
| `{"t", "n", "failed": "…"}` | nobody answered, and why |
| `{"t", "stopped": "…"}` | nothing more is kept: the file reached its limit |

Readers refuse a version that they do not know, and take a last line that is cut off for the end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..errors import ConfigurationError
from ..event_logger import event_logger

logger: Final = event_logger("scopedcache.api")

VERSION: Final = 1
# An hour of a busy operator without bodies; what is larger is not sent with a report.
LIMIT_BYTES: Final = 64 * 2**20
# Room for the last line.
_FAREWELL_BYTES: Final = 200


class Recording:
    """Writes a recording. A disk that is full ends it, with a log line, and nothing else.

    The file is readable by its owner alone. A line goes to the system at once, so that a killed process loses none;
    nothing waits for the disk.

    Raises:
        ConfigurationError: the file is there already, or cannot be made.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        timer: Callable[[], float],
        bodies: bool = False,
        limit_bytes: int = LIMIT_BYTES,
        write: Callable[[int, memoryview], int] = os.write,
    ) -> None:
        self.bodies: Final = bodies
        self._path = os.fspath(path)
        self._timer = timer
        self._limit = limit_bytes
        self._write_some = write
        self._size = 0
        self._exchanges = 0
        self._began = timer()
        try:
            self._file: int | None = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError as error:
            raise ConfigurationError(f"{self._path} is there already: name another file to record into") from error
        except OSError as error:
            raise ConfigurationError(f"{self._path} cannot be recorded into: {error.strerror}") from error
        self._write({"recording": "scopedcache", "version": VERSION, "bodies": bodies})

    @property
    def active(self) -> bool:
        """Tell whether anything is still kept."""
        return self._file is not None

    def new_exchange(self) -> int:
        """Return the number of another exchange."""
        self._exchanges += 1
        return self._exchanges

    def now(self) -> float:
        """Return the seconds since the beginning."""
        return self._timer() - self._began

    def keep(self, exchange: int, *, at: float | None = None, **what: Any) -> None:
        """Keep a line about an exchange; of now, unless told otherwise. Never raises for the file's sake."""
        if self._file is not None:
            self._write({"t": round(self.now() if at is None else at, 4), "n": exchange, **what})

    def close(self) -> None:
        """Keep nothing more. May be called again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, line: Mapping[str, Any]) -> None:
        content = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        if self._size + len(content) > self._limit - _FAREWELL_BYTES:
            self._put(b'{"t":%.4f,"stopped":"the file reached its limit"}\n' % self.now())
            self._stop(f"the limit of {self._limit} bytes is reached")
            return
        self._put(content)

    def _put(self, content: bytes) -> None:
        if self._file is None:
            return
        left = memoryview(content)
        try:
            while left:
                left = left[self._write_some(self._file, left) :]
        except OSError as error:
            self._stop(os.strerror(error.errno or 0))
            return
        self._size += len(content)

    def _stop(self, why: str) -> None:
        if self._file is not None:
            logger.warning("recording.ended", extra={"file": self._path, "error": why})
            self.close()

    def __repr__(self) -> str:
        return f"<Recording {self._path}: {self._exchanges} exchanges, {'active' if self.active else 'ended'}>"
