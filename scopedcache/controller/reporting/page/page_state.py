"""What a page shows, and what is new in it since the last look. Plain values, no loop."""

from __future__ import annotations

from typing import Any, Final

Row = Any
Rows = dict[str, Row]

SECTIONS: Final = ("summary", "rights", "informers", "owners", "changes")


class PageState:
    """The rows of each section, by key.

    Attributes:
        sections: as they were when they were last looked at.
    """

    def __init__(self) -> None:
        self.sections: dict[str, Rows] = {section: {} for section in SECTIONS}

    def update(self, section: str, rows: Rows) -> Rows:
        """Take the rows that a section has now; return those that are new or changed, and None for those that went."""
        before = self.sections[section]
        news = {key: row for key, row in rows.items() if before.get(key) != row}
        self.sections[section] = rows
        return news | {key: None for key in before if key not in rows}
