"""An authority and what it signs: OpenSSL, as strict as Python 3.13 makes it, takes both."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from scopedcache.web import KeyPair, new_authority, new_leaf

NOW = datetime.now(UTC)


def of_others() -> KeyPair:
    """Return an authority whose key has the usual name, by SHA-1, as those that were made before have."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "theirs")])
    flags = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only")
    usage = x509.KeyUsage(
        **dict.fromkeys(flags, False), decipher_only=False, digital_signature=True, key_cert_sign=True, crl_sign=True
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(hours=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return KeyPair(certificate.public_bytes(pem), private)


def shake_hands(authority: KeyPair, leaf: KeyPair, folder: Path) -> str | None:
    """Let a client that trusts the authority meet a server with the leaf; return what TLS they agree on."""
    (folder / "tls.crt").write_bytes(leaf.certificate)
    (folder / "tls.key").write_bytes(leaf.key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    client = ssl.create_default_context(cadata=authority.certificate.decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(5):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[0].version()


def test_what_a_new_authority_signs_is_taken(tmp_path: Path) -> None:
    authority = new_authority("ours", NOW)

    assert shake_hands(authority, new_leaf(authority, ["localhost"], NOW), tmp_path) == "TLSv1.3"


def test_a_leaf_names_the_key_of_its_authority_as_that_does_itself(tmp_path: Path) -> None:
    authority = of_others()

    assert shake_hands(authority, new_leaf(authority, ["localhost"], NOW), tmp_path) == "TLSv1.3"
