"""What a command ends with. Programs rely on it: docs/command-line.md lists the same."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """How a command ended."""

    DONE = 0
    DEFECT = 1
    USAGE = 2
    NO_SERVER = 3
    FOUND = 4
    UNANSWERED = 5
    NO_EXTRA = 6
    INTERRUPTED = 130


class CommandError(Exception):
    """Ends a command with one line."""

    def __init__(self, message: str, status: ExitStatus = ExitStatus.USAGE) -> None:
        super().__init__(message)
        self.status = status
