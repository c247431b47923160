"""The operators that rows are run with: what starts each as a process, and what makes it in here."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final

import attrs

from examples.memcached_operator.__main__ import PROGRAM
from scopedcache import Client, ScopedCache
from scopedcache.controller import Manager
from scopedcache.kit import Program

from . import declaring_operator


@attrs.frozen
class Command:
    """An operator.

    Attributes:
        name: of its logger.
        module: what `python -m` runs.
        parser: makes its command line.
        assemble: makes its cache and its manager.
    """

    name: str
    module: str
    parser: Callable[[], argparse.ArgumentParser]
    assemble: Callable[[Client, argparse.Namespace], tuple[ScopedCache, Manager]]


def command_of(program: Program, module: str) -> Command:
    """Return the command that a program of the kit is."""
    return Command(program.name, module, program.parser, program.put_together)


EXAMPLE: Final = command_of(PROGRAM, "examples.memcached_operator")
DECLARING: Final = Command(
    PROGRAM.name, "tests.acceptance.declaring_operator", declaring_operator.parser, declaring_operator.assemble
)
