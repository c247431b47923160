"""Helm, built with Go once into the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from scopedcache.testing.control_plane.build_targets import BuildError, cache_home
from scopedcache.testing.control_plane.builder import find_go, go_environment

SOURCES: Final = Path(__file__).resolve().parent
SOURCE_FILES: Final = ("go.mod", "go.sum")
PACKAGE: Final = "helm.sh/helm/v3/cmd/helm"
GO: Final = (1, 26)


def find_helm() -> Path:
    """Return helm from the cache folder, built where it is not there: about five minutes, once.

    Raises:
        BuildError: there is no Go, or it fails; says what to do.
    """
    content = b"".join((SOURCES / name).read_bytes() for name in SOURCE_FILES)
    folder = cache_home(os.environ) / "scopedcache" / "helm" / hashlib.sha256(content).hexdigest()[:16]
    helm = folder / "helm"
    if not helm.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _build(helm)
    return helm


def _build(helm: Path) -> None:
    go = find_go(os.environ, GO)
    print("building helm: about five minutes on two cores the first time", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="helm-") as temporary:
        for name in SOURCE_FILES:
            shutil.copy(SOURCES / name, temporary)
        command = [go, "build", "-mod=readonly", "-p", "2", "-trimpath", "-ldflags", "-s -w", "-o", "helm", PACKAGE]
        answer = subprocess.run(command, cwd=temporary, env=go_environment(os.environ), capture_output=True, text=True)
        if answer.returncode:
            raise BuildError(f"helm does not build: {answer.stderr.strip()[-2000:]}")
        shutil.copy(Path(temporary) / "helm", helm.with_suffix(".new"))
        helm.with_suffix(".new").replace(helm)
