"""What an operator shows to a real API server, renewed and expired: tokens and client certificates."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from scopedcache.testing.keys import new_private_key, private_pem

HOUR: Final = timedelta(hours=1)


def expired_token(token: str, key_file: Path) -> str:
    """Return a ServiceAccount's token as it was two hours ago, signed by the same key: it has run out since."""
    head, claims, _ = token.split(".")
    said = json.loads(_decoded(claims))
    for claim in ("iat", "nbf", "exp"):
        said[claim] = int(said[claim]) - 2 * int(HOUR.total_seconds())
    signed = f"{head}.{_encoded(json.dumps(said).encode())}"
    key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = utils.decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{_encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@attrs.define(eq=False)
class ClientAuthority:
    """The CA whose client certificates an API server takes."""

    folder: Path
    _key: ec.EllipticCurvePrivateKey = attrs.field(factory=new_private_key)

    def __attrs_post_init__(self) -> None:
        certificate = self._build("clients", self._key, -HOUR, HOUR).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.certificate.write_bytes(_pem(certificate.sign(self._key, hashes.SHA256())))

    @property
    def certificate(self) -> Path:
        return self.folder / "client-ca.crt"

    @property
    def shown(self) -> tuple[Path, Path]:
        """Return the files of the operator's certificate and its key."""
        return self.folder / "operator.crt", self.folder / "operator.key"

    def issue(self, user: str, *, expired: bool = False) -> None:
        """Write a new certificate and key for a user over the old ones, each in one step."""
        key = new_private_key()
        since, until = (-2 * HOUR, -HOUR) if expired else (-HOUR, HOUR)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        made = self._build(user, key, since, until).add_extension(usage, critical=False)
        contents = (_pem(made.sign(self._key, hashes.SHA256())), private_pem(key).encode())
        for path, content in zip(self.shown, contents, strict=True):
            fresh = path.with_suffix(".new")
            fresh.write_bytes(content)
            fresh.replace(path)

    def _build(
        self, name: str, key: ec.EllipticCurvePrivateKey, since: timedelta, until: timedelta
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name("clients"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + since)
            .not_valid_after(now + until)
        )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
