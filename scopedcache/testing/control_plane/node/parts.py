"""The programs that a node is made of, found on this machine, or named with what to install."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Container, Mapping
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
    programs = {name: shutil.which(name, path=search_path(environ)) for name in PROGRAMS}
    found = {name: Path(path) for name, path in programs.items() if path}
    cni = next((f for f in CNI_FOLDERS if all((f / plugin).exists() for plugin in CNI_PLUGINS)), None)
    try:
        (kubelet,) = find(("kubelet",), environ)
    except MissingBinariesError:
        kubelet = None
    lacking = missing(found, cni=cni, kubelet=kubelet, platform=sys.platform, root=os.geteuid() == 0)
    if lacking or cni is None or kubelet is None:
        raise MissingPartsError(f"a node cannot run here. Missing: {'; '.join(lacking)}")
    return Parts(found, cni, kubelet)


def missing(
    programs: Container[str], *, cni: Path | None, kubelet: Path | None, platform: str, root: bool
) -> list[str]:
    """Return in words what a node needs and is not here; what no installation mends comes alone."""
    if platform != "linux":
        return [f"Linux; this is {platform}"]
    lacking = [] if root else ["root's rights"]
    packages = {package for name, package in PROGRAMS.items() if name not in programs}
    packages |= set() if cni else {CNI_PACKAGE}
    if packages:
        names = " ".join(sorted(packages))
        lacking.append(f"the Debian packages {names}: `apt-get install --no-install-recommends {names}`")
    if kubelet is None:
        lacking.append("kubelet: `python -m scopedcache.testing build kubelet` (it needs Go)")
    return lacking
