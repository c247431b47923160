"""A self-signed certificate for 127.0.0.1, for throw-away clusters: kubectl sends no token over plain HTTP."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...identities import write_private
from ...keys import key_identifier, new_private_key, private_pem

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import KeyUsage

NAME: Final = "scopedcache embedded cluster"
# Clocks of clients may be behind, and the clock of a test may be anywhere.
VALID_BEFORE: Final = timedelta(days=1)
VALID_AFTER: Final = timedelta(days=365)


def server_context(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Write `server.crt` and `server.key` into a folder; return what serves with them, and what its clients trust.

    Raises:
        ScopedCacheError: the extra `scopedcache[testing]` is not installed.
    """
    key = new_private_key()
    certificate_file, key_file = folder / "server.crt", folder / "server.key"
    certificate_file.write_text(self_signed(key, datetime.now(UTC)))
    write_private(key_file, private_pem(key))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate_file, key_file)
    return context, certificate_file


def self_signed(key: EllipticCurvePrivateKey, now: datetime) -> str:
    """Return a certificate, authority and server in one, as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    hosts = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - VALID_BEFORE)
        .not_valid_after(now + VALID_AFTER)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        # Python 3.13 asks a certificate authority for these two (VERIFY_X509_STRICT).
        .add_extension(x509.SubjectKeyIdentifier(key_identifier(key)), critical=False)
        .add_extension(_ca_and_server(), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _ca_and_server() -> KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
