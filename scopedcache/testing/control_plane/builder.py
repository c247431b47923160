"""Builds etcd, kube-apiserver, kube-controller-manager and kubectl with Go: `python -m scopedcache.testing build`.

Needs Python and Go, nothing else. Go works on a copy of `go.mod` and `go.sum`, which are never written to. Nothing is
built when `KUBEBUILDER_ASSETS` names a folder with all that is needed, or when the user's cache folder holds the
binaries of these sources. Only what is missing from `KUBEBUILDER_ASSETS` is built.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TextIO

from .build_targets import SOURCE_FILES, SOURCES, TARGETS, BuildError, Target, arguments, cache_folder, required_go

# A line this often where the output is a file; on a terminal one line is rewritten each second.
SECONDS_PER_LINE: Final = 15.0
SECONDS_PER_LINE_ON_A_TERMINAL: Final = 1.0


def main(environ: Mapping[str, str] = os.environ, out: TextIO = sys.stdout, names: Sequence[str] = ()) -> int:
    """Build what is missing of these, by default of what everybody needs; the last line names their folder.

    Return 0, 1 after having said on stderr what to do, or 130 after an interrupt.
    """
    try:
        folder = build_missing(environ, out, wanted(names))
    except BuildError as error:
        sys.stderr.write(f"control-plane: {error}\n")
        return 1
    except OSError as error:
        place = f" {error.filename}" if error.filename else ""
        sys.stderr.write(f"control-plane: cannot write{place}: {error.strerror}. Set XDG_CACHE_HOME or TMPDIR\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\ncontrol-plane: stopped; what was compiled so far is cached\n")
        return 130
    print_line(out, str(folder))
    return 0


def wanted(names: Sequence[str]) -> list[Target]:
    """Return the targets of these names, by default those that everybody needs."""
    return [target for target in TARGETS if (target.name in names if names else target.for_everybody)]


def build_missing(environ: Mapping[str, str], out: TextIO, targets: Sequence[Target]) -> Path:
    """Build those targets that neither `KUBEBUILDER_ASSETS` nor an earlier build provides. One build at a time.

    Return the folder of what was built now or before, or `KUBEBUILDER_ASSETS` where nothing else is needed.
    """
    assets = environ.get("KUBEBUILDER_ASSETS")
    needed = absent(Path(assets), targets) if assets else targets
    if assets and not needed:
        print_line(out, "KUBEBUILDER_ASSETS holds what is needed, nothing to build")
        return Path(assets)
    if assets:
        missing = ", ".join(target.name for target in needed)
        print_line(out, f"KUBEBUILDER_ASSETS holds no {missing}: building what is missing")
    folder = cache_folder(environ)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        todo = absent(folder, needed)
        if not todo:
            print_line(out, "the binaries of these sources are there already, nothing to build")
            return folder
        build(find_go(environ, required_go()), todo, folder, environ, out)
    return folder


def absent(folder: Path, targets: Sequence[Target]) -> list[Target]:
    """Return the targets without an executable in the folder."""
    return [target for target in targets if not os.access(folder / target.name, os.X_OK)]


def find_go(environ: Mapping[str, str], required: tuple[int, int]) -> str:
    """Return the path of a Go that is new enough. Raise BuildError with what to install."""
    go = shutil.which("go", path=environ.get("PATH", ""))
    version = "{}.{}".format(*required)
    if go is None:
        raise BuildError(f"no Go found. {advice(version)}")
    try:
        answer = subprocess.run([go, "env", "GOVERSION"], env=go_environment(environ), capture_output=True, text=True)
    except OSError as error:
        raise BuildError(f"{go} cannot be started: {error.strerror}. {advice(version)}") from error
    match = re.match(r"go(\d+)\.(\d+)", answer.stdout)
    if match is None or (int(match[1]), int(match[2])) < required:
        raise BuildError(f"Go {answer.stdout.strip().removeprefix('go') or '(unknown)'} is too old. {advice(version)}")
    return go


def advice(version: str) -> str:
    """Return the two ways to get the binaries, in words."""
    return (
        f"Either install Go {version} or newer, then run `python -m scopedcache.testing build` again;\n"
        "  or bring the binaries: `setup-envtest use 1.36.x -p path` prints a folder with etcd, kube-apiserver and\n"
        "  kubectl; put kube-controller-manager of the same Kubernetes release beside them (it is not among them) and\n"
        "  set KUBEBUILDER_ASSETS to that folder."
    )


def build(go: str, targets: Sequence[Target], folder: Path, environ: Mapping[str, str], out: TextIO) -> None:
    """Build the targets one after the other, into the folder only when complete."""
    minutes = sum(target.minutes for target in targets)
    names = ", ".join(target.name for target in targets)
    print_line(
        out, f"building {names}: about {minutes:.0f} min on two cores the first time, seconds when Go has it cached"
    )
    with tempfile.TemporaryDirectory(prefix="control-plane-") as temporary:
        module = Path(temporary)
        for name in SOURCE_FILES:
            shutil.copy(SOURCES / name, module / name)
        for target in targets:
            build_one(go, target, module, environ, out)
            shutil.copy(module / target.name, folder / f".{target.name}.new")
            (folder / f".{target.name}.new").replace(folder / target.name)


def build_one(go: str, target: Target, module: Path, environ: Mapping[str, str], out: TextIO) -> None:
    """Compile one target into the module folder, showing that it moves."""
    command = [go, "build", "-v", "-o", target.name, *arguments(target)]
    process = subprocess.Popen(
        command, cwd=module, env=go_environment(environ), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()), daemon=True)
    started = time.monotonic()
    try:
        reader.start()
        show_progress(process, target, lines, started, out)
        reader.join()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode:
        output = without_places("".join(lines[-15:]), module)
        raise BuildError(f"building {target.name} failed (go build ended with {process.returncode}):\n{output}")


def show_progress(
    process: subprocess.Popen[str], target: Target, lines: Sequence[str], started: float, out: TextIO
) -> None:
    """Report elapsed time and what was compiled so far until the process ends."""
    terminal = out.isatty()
    pause = SECONDS_PER_LINE_ON_A_TERMINAL if terminal else SECONDS_PER_LINE
    while True:
        try:
            process.wait(timeout=pause)
        except subprocess.TimeoutExpired:
            progress = f"{target.name}: {time.monotonic() - started:.0f} s, {len(lines)} packages compiled or fetched"
            print(f"\r\033[K{progress}" if terminal else progress, end="" if terminal else "\n", file=out, flush=True)
            continue
        print_line(out, ("\r\033[K" if terminal else "") + f"{target.name}: done in {time.monotonic() - started:.0f} s")
        return


def go_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for Go: this toolchain, this machine, no C compiler, no flags from outside."""
    fixed = {"GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GOOS": "", "GOARCH": ""}
    return {**environ, **fixed}


def without_places(text: str, module: Path) -> str:
    """Return Go's words without the addresses and folders of this machine."""
    text = re.sub(r"https?://[^\s\"]+", "<address>", text)
    return text.replace(str(module), ".").replace(os.path.expanduser("~"), "~")


def print_line(out: TextIO, message: str) -> None:
    """Print a line at once."""
    print(message, file=out, flush=True)
