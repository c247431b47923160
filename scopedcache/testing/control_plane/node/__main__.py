"""`python -m scopedcache.testing.control_plane.node`: look for a node's parts, and make the images it starts with."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from ....errors import ScopedCacheError
from .images import Images
from .parts import find_parts


def main() -> int:
    """Return 0 when a node can start at once, 2 when something is missing, which is said."""
    try:
        images = Images(find_parts())
        with tempfile.TemporaryDirectory() as folder:
            images.sandbox(Path(folder) / "sandbox.tar")
    except ScopedCacheError as error:
        print(f"node: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
