"""`python -m tests.acceptance.examples.demo NAME`: an example's rows as a story, on the cluster of CLUSTER."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from scopedcache.errors import ScopedCacheError

from ..__main__ import interrupt
from ..demo import STARTING
from ..report import show
from ..rows import Row
from ..runner import run_row
from ..starting import check_cluster, wanted_cluster
from ..story_printer import Voice
from .catalogue import find, log_as_programs_do
from .world import ExampleWorld, example_world

# A demo does not wait for the default bound of ten seconds.
QUICK = ("--detection-bound=3",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell the story. Return 0 when every step held, 1 when one did not, 2 when nothing could be started."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, interrupt)
    voice, began = Voice(), time.monotonic()
    try:
        if len(given) != 1:
            raise ValueError("name one example: python -m tests.acceptance.examples.demo users")
        example = find(given[0])
        check_cluster()
        log_as_programs_do([example])
        voice.line(STARTING[wanted_cluster()])
        with tempfile.TemporaryDirectory(prefix="demo-") as folder:
            voice.admin(f"kubectl apply -f examples/{example.name}/")
            with example_world(example, Path(folder), voice=voice, options=QUICK) as world:
                held = [tell(world, voice, number, row) for number, row in enumerate(example.story, 1)]
    except (ScopedCacheError, ValueError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    ending = "All steps held" if all(held) else "Not every step held"
    voice.line("\n" + voice.paint(f"{ending}, in {time.monotonic() - began:.0f} s.", "1"))
    return 0 if all(held) else 1


def tell(world: ExampleWorld, voice: Voice, number: int, row: Row) -> bool:
    """Tell one row; return whether it held, or could not be run here."""
    voice.step(number, f"{row.title} ({row.id})")
    result = run_row(row, world)
    if result.verdict == "PASS":
        facts = ", ".join(f"{name} {show(value)}" for name, value in result.outcome.facts.items())
        voice.held(facts or "so it is", result.outcome.seconds, row.limit)
    else:
        (voice.failed if result.verdict == "FAIL" else voice.quote)(result.reason)
    return result.verdict != "FAIL"


if __name__ == "__main__":
    sys.exit(main())
