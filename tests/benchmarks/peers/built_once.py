"""Builds the programs of other languages, once for each version of their sources, into the user's cache."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from scopedcache.testing.control_plane.build_targets import cache_home
from scopedcache.testing.control_plane.builder import find_go, go_environment, without_places

HERE = Path(__file__).resolve().parent
GO = (1, 26)
_SOURCES = (".go", ".mod", ".sum", ".rs", ".toml", ".lock")


class PeerError(Exception):
    """A peer cannot be built here; the message says why."""


def go_programs() -> Path:
    """Return the folder with the Go programs, built where they are not there yet (minutes, once).

    Raises:
        PeerError: the build failed.
        BuildError: there is no Go here that is new enough.
    """

    def build(folder: Path) -> None:
        go = find_go(os.environ, GO)
        command = [go, "build", "-trimpath", "-ldflags", "-s -w", "-o", f"{folder}{os.sep}", "./..."]
        _run(command, HERE / "go", go_environment(os.environ))

    return _built_once("go", build)


def rust_programs() -> Path:
    """Return the folder with the Rust programs, built where they are not there yet (minutes, once).

    Raises:
        PeerError: the build failed, or there is no cargo here.
    """

    def build(folder: Path) -> None:
        cargo = shutil.which("cargo")
        if cargo is None:
            raise PeerError("kube-rs is built by cargo, and there is none in PATH")
        with tempfile.TemporaryDirectory(dir=folder.parent) as target:
            _run([cargo, "build", "--release", "--locked", "--target-dir", target], HERE / "rust", os.environ)
            shutil.copy2(Path(target) / "release" / "podcache", folder)

    return _built_once("rust", build)


def _built_once(language: str, build: Callable[[Path], None]) -> Path:
    sources = HERE / language
    files = sorted(path for path in sources.rglob("*") if path.suffix in _SOURCES)
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    folder = cache_home(os.environ) / "scopedcache" / "benchmarks" / f"{language}-{digest}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    print(f"building the peers in {language.capitalize()} (minutes the first time)", flush=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        built = Path(temporary) / "bin"
        built.mkdir()
        build(built)
        built.rename(folder)
    return folder


def _run(command: list[str], sources: Path, environ: Mapping[str, str]) -> None:
    done = subprocess.run(command, cwd=sources, env=environ, capture_output=True, text=True)
    if done.returncode != 0:
        raise PeerError(f"building in {sources.name} failed:\n" + without_places(done.stderr[-2000:], sources))
