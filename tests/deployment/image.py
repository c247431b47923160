"""`python -m tests.deployment.image`: the operator's image is built twice from nothing, and both are the same."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

from scopedcache.errors import ScopedCacheError
from scopedcache.testing.control_plane.node import Images, find_parts

ROOT: Final = Path(__file__).resolve().parent.parent.parent
DOCKERFILE: Final = ROOT / "examples" / "memcached_operator" / "Dockerfile"
NAMES: Final = ("localhost/scoped-memcached-operator:once", "localhost/scoped-memcached-operator:twice")


def main() -> int:
    """Build and compare; return 0 where both are equal, 1 where not, 2 where it cannot be built here."""
    try:
        images = Images(find_parts())
        once, twice = (build(images, name) for name in NAMES)
        with tempfile.TemporaryDirectory() as folder:
            size = images.save(NAMES[0], Path(folder) / "image.tar").stat().st_size
        for name in NAMES:
            images.remove(name)
    except ScopedCacheError as error:
        print(f"image: {error}", file=sys.stderr)
        return 2
    print(f"{'the same' if once == twice else 'NOT the same'}; {size / 1e6:.0f} MB as an archive, the base included")
    return 0 if once == twice else 1


def build(images: Images, name: str) -> str:
    """Build from nothing, and return what names the result."""
    images.build(DOCKERFILE, ROOT, name, fresh=True)
    found = images.identity(name)
    print(f"{name}: {found}", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
