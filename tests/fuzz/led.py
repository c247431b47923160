"""`python -m tests.fuzz.led TARGET LIBFUZZER-ARGUMENT…`: one target under atheris."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any


def main() -> None:
    """Never return: libFuzzer ends the process."""
    atheris: Any = import_module("atheris")  # not among our pins: whoever fuzzes for long installs it
    with atheris.instrument_imports(include=["scopedcache"]):
        from .targets import TARGETS
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
