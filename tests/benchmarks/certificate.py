"""An authority and a certificate of its own for 127.0.0.1, made anew for each load server."""

from datetime import UTC, datetime
from pathlib import Path

from scopedcache.web.authority import new_authority, new_leaf


def write_certificates(directory: Path) -> tuple[Path, Path, Path]:
    """Write `ca.crt`, `server.crt` and `server.key` into the directory; return their paths.

    Two certificates, for rustls takes none that is an authority and a server.
    """
    authority = new_authority("scopedcache-bench", datetime.now(UTC))
    server = new_leaf(authority, ["127.0.0.1", "localhost"], datetime.now(UTC))
    files = directory / "ca.crt", directory / "server.crt", directory / "server.key"
    for path, content in zip(files, (authority.certificate, server.certificate, server.key), strict=True):
        path.write_bytes(content)
    return files
