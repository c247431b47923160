"""What an edit is: it changes one file of the tree, or says loudly that it does not fit."""

from __future__ import annotations

from typing import Protocol


class NotApplied(Exception):
    """The code moved on: what an edit names is not there, or not as often as it says. Mend the mutant."""


class Edit(Protocol):
    """One change of one file."""

    @property
    def file(self) -> str:
        """Return the path in the tree."""

    def apply(self, text: str) -> str:
        """Return the text changed.

        Raises:
            NotApplied: it does not fit.
        """
