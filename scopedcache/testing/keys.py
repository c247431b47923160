"""Key pairs for throw-away servers, made by the package `cryptography`: the extra `scopedcache[testing]`."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from ..errors import ScopedCacheError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey


def new_private_key() -> EllipticCurvePrivateKey:
    """Return a new P-256 private key.

    Raises:
        ScopedCacheError: `cryptography` is not installed.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise ScopedCacheError(
            "a server for tests needs keys, and the package cryptography to make them: "
            "pip install 'scopedcache[testing]'"
        ) from error
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: EllipticCurvePrivateKey) -> str:
    """Return a private key as PEM, not encrypted."""
    from cryptography.hazmat.primitives import serialization

    encoding, kind = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(encoding, kind, serialization.NoEncryption()).decode()


def key_identifier(key: EllipticCurvePrivateKey) -> bytes:
    """Return a name of a key for its certificate, by SHA-256 as in RFC 7093: FIPS refuses the usual SHA-1."""
    from cryptography.hazmat.primitives import serialization

    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return sha256(key.public_key().public_bytes(serialization.Encoding.DER, form)).digest()[:20]
