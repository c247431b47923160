"""Build etcd, kube-apiserver, kube-controller-manager and kubectl into `control-plane/bin`.

Called by `make control-plane`, or with the names of those that are needed; needs Python and Go, nothing else. What is
built is pinned by `go.mod` and `go.sum` beside this file, which are never written to: Go works on a copy.

Nothing is built when `KUBEBUILDER_ASSETS` names a folder with all of them, or when the stamp in `bin` shows that
the same sources were built with the same flags before. Only what is missing from `KUBEBUILDER_ASSETS` is built.
"""

from __future__ import annotations

import fcntl
import hashlib
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
from typing import NamedTuple, TextIO

HERE = Path(__file__).resolve().parent
BIN = HERE / "bin"
TAGS = "selinux,notest,grpcnotrace"
# A line this often where the output is a file; on a terminal one line is rewritten each second.
SECONDS_PER_LINE = 15.0


class Target(NamedTuple):
    """A binary, the Go package that it is built from, and a guess of the minutes with nothing cached (2 cores)."""

    name: str
    package: str
    minutes: float


TARGETS = (
    Target("etcd", "go.etcd.io/etcd/server/v3", 0.3),
    Target("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", 3.4),
    Target("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", 0.9),
    Target("kubectl", "k8s.io/kubernetes/cmd/kubectl", 0.5),
)


class BuildError(Exception):
    """The binaries cannot be built; the message says what the reader can do."""


def main(environ: Mapping[str, str] = os.environ, out: TextIO = sys.stdout, names: Sequence[str] = ()) -> int:
    """Build what is missing of these, by default of all. Return 0, or 1 after having said what to install."""
    try:
        build_missing(environ, out, [target for target in TARGETS if not names or target.name in names])
    except BuildError as error:
        sys.stderr.write(f"control-plane: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\ncontrol-plane: stopped; what was compiled so far is cached\n")
        return 130
    return 0


