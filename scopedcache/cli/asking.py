"""Runs what a command asks a server, prints what it found, and ends with its status: one line where it cannot."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from typing import Any, Final, NoReturn, TypeVar

import typer

from ..errors import (
    APIError,
    ForbiddenError,
    ProtocolError,
    ScopedCacheError,
    TransportError,
    UnauthorizedError,
    UnknownKindError,
)
from .exit_status import CommandError, ExitStatus
from .printing import Output, show
from .report import Report

T = TypeVar("T")

# What to do where the error itself does not say so, by who must act.
ADVICE: Final[dict[type[ScopedCacheError], str]] = {
    UnauthorizedError: "these credentials are expired or unknown: put a new token or certificate into the kubeconfig",
    TransportError: "check that the server runs, and its address and CA in the kubeconfig",
    ProtocolError: "this is no Kubernetes API server: check the address in the kubeconfig",
}
STATUSES: Final[dict[type[ScopedCacheError], ExitStatus]] = {
    UnknownKindError: ExitStatus.USAGE,
    ForbiddenError: ExitStatus.UNANSWERED,
    UnauthorizedError: ExitStatus.NO_SERVER,
    APIError: ExitStatus.UNANSWERED,
    ScopedCacheError: ExitStatus.NO_SERVER,
}


def finish(work: Coroutine[Any, Any, Report], output: Output) -> NoReturn:
    """Wait for the report, print it, and end with its status."""
    report = wait(work)
    show_report(report, output)


def show_report(report: Report, output: Output) -> NoReturn:
    """Print a report, and end with its status."""
    try:
        show(report, output)
    except BrokenPipeError:  # whoever read this has seen enough; Python would flush once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(report.status)


def wait(work: Coroutine[Any, Any, T]) -> T:
    """Wait for what is asked; end with one line where it cannot be had."""
    try:
        return asyncio.run(work)
    except CommandError as error:
        give_up(str(error), error.status)
    except ScopedCacheError as error:
        give_up(words_of(error), status_of(error))
    except KeyboardInterrupt:
        raise typer.Exit(ExitStatus.INTERRUPTED) from None


def give_up(message: str, status: ExitStatus) -> NoReturn:
    """End with one line on the error stream."""
    sys.stderr.write(f"scopedcache: {' '.join(message.split())}\n")
    raise typer.Exit(status)


def words_of(error: ScopedCacheError) -> str:
    """Return what went wrong and what to do about it, in one line."""
    advice = next((words for kind, words in ADVICE.items() if isinstance(error, kind)), None)
    return f"{error}: {advice}" if advice else str(error)


def status_of(error: ScopedCacheError) -> ExitStatus:
    """Return the exit status an error stands for."""
    return next(status for kind, status in STATUSES.items() if isinstance(error, kind))
