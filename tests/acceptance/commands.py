"""The operators that rows are run with: what starts each as a process, and what makes it in here."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final

import attrs

from examples.memcached_operator import __main__ as example
from scopedcache import Client, ScopedCache
from scopedcache.controller import Manager

from . import declaring_operator


@attrs.frozen
class Command:
    """An operator.

    Attributes:
        module: what `python -m` runs.
        parser: makes its command line.
        assemble: makes its cache and its manager.
    """

    module: str
    parser: Callable[[], argparse.ArgumentParser]
    assemble: Callable[[Client, argparse.Namespace], tuple[ScopedCache, Manager]]


EXAMPLE: Final = Command("examples.memcached_operator", example.parser, example.assemble)
DECLARING: Final = Command(
    "tests.acceptance.declaring_operator", declaring_operator.parser, declaring_operator.assemble
)
