"""`python -m tests.acceptance.mutants`: put one defect after the other into a copy of the tree; do the rows notice?

Exit status 0 when every mutant was killed by every row that it names, or says why it need not be; 1
when one survived, proved nothing or could not be applied, 2 when the rows do not hold without one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..catalogue import groups
from ..program import ROOT
from . import tables
from .catalogue import MUTANTS
from .edit import NotApplied
from .judging import Judgement, judged
from .mutant import Mutant, mutated, rows_of, selected
from .tree import Tree

PAGE = ROOT / "tests" / "acceptance" / "mutations.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run. Return the exit status."""
    options = parse(arguments)
    began = time.monotonic()
    try:
        chosen = selected(MUTANTS, options.only)
        with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
            found = all_judged(chosen, Path(folder), options.jobs)
    except NotApplied as error:
        print(f"mutants: the code moved on, mend the mutant: {error}", file=sys.stderr)
        return 1
    except (NotHeld, ValueError) as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print("\n" + tables.table(found) + "\n\n" + tables.summary(found, time.monotonic() - began))
    if options.write:
        order = [row.id for group in groups(None) for row in group.rows]
        PAGE.write_text(tables.written(PAGE.read_text(), tables.page(found, order)))
        tell(f"written: {PAGE.relative_to(ROOT)}")
    return 0 if all(judgement.verdict == "killed" for judgement in found) else 1


class NotHeld(Exception):
    """The rows fail without any mutant, or not the copy was tried: nothing would be proven."""


def all_judged(mutants: Sequence[Mutant], folder: Path, jobs: int) -> list[Judgement]:
    """Try all mutants, on the tree as it is now; return the judgements in their order."""
    plain = Tree.copy(ROOT, folder / "plain")
    texts = {mutant: mutated(mutant, plain.read) for mutant in mutants}  # all of them, before anything is run
    check(plain, rows_of(mutants))

    def tried(mutant: Mutant) -> list[Judgement]:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(dir=folder) as place:
            tree = Tree.copy(plain.root, Path(place))
            tree.write(texts[mutant])
            found = judged(mutant, tree.run(mutant.rows))
        tell(tables.line(mutant.name, found, time.monotonic() - began))
        return found

    with ThreadPoolExecutor(jobs) as pool:
        return [one for found in pool.map(tried, mutants) for one in found]


def check(plain: Tree, rows: list[str]) -> None:
    """Make sure that rows run the copy, and hold there.

    Raises:
        NotHeld: something else would be tried, or a row fails already.
    """
    library = plain.library()
    tell(f"the copy's library: {library}")
    if not library.is_relative_to(plain.root):
        raise NotHeld(f"{library} would be tried, not the copy in {plain.root}")
    tell(f"without a mutant: {', '.join(rows)}")
    if wrong := plain.run(rows).misses(rows):
        raise NotHeld(f"nothing can be proven, for without any mutant\n{wrong}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.mutants", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="mutants with this in their name")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="so many at a time (default: 2)")
    parser.add_argument("--write", action="store_true", help="write the table into tests/acceptance/mutations.md")
    options = parser.parse_args(arguments)
    if options.write and options.only:
        parser.error("--write is for the whole table: leave --only out")
    if options.jobs < 1:
        parser.error("--jobs is at least 1")
    return options


def tell(text: str) -> None:
    """Print a line of progress at once."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
