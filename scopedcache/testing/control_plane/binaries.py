"""Finding the Kubernetes binaries on this machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

from ...errors import ScopedCacheError
from .build_targets import BuildError, cache_folder

NAMES: Final = ("etcd", "kube-apiserver", "kube-controller-manager")


class MissingBinariesError(ScopedCacheError):
    """Kubernetes binaries are needed and not there; the message says where they were sought and how to get them."""


@attrs.frozen
class Binaries:
    """The paths of the three programs of a control plane."""

    etcd: Path
    apiserver: Path
    controller_manager: Path


def find_binaries(environ: Mapping[str, str] | None = None) -> Binaries:
    """Return the three programs, each from `KUBEBUILDER_ASSETS`, else from where `build` puts them.

    Args:
        environ: the environment variables; those of this process by default.

    Raises:
        MissingBinariesError: at least one is in neither place.
    """
    return Binaries(*find(NAMES, environ))


def find_kubectl(environ: Mapping[str, str] | None = None) -> Path:
    """Return kubectl from where `find_binaries` looks, not from `PATH`: the release of the servers.

    Raises:
        MissingBinariesError: it is in neither place.
    """
    return find(("kubectl",), environ)[0]


def find(names: Sequence[str], environ: Mapping[str, str] | None) -> list[Path]:
    """Return the paths of programs. Raise MissingBinariesError unless all are there."""
    folders = list(places(os.environ if environ is None else environ))
    paths = {name: next((f / name for f in folders if os.access(f / name, os.X_OK)), None) for name in names}
    missing = [name for name, path in paths.items() if path is None]
    if missing:
        raise MissingBinariesError(
            f"no {', '.join(missing)} in {' or '.join(map(str, folders)) or 'any folder'}: run "
            "`python -m scopedcache.testing build` (it needs Go), or set KUBEBUILDER_ASSETS to a folder that holds them"
        )
    return [path for path in paths.values() if path is not None]


def places(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the folders to look in, best first."""
    if assets := environ.get("KUBEBUILDER_ASSETS"):
        yield Path(assets)
    with contextlib.suppress(BuildError):
        yield cache_folder(environ)
