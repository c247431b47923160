"""The programs that a node is made of, found on this machine, or named with what to install."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs

from ....errors import ScopedCacheError
from ..binaries import MissingBinariesError, find

# Where Debian puts what only root runs; PATH of a service often lacks it.
ADMINISTRATION: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin")
CNI_FOLDERS: Final = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
CNI_PLUGINS: Final = ("ptp", "host-local", "loopback")
# Program → the Debian package that brings it.
PROGRAMS: Final = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "newuidmap": "uidmap",
}
CNI_PACKAGE: Final = "containernetworking-plugins"
DEBIAN_PACKAGES: Final = tuple(sorted({*PROGRAMS.values(), CNI_PACKAGE}))


class MissingPartsError(ScopedCacheError):
    """Parts of a node are not here; the message names all of them, and how to get them."""


@attrs.frozen
class Parts:
    """Where the parts are."""

    programs: Mapping[str, Path]
    cni: Path
    kubelet: Path

    def __getitem__(self, program: str) -> Path:
        return self.programs[program]


def search_path(environ: Mapping[str, str]) -> str:
    """Return the folders that are searched for programs."""
    return os.pathsep.join(filter(None, (environ.get("PATH", ""), *ADMINISTRATION)))


def find_parts(environ: Mapping[str, str] | None = None) -> Parts:
    """Return the parts of a node.

    Raises:
        MissingPartsError: this is no Linux, we are not root, or a program is missing; says all of it at once.
    """
    environ = os.environ if environ is None else environ
    if sys.platform != "linux":
        raise MissingPartsError(f"a node needs Linux; this is {sys.platform}")
    programs = {name: shutil.which(name, path=search_path(environ)) for name in PROGRAMS}
    cni = next((f for f in CNI_FOLDERS if all((f / plugin).exists() for plugin in CNI_PLUGINS)), None)
    packages = {PROGRAMS[name] for name, path in programs.items() if path is None}
    packages |= set() if cni else {CNI_PACKAGE}
    missing = ["root's rights"] if os.geteuid() else []
    if packages:
        names = " ".join(sorted(packages))
        missing.append(f"the Debian packages {names}: `apt-get install --no-install-recommends {names}`")
    try:
        (kubelet,) = find(("kubelet",), environ)
    except MissingBinariesError:
        missing.append("kubelet: `python -m scopedcache.testing build kubelet` (it needs Go)")
    if missing:
        raise MissingPartsError("a node cannot run here. Missing: " + "; ".join(missing))
    assert cni is not None
    return Parts({name: Path(path) for name, path in programs.items() if path}, cni, kubelet)
