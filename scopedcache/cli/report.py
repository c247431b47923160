"""What a command found: data for programs, tables and lines for people, and the exit status. Plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from .exit_status import ExitStatus


@attrs.frozen
class Table:
    """Rows of text under headings; where there is no room for columns, each row becomes lines of heading and value."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""


@attrs.frozen
class Report:
    """What a command found.

    Attributes:
        data: for `-o json` and `-o yaml`.
        blocks: for people, from top to bottom.
        yaml: what `-o yaml` prints instead of the data.
        notes: what people should know besides; on the error stream, so that a program's input stays clean.
    """

    data: Any
    blocks: Sequence[Table | str] = ()
    notes: Sequence[str] = ()
    status: ExitStatus = ExitStatus.DONE
    yaml: str | None = None
