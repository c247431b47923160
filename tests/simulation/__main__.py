"""`python -m tests.simulation [FIRST] [COUNT] [SETTING] [--resume]`: lives through so many seeds.

Each is lived in every setting, or in the one that is named. It prints the story of each life that fails, and the
command that lives it again. Where it got to stands in `.out/simulation.json` after every seed: stop it whenever you
like (Ctrl-C), and `--resume` goes on from there.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from .operator import Broken
from .run import SETTINGS, live

STATE: Final = Path(__file__).parents[2] / ".out" / "simulation.json"
# How often it says how far it is.
TELL_SECONDS: Final = 10.0


@attrs.define
class Progress:
    """How far a run is. `broken` names the lives that failed, as seeds and settings."""

    first: int
    count: int
    settings: list[str]
    next: int
    broken: list[list[int | str]] = attrs.field(factory=list)

    @property
    def end(self) -> int:
        return self.first + self.count

    @property
    def lives(self) -> int:
        return (self.next - self.first) * len(self.settings)

    def save(self) -> None:
        STATE.parent.mkdir(exist_ok=True)
        STATE.write_text(json.dumps(attrs.asdict(self)))

    @classmethod
    def load(cls) -> Progress:
        return cls(**json.loads(STATE.read_text()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 1 when a promise was broken, 130 when it was stopped."""
    progress = begun(arguments)
    logging.disable()
    began = told = time.monotonic()
    before = progress.lives
    try:
        while progress.next < progress.end:
            for setting in progress.settings:
                live_once(progress, setting)
            progress.next += 1
            progress.save()
            if time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                sys.stderr.write(said(progress, (told - began) / (progress.lives - before)))
    except KeyboardInterrupt:
        sys.stderr.write(f"stopped before seed {progress.next}; go on with: python -m tests.simulation --resume\n")
        return 130
    broken, took = len(progress.broken), time.monotonic() - began
    sys.stdout.write(f"{progress.lives} lives, {broken} with a broken promise, in {took:.0f} s\n")
    return 1 if broken else 0


def begun(arguments: Sequence[str] | None) -> Progress:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("first", nargs="?", type=int, default=0)
    parser.add_argument("count", nargs="?", type=int, default=100)
    parser.add_argument("setting", nargs="?", choices=list(SETTINGS))
    parser.add_argument("--resume", action="store_true", help="go on where the last run was stopped")
    options = parser.parse_args(arguments)
    if options.resume:
        if not STATE.exists():
            parser.error("there is nothing to go on with")
        return Progress.load()
    settings = [options.setting] if options.setting else list(SETTINGS)
    return Progress(options.first, options.count, settings, options.first)


def live_once(progress: Progress, setting: str) -> None:
    seed = progress.next
    try:
        live(seed, setting)
    except Broken as error:
        progress.broken.append([seed, setting])
        sys.stdout.write(f'{error}\nagain: python -m tests.simulation {seed} 1 "{setting}"\n\n')
        sys.stdout.flush()


def said(progress: Progress, seconds_each: float) -> str:
    left = (progress.end - progress.next) * len(progress.settings)
    broken = f", {len(progress.broken)} broken" if progress.broken else ""
    return f"seed {progress.next} of {progress.end}: {progress.lives} lives{broken}, {left * seconds_each:.0f} s left\n"


if __name__ == "__main__":
    sys.exit(main())
