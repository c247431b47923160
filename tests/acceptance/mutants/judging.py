"""Did the rows notice? Judges what the rows of a mutated tree said."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import attrs

from .mutant import Mutant

# killed: the row failed by what it saw. SURVIVED: it held, or was not run. NO PROOF: it could not be carried out: it
# broke on an exception of its own, its world did not come about, or the run ended without a word about it.
Verdict = Literal["killed", "SURVIVED", "NO PROOF"]
LENGTH = 160
TRACEBACK = re.compile(r'File ".*", line \d+')
# What changes from run to run: UIDs, the ends of Pods' names, times of log lines.
CHANGING = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<=-)[a-z0-9]{10}-[a-z0-9]{5}\b|\b\d{10}\.\d+")


@attrs.frozen
class Run:
    """What the rows of one tree came to.

    Attributes:
        rows: row id → what the JSON of the rows says of it.
        trouble: why there is no more; empty where the run ended by itself.
    """

    rows: Mapping[str, Mapping[str, Any]]
    trouble: str = ""

    @property
    def failed(self) -> list[str]:
        """Return the ids of the rows that failed."""
        return [id_ for id_, row in self.rows.items() if row["verdict"] == "FAIL"]

    def misses(self, wanted: list[str]) -> str | None:
        """Tell which of these rows do not hold."""
        wrong = [f"{id_}: {said(self.rows[id_]) if id_ in self.rows else self.trouble}" for id_ in wanted]
        held = [self.rows.get(id_, {}).get("verdict") == "PASS" for id_ in wanted]
        return "\n".join(words for words, fine in zip(wrong, held, strict=True) if not fine) or None


@attrs.frozen
class Judgement:
    """What one row made of one mutant.

    Attributes:
        said: what the row said, shortened.
        others: the rows that the mutant does not name and that failed beside it.
    """

    mutant: str
    row: str
    verdict: Verdict
    said: str
    others: tuple[str, ...] = ()


def judged(mutant: Mutant, run: Run) -> list[Judgement]:
    """Return a judgement for each row that a mutant names."""
    others = tuple(id_ for id_ in run.failed if id_ not in mutant.rows)
    return [Judgement(mutant.name, id_, *_judged(mutant, run, id_), others) for id_ in mutant.rows]


def said(row: Mapping[str, Any]) -> str:
    """Return what a row said, in one line, without what changes from run to run, and cut where it is long."""
    words = CHANGING.sub("…", _line(row["reason"] or row["verdict"]))
    return words if len(words) <= LENGTH else words[: LENGTH - 1].rstrip() + "…"


def _judged(mutant: Mutant, run: Run, id_: str) -> tuple[Verdict, str]:
    row = run.rows.get(id_)
    if row is None:
        return "NO PROOF", _end(run.trouble or "nothing was said about it")
    if row["verdict"] != "FAIL":
        return "SURVIVED", said(row)
    if row["reason"].startswith("its world failed") or TRACEBACK.search(row["reason"]):
        return "NO PROOF", _end(row["reason"])
    return "killed", said(row)


def _end(text: str) -> str:
    """Return the end of a text in one line: that is where errors are."""
    words = _line(text)
    return words if len(words) <= LENGTH else "…" + words[1 - LENGTH :].lstrip()


def _line(text: str) -> str:
    return " ".join(text.split())
