"""Builds the Go programs beside this file, once for each version of their sources, into the user's cache."""

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from scopedcache.testing.control_plane.build_targets import cache_home
from scopedcache.testing.control_plane.builder import find_go, go_environment, without_places

SOURCES = Path(__file__).resolve().parent / "go"
GO = (1, 26)


class PeerError(Exception):
    """A peer cannot be built here; the message says why."""


def go_programs() -> Path:
    """Return the folder with the Go programs, built where they are not there yet (minutes, once).

    Raises:
        PeerError: the build failed.
        BuildError: there is no Go here that is new enough.
    """
    files = sorted(path for path in SOURCES.rglob("*") if path.suffix in (".go", ".mod", ".sum"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    folder = cache_home(os.environ) / "scopedcache" / "benchmarks" / f"go-{digest}"
    if folder.exists():
        return folder
    go = find_go(os.environ, GO)
    folder.parent.mkdir(parents=True, exist_ok=True)
    print("building the Go peers (minutes the first time)", flush=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        built = Path(temporary) / "bin"
        built.mkdir()
        command = [go, "build", "-trimpath", "-ldflags", "-s -w", "-o", f"{built}{os.sep}", "./..."]
        environment = go_environment(os.environ)
        done = subprocess.run(command, cwd=SOURCES, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise PeerError("building the Go peers failed:\n" + without_places(done.stderr[-2000:], SOURCES))
        built.rename(folder)
    return folder
