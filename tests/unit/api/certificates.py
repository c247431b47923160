"""Certificates for tests: an authority, and what it issues. Needs the openssl command."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import attrs
import pytest

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]


@attrs.frozen
class Issued:
    certificate: Path
    key: Path


class Authority:
    """Signs certificates in a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        if shutil.which("openssl") is None:
            pytest.skip("needs the openssl command")
        self.folder, self.name, self.issued = folder, name, 0
        self.certificate, self.key = folder / f"{name}.crt", folder / f"{name}.key"
        _openssl(
            "req", "-x509", *_KEY, "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-keyout", str(self.key), "-out", str(self.certificate),
        )  # fmt: skip

    def issue(self, name: str, place: str = "IP:127.0.0.1", *, client: bool = False, passphrase: str = "") -> Issued:
        """Return a certificate for a server at a place, or for a client."""
        self.issued += 1
        stem = self.folder / f"{self.name}-{name}-{self.issued}"
        made = Issued(stem.with_suffix(".crt"), stem.with_suffix(".key"))
        usage = "extendedKeyUsage=clientAuth" if client else f"subjectAltName={place}"
        secret = ["-passout", f"pass:{passphrase}"] if passphrase else ["-nodes"]
        _openssl(
            "req", "-x509", *_KEY, *secret, "-days", "2", "-subj", f"/CN={name}", "-addext", usage,
            "-addext", "basicConstraints=critical,CA:FALSE",
            "-CA", str(self.certificate), "-CAkey", str(self.key), "-keyout", str(made.key),
            "-out", str(made.certificate),
        )  # fmt: skip
        return made


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
