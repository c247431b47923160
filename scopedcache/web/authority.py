"""Keys and certificates: an authority of our own, and what it signs."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE: Final = timedelta(days=3650)
LEAF_LIFE: Final = timedelta(days=180)
# Clocks of others may be behind.
VALID_BEFORE: Final = timedelta(hours=1)
_NAME_CHARACTERS: Final = 64


@attrs.frozen
class KeyPair:
    """A certificate and its private key, as PEM."""

    certificate: bytes
    key: bytes = attrs.field(repr=False)

    def parsed(self) -> x509.Certificate | None:
        """Return the certificate; None where it cannot be read, or the key is not its own."""
        try:
            certificate = x509.load_pem_x509_certificate(self.certificate)
            key = serialization.load_pem_private_key(self.key, None)
        except (TypeError, ValueError):
            return None
        return certificate if key.public_key() == certificate.public_key() else None


def new_authority(name: str, now: datetime, *, life: timedelta = AUTHORITY_LIFE) -> KeyPair:
    """Return a new authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _named(name)
    usage = _usage(key_cert_sign=True, crl_sign=True, digital_signature=True)
    builder = (
        _certificate(key, subject, subject, now, life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(_key_identifier(key.public_key()), critical=False)
    )
    return _signed(builder, key, key)


def new_leaf(authority: KeyPair, hosts: Iterable[str], now: datetime, *, life: timedelta = LEAF_LIFE) -> KeyPair:
    """Return a certificate of a server with these names or addresses, signed by an authority.

    Raises:
        ValueError: the authority cannot be read, or there are no hosts.
    """
    parent, key = authority.parsed(), ec.generate_private_key(ec.SECP256R1())
    names = list(hosts)
    if parent is None or not names:
        raise ValueError("an authority that can be read and at least one host are needed")
    signer = serialization.load_pem_private_key(authority.key, None)
    identifier = _identifier_of(parent)
    builder = (
        _certificate(key, _named(names[0]), parent.subject, now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )
    return _signed(builder, key, signer)  # type: ignore[arg-type]


def is_signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Tell whether an authority has signed a certificate."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def hosts_of(certificate: x509.Certificate) -> frozenset[str]:
    """Return the names and addresses that a certificate is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(str(name.value) for name in names)


def _certificate(
    key: ec.EllipticCurvePrivateKey, subject: x509.Name, issuer: x509.Name, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - VALID_BEFORE)
        .not_valid_after(now + life)
    )


def _signed(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey
) -> KeyPair:
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return KeyPair(builder.sign(signer, hashes.SHA256()).public_bytes(pem), private)


def _identifier_of(authority: x509.Certificate) -> x509.SubjectKeyIdentifier:
    """Return how an authority names its key, which is what OpenSSL compares; others may name theirs in another way."""
    try:
        return authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return _key_identifier(authority.public_key())


def _key_identifier(key: CertificatePublicKeyTypes) -> x509.SubjectKeyIdentifier:
    """Return a name of a key, by SHA-256 as in RFC 7093: `from_public_key` takes SHA-1, which FIPS refuses."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return x509.SubjectKeyIdentifier(sha256(key.public_bytes(serialization.Encoding.DER, form)).digest()[:20])


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_NAME_CHARACTERS])])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(**given: bool) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: given.get(name, False) for name in names})