def build_missing(environ: Mapping[str, str], out: TextIO, targets: Sequence[Target]) -> None:
    """Build those targets that neither `KUBEBUILDER_ASSETS` nor an earlier build provides. One build at a time."""
    assets = environ.get("KUBEBUILDER_ASSETS")
    wanted = absent(Path(assets), targets) if assets else targets
    if not wanted:
        say(out, "KUBEBUILDER_ASSETS holds what is needed, nothing to build")
        return
    if assets:
        say(out, f"KUBEBUILDER_ASSETS holds no {', '.join(target.name for target in wanted)}: building what is missing")
    BIN.mkdir(exist_ok=True)
    with (BIN / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        todo = [target for target in wanted if not is_built(target)]
        if not todo:
            say(out, "control-plane/bin is up to date")
            return
        go = find_go(environ, required_go((HERE / "go.mod").read_text()))
        build(go, todo, environ, out)


def absent(folder: Path, targets: Sequence[Target]) -> list[Target]:
    """Return the targets without an executable in the folder."""
    return [target for target in targets if not os.access(folder / target.name, os.X_OK)]


def is_built(target: Target) -> bool:
    """Return True if the binary is there and was built from these sources with these flags."""
    stamp = BIN / f".{target.name}.stamp"
    return os.access(BIN / target.name, os.X_OK) and stamp.exists() and stamp.read_text() == fingerprint(target)


def fingerprint(target: Target) -> str:
    """Return the hash of everything that decides how the binary comes out."""
    sources = b"".join((HERE / name).read_bytes() for name in ("go.mod", "go.sum"))
    return hashlib.sha256(sources + repr(arguments(target)).encode()).hexdigest()


def required_go(go_mod: str) -> tuple[int, int]:
    """Return the Go version that a go.mod asks for."""
    match = re.search(r"^go (\d+)\.(\d+)", go_mod, re.MULTILINE)
    if match is None:
        raise BuildError("go.mod names no Go version")
    return int(match[1]), int(match[2])


def find_go(environ: Mapping[str, str], required: tuple[int, int]) -> str:
    """Return the path of a Go that is new enough. Raise BuildError with what to install."""
    go = shutil.which("go", path=environ.get("PATH", ""))
    version = "{}.{}".format(*required)
    if go is None:
        raise BuildError(f"no Go found. {advice(version)}")
    said = subprocess.run([go, "env", "GOVERSION"], env=go_environment(environ), capture_output=True, text=True)
    match = re.match(r"go(\d+)\.(\d+)", said.stdout)
    if match is None or (int(match[1]), int(match[2])) < required:
        raise BuildError(f"Go {said.stdout.strip().removeprefix('go') or '(unknown)'} is too old. {advice(version)}")
    return go


def advice(version: str) -> str:
    """Return the two ways to get the binaries, in words."""
    return (
        f"Either install Go {version} or newer, then run `make control-plane` again;\n"
        "  or bring the binaries: `setup-envtest use 1.36.x -p path` prints a folder with etcd, kube-apiserver and\n"
        "  kubectl; put kube-controller-manager of the same Kubernetes release beside them (it is not among them) and\n"
        "  set KUBEBUILDER_ASSETS to that folder."
    )


def build(go: str, targets: Sequence[Target], environ: Mapping[str, str], out: TextIO) -> None:
    """Build the targets one after the other, into place only when complete."""
    minutes = sum(target.minutes for target in targets)
    names = ", ".join(target.name for target in targets)
    say(out, f"building {names}: about {minutes:.0f} min on two cores the first time, seconds when Go has it cached")
    with tempfile.TemporaryDirectory(prefix="control-plane-") as temporary:
        module = Path(temporary)
        for name in ("go.mod", "go.sum"):
            shutil.copy(HERE / name, module / name)
        for target in targets:
            build_one(go, target, module, environ, out)
            stamp = BIN / f".{target.name}.stamp"
            stamp.unlink(missing_ok=True)
            shutil.copy(module / target.name, BIN / f".{target.name}.new")
            (BIN / f".{target.name}.new").replace(BIN / target.name)
            stamp.write_text(fingerprint(target))


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
        said = without_places("".join(lines[-15:]), module)
        raise BuildError(f"building {target.name} failed (go build ended with {process.returncode}):\n{said}")


def show_progress(
    process: subprocess.Popen[str], target: Target, lines: Sequence[str], started: float, out: TextIO
) -> None:
    """Report elapsed time and what was compiled so far until the process ends."""
    terminal = out.isatty()
    pause = 1.0 if terminal else SECONDS_PER_LINE
    while True:
        try:
            process.wait(timeout=pause)
        except subprocess.TimeoutExpired:
            moving = f"{target.name}: {time.monotonic() - started:.0f} s, {len(lines)} packages compiled or fetched"
            print(f"\r\033[K{moving}" if terminal else moving, end="" if terminal else "\n", file=out, flush=True)
            continue
        say(out, ("\r\033[K" if terminal else "") + f"{target.name}: done in {time.monotonic() - started:.0f} s")
        return


def arguments(target: Target) -> list[str]:
    """Return the arguments of `go build` that decide how the binary comes out."""
    link = "-s -w"
    if target.package.startswith("k8s.io/"):
        link += " " + version_stamp((HERE / "go.mod").read_text())
    # -mod=readonly: what go.mod and go.sum do not pin is an error, never a quiet change.
    return ["-mod=readonly", "-p", "2", "-trimpath", "-ldflags", link, "-tags", TAGS, target.package]


def version_stamp(go_mod: str) -> str:
    """Return the linker flags that make the binaries name the pinned Kubernetes version as their own."""
    match = re.search(r"^\s*k8s\.io/kubernetes v(\d+)\.(\d+)(\S*)", go_mod, re.MULTILINE)
    if match is None:
        raise BuildError("go.mod pins no k8s.io/kubernetes")
    major, minor, rest = match.groups()
    values = {"gitVersion": f"v{major}.{minor}{rest}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    flags = [f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items()]
    return " ".join([*flags, f"-X k8s.io/client-go/pkg/version.gitVersion={values['gitVersion']}"])


def go_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for Go: this toolchain and no other, no C compiler, no flags from outside."""
    return {**environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}


def without_places(text: str, module: Path) -> str:
    """Return Go's words without the addresses and folders of this machine."""
    text = re.sub(r"https?://[^\s\"]+", "<address>", text)
    return text.replace(str(module), ".").replace(str(Path.home()), "~")


def say(out: TextIO, message: str) -> None:
    """Print a line at once."""
    print(message, file=out, flush=True)


if __name__ == "__main__":
    sys.exit(main(names=sys.argv[1:]))
