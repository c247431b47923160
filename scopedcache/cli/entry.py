"""The console scripts `scopedcache` and `kubectl-scopedcache`: one line where the extra is not installed."""

from __future__ import annotations

import io
import sys
from importlib.util import find_spec
from pathlib import Path

from .exit_status import ExitStatus

LIBRARIES = ("typer", "rich")


def main() -> int:
    """Run the command line; return its exit status."""
    missing = [library for library in LIBRARIES if find_spec(library) is None]
    if missing:
        words = f"{' and '.join(missing)} not installed; the command line needs: pip install 'scopedcache[cli]'"
        sys.stderr.write(f"scopedcache: {words}\n")
        return ExitStatus.NO_EXTRA
    from .app import run

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows only ASCII is no reason to fail
    # kubectl finds its plugins by their names.
    name = Path(sys.argv[0]).name
    return run(sys.argv[1:], name="kubectl scopedcache" if name.startswith("kubectl-") else "scopedcache")
