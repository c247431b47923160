"""A program of somebody else's as the judge of a text: promtool of rules, for one."""

from __future__ import annotations

import shutil
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import MutableMapping
from typing import Final

from cachetools import LRUCache

# Verdicts that are remembered; a forgotten one costs a process.
REMEMBERED_TEXTS: Final = 4096


class Checker:
    """Runs a command on texts, and remembers what it said of each.

        rules = Checker("promtool", "check", "rules", "/dev/stdin")
        if wrong := await rules.complaint(text): …

    Args:
        command: is given a text on its standard input, and ends with another status than 0 where it is wrong.

    Raises:
        ValueError: there is no such program.
    """

    def __init__(self, *command: str) -> None:
        if shutil.which(command[0]) is None:
            raise ValueError(f"{command[0]} is not there: install it, or name where it is")
        self._command = command
        self._said: MutableMapping[str, str] = LRUCache(REMEMBERED_TEXTS)

    async def complaint(self, text: str) -> str:
        """Return what the program says against a text; nothing where it is right.

        Raises:
            OSError: the program cannot be run any more.
        """
        if (known := self._said.get(text)) is not None:
            return known
        process = await create_subprocess_exec(*self._command, stdin=PIPE, stdout=PIPE, stderr=STDOUT)
        try:
            answer, _ = await process.communicate(text.encode())
        finally:
            if process.returncode is None:
                process.kill()
        words = " ".join(answer.decode(errors="replace").split())
        self._said[text] = (words or f"it ended with status {process.returncode}") if process.returncode else ""
        return self._said[text]
