"""What a mutant is, and what it makes of the files it changes: plain data, plain text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import attrs


class NotApplied(Exception):
    """The code moved on: a text to be replaced is not there exactly once. The message names the mutant: mend it."""


@attrs.frozen
class Edit:
    """One replacement.

    Attributes:
        file: its path in the tree.
        old: the exact text, which occurs once.
    """

    file: str
    old: str
    new: str


@attrs.frozen
class Mutant:
    """A defect.

    Attributes:
        name: in words, as a person would report it.
        rows: the ids of the rows that must fail under it.
    """

    name: str
    rows: tuple[str, ...]
    edits: tuple[Edit, ...]


def mutated(mutant: Mutant, read: Callable[[str], str]) -> dict[str, str]:
    """Return what a mutant makes of the files it changes; `read` gives the text of a file.

    Raises:
        NotApplied: a text is not there exactly once.
    """
    texts: dict[str, str] = {}
    for edit in mutant.edits:
        text = texts[edit.file] if edit.file in texts else read(edit.file)
        if (count := text.count(edit.old)) != 1:
            raise NotApplied(f"{mutant.name}: {edit.file} has {count} times, not once, the text\n{edit.old}")
        texts[edit.file] = text.replace(edit.old, edit.new)
    return texts


def selected(mutants: Iterable[Mutant], wanted: Sequence[str]) -> list[Mutant]:
    """Return the mutants with one of these texts in their names; all where nothing is wanted.

    Raises:
        ValueError: a text is in no name.
    """
    mutants = list(mutants)
    for text in wanted:
        if not any(text.lower() in mutant.name.lower() for mutant in mutants):
            raise ValueError(f"no mutant has {text!r} in its name; there are\n" + "\n".join(m.name for m in mutants))
    if not wanted:
        return mutants
    return [mutant for mutant in mutants if any(text.lower() in mutant.name.lower() for text in wanted)]


def rows_of(mutants: Iterable[Mutant]) -> list[str]:
    """Return the rows that mutants name, each once."""
    return list(dict.fromkeys(row for mutant in mutants for row in mutant.rows))
