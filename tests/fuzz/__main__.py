"""`python -m tests.fuzz SECONDS [TARGET…]`: each target for so many seconds; what is found is kept in its corpus.

With `atheris` installed its coverage leads the search; otherwise hypothesis does, which knows less of it.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import subprocess
import sys

from .run import by_hypothesis
from .targets import CORPUS, TARGETS


def main() -> int:
    """Return 1 where a target broke its law."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", type=float)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all by default")
    options = parser.parse_args()
    led = importlib.util.find_spec("atheris") is not None
    failed = []
    for name in options.targets or TARGETS:
        say(f"{name}: {options.seconds:g} s by {'atheris' if led else 'hypothesis'}")
        if not (by_atheris if led else by_hypothesis_here)(name, options.seconds):
            failed.append(name)
    say(f"FAILED: {', '.join(failed)}" if failed else "nothing was found")
    return 1 if failed else 0


def by_atheris(name: str, seconds: float) -> bool:
    """Run libFuzzer in a process of its own: it ends the process that it runs in."""
    found = CORPUS.parents[2] / ".out" / "fuzz" / name
    found.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={seconds:.0f}", "-rss_limit_mb=2000", f"-artifact_prefix={found}/crash-"]
    command = [sys.executable, "-m", "tests.fuzz.led", name, *limits, str(found), str(CORPUS / name)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    return done.returncode == 0


def by_hypothesis_here(name: str, seconds: float) -> bool:
    """Run hypothesis, and keep the smallest bytes that break the law."""
    broken = by_hypothesis(name, seconds=seconds)
    if broken is None:
        return True
    path = CORPUS / name / hashlib.sha256(broken).hexdigest()[:16]
    path.write_bytes(broken)
    say(f"{name}: {broken!r}, kept as {path}")
    return False


def say(line: str) -> None:
    """Tell who looks on."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
