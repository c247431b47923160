"""What a mutant is, and what it makes of the files it changes: plain data, and texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import attrs

from .edit import Edit, NotApplied


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
        NotApplied: an edit does not fit.
    """
    texts: dict[str, str] = {}
    for edit in mutant.edits:
        try:
            texts[edit.file] = edit.apply(texts[edit.file] if edit.file in texts else read(edit.file))
        except FileNotFoundError:
            raise NotApplied(f"{mutant.name}: there is no {edit.file}") from None
        except NotApplied as error:
            raise NotApplied(f"{mutant.name}: {error}") from None
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
