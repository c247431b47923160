"""What is built for a real control plane, from which sources, and where the result is kept.

`go.mod` and `go.sum` beside this file pin the sources. The folder of the binaries carries the hash of everything that
decides how they come out: who has the same sources shares them, and other sources get a folder of their own.
"""

from __future__ import annotations

import hashlib
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from ...errors import ScopedCacheError

SOURCES: Final = Path(__file__).resolve().parent
SOURCE_FILES: Final = ("go.mod", "go.sum")
TAGS: Final = "selinux,notest,grpcnotrace"


class Target(NamedTuple):
    """A binary, the Go package that it is built from, and a guess of the minutes with nothing cached (2 cores).

    What is not `for_everybody` is built where it is asked for by name.
    """

    name: str
    package: str
    minutes: float
    for_everybody: bool = True


TARGETS: Final = (
    Target("etcd", "go.etcd.io/etcd/server/v3", 0.3),
    Target("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", 3.4),
    Target("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", 0.9),
    Target("kubectl", "k8s.io/kubernetes/cmd/kubectl", 0.5),
    Target("kubelet", "k8s.io/kubernetes/cmd/kubelet", 5.0, for_everybody=False),
)


class BuildError(ScopedCacheError):
    """The binaries cannot be built; the message says what the reader can do."""


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return where the binaries of these sources are kept: below `XDG_CACHE_HOME`, by default `~/.cache`.

    Raises:
        BuildError: neither says where that is.
    """
    return cache_home(environ) / "scopedcache" / "control-plane" / fingerprint()


def cache_home(environ: Mapping[str, str]) -> Path:
    """Return the folder for what can be made again. A relative `XDG_CACHE_HOME` counts as none (XDG specification)."""
    named = Path(environ.get("XDG_CACHE_HOME", ""))
    if named.is_absolute():
        return named
    try:
        return (Path(environ["HOME"]) if environ.get("HOME") else Path.home()) / ".cache"
    except RuntimeError:
        raise BuildError("there is no home folder here: set XDG_CACHE_HOME to a folder for the binaries") from None


def fingerprint() -> str:
    """Return the hash of everything that decides how the binaries come out."""
    sources = [(SOURCES / name).read_bytes() for name in SOURCE_FILES]
    rest = (*map(arguments, TARGETS), sys.platform, platform.machine())
    return hashlib.sha256(b"".join(sources) + repr(rest).encode()).hexdigest()[:16]


def arguments(target: Target) -> list[str]:
    """Return the arguments of `go build` that decide how the binary comes out."""
    link = "-s -w"
    if target.package.startswith("k8s.io/"):
        link += " " + version_flags((SOURCES / "go.mod").read_text())
    # -mod=readonly: what go.mod and go.sum do not pin is an error, never a quiet change.
    return ["-mod=readonly", "-p", "2", "-trimpath", "-ldflags", link, "-tags", TAGS, target.package]


def version_flags(go_mod: str) -> str:
    """Return the linker flags that make the binaries name the pinned Kubernetes version as their own."""
    match = re.search(r"^\s*k8s\.io/kubernetes v(\d+)\.(\d+)(\S*)", go_mod, re.MULTILINE)
    if match is None:
        raise BuildError("go.mod pins no k8s.io/kubernetes")
    major, minor, rest = match.groups()
    values = {"gitVersion": f"v{major}.{minor}{rest}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    flags = [f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items()]
    return " ".join([*flags, f"-X k8s.io/client-go/pkg/version.gitVersion={values['gitVersion']}"])


def required_go() -> tuple[int, int]:
    """Return the Go version that the sources ask for."""
    match = re.search(r"^go (\d+)\.(\d+)", (SOURCES / "go.mod").read_text(), re.MULTILINE)
    if match is None:
        raise BuildError("go.mod names no Go version")
    return int(match[1]), int(match[2])
