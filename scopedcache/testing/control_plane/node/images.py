"""Images without Docker: a base out of Debian's own packages, and what Dockerfiles make of it, by buildah.

The base is made once and kept in the user's cache folder; it takes the place of what a Dockerfile names as `BASE`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ....errors import ScopedCacheError
from ..build_targets import cache_home
from .files import SANDBOX_IMAGE
from .parts import Parts, search_path

SUITE: Final = "bookworm"
PACKAGES: Final = ("ca-certificates", "python3", "python3-venv")
# What no program reads when it runs.
LEFT_OUT: Final = (
    "./dev",
    "./var/cache/apt",
    "./var/lib/apt",
    "./usr/share/doc",
    "./usr/share/locale",
    "./usr/share/man",
)
BASE_IMAGE: Final = "localhost/scopedcache-base:bookworm"
# Each change of the sources leaves some ten layers behind, of which the next build takes what did not change.
KEPT_IMAGES: Final = 100
MOMENT: Final = 1735689600  # 2025-01-01: what is built twice is the same
# The host's own bundle: behind a proxy with a CA of its own, pip in a build trusts what pip here trusts.
CA_BUNDLES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


class ImageError(ScopedCacheError):
    """An image could not be built; the message ends with what the program said last."""


class Images:
    """Builds images into the user's cache folder. Blocks; one at a time, other processes wait."""

    def __init__(self, parts: Parts, environ: Mapping[str, str] | None = None) -> None:
        self._parts = parts
        self._environ = os.environ if environ is None else environ
        recipe = repr((SUITE, PACKAGES, LEFT_OUT)).encode()
        self.folder = cache_home(self._environ) / "scopedcache" / "images" / hashlib.sha256(recipe).hexdigest()[:16]

    def base(self) -> str:
        """Return the name of the base image, with Python in it; made where it is not there (minutes)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock():
            if not self._has(BASE_IMAGE):
                self._make_base()
            return BASE_IMAGE

    def build(
        self,
        dockerfile: Path,
        context: Path,
        name: str,
        arguments: Mapping[str, str] | None = None,
        *,
        fresh: bool = False,
    ) -> str:
        """Build an image on the local base and return its name, as a container runtime knows it.

        `fresh`: nothing is taken from earlier builds.
        """
        base, full = self.base(), full_name(name)
        given = {"BASE": base, "SOURCE_DATE_EPOCH": str(MOMENT), **(arguments or {})}
        bundle = next((self._environ[v] for v in CA_BUNDLES if self._environ.get(v)), None)
        command = [
            *("bud", "--isolation", "chroot", "--pull-never", "--no-cache" if fresh else "--layers"),
            *("--timestamp", str(MOMENT), "--file", str(dockerfile)),
        ]
        command += [] if bundle is None else ["--secret", f"id=ca,src={bundle}"]
        command += [word for key, value in given.items() for word in ("--build-arg", f"{key}={value}")]
        with self._lock():
            self._buildah(*command, "--tag", full, str(context))
            if len(self._buildah("images", "--all", "--quiet").split()) > KEPT_IMAGES:
                self._buildah("rmi", "--prune")
        return full

    def remove(self, name: str) -> None:
        """Forget an image; what other builds may still use of it stays. Nothing happens where there is none."""
        with self._lock():
            if self._has(full_name(name)):
                self._buildah("rmi", full_name(name))

    def save(self, name: str, archive: Path) -> Path:
        """Write an image into an OCI archive, as `ctr images import` reads it."""
        archive.unlink(missing_ok=True)
        with self._lock():
            self._buildah("push", "--quiet", full_name(name), f"oci-archive:{archive}:{full_name(name)}")
        return archive

    def identity(self, name: str) -> str:
        """Return the hash of an image's configuration and layers. Raise ImageError where there is none."""
        found = self._buildah("images", "--no-trunc", "--quiet", full_name(name)).split()
        return found[0]

    def sandbox(self, archive: Path) -> Path:
        """Save the image that holds a Pod's network while its containers come and go: the base, asleep."""
        self.base()
        if not self._has(SANDBOX_IMAGE):
            with tempfile.TemporaryDirectory() as folder, self._lock():
                recipe = Path(folder) / "Dockerfile"
                recipe.write_text(f'FROM {BASE_IMAGE}\nUSER 65535\nENTRYPOINT ["/bin/sleep", "infinity"]\n')
                self._buildah("bud", "--isolation", "chroot", "--pull-never", "--tag", SANDBOX_IMAGE, folder)
        return self.save(SANDBOX_IMAGE, archive)

    def _make_base(self) -> None:
        with tempfile.TemporaryDirectory(prefix="base-image-") as temporary:
            root, context = Path(temporary) / "root", Path(temporary) / "context"
            context.mkdir()
            words = ["--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root)]
            self._run([str(self._parts["debootstrap"]), *words])
            out = [f"--exclude={path}" for path in LEFT_OUT]
            self._run(["tar", "--numeric-owner", "-C", str(root), *out, "-cf", str(context / "root.tar"), "."])
            (context / "Dockerfile").write_text("FROM scratch\nADD root.tar /\n")
            self._buildah("bud", "--isolation", "chroot", "--tag", BASE_IMAGE, str(context))
            shutil.rmtree(root, ignore_errors=True)

    def _has(self, name: str) -> bool:
        return bool(self._buildah("images", "--quiet", "--filter", f"reference={name}").split())

    def _buildah(self, *arguments: str) -> str:
        places = ["--root", str(self.folder / "storage"), "--runroot", str(self.folder / "run")]
        return self._run([str(self._parts["buildah"]), *places, "--storage-driver", "overlay", *arguments])

    def _run(self, command: Sequence[str]) -> str:
        environ = {**self._environ, "PATH": search_path(self._environ), "BUILDAH_ISOLATION": "chroot"}
        answer = subprocess.run(command, capture_output=True, text=True, env=environ)
        if answer.returncode:
            last = "\n".join((answer.stdout + answer.stderr).splitlines()[-15:])
            raise ImageError(f"{Path(command[0]).name} failed ({answer.returncode}); it said last:\n{last}")
        return answer.stdout

    def _lock(self) -> Lock:
        return Lock(self.folder / ".lock")


class Lock:
    """A file's lock, held within a `with`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def __enter__(self) -> None:
        self._file = self._path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()


def full_name(name: str) -> str:
    """Return the name of an image as container runtimes know it: without a registry, it is Docker's library."""
    first = name.partition("/")[0]
    if "/" in name and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"docker.io/{name}" if "/" in name else f"docker.io/library/{name}"
