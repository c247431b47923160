"""A self-signed certificate for 127.0.0.1, made without a cryptography package: kubectl sends no token over plain HTTP.

For throw-away clusters on loopback only. DER is X.690, the certificate RFC 5280, the signature ECDSA (FIPS 186-4) over
the curve of `keys.py`.
"""

from __future__ import annotations

import hashlib
import secrets
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from ...identities import write_private
from ...keys import N, new_number, private_pem, public_point

# Object identifiers: ecdsa-with-SHA256, id-ecPublicKey, prime256v1, commonName, subjectAltName, basicConstraints.
_SIGNATURE: Final = bytes.fromhex("06082a8648ce3d040302")
_EC_KEY: Final = bytes.fromhex("06072a8648ce3d0201")
_CURVE: Final = bytes.fromhex("06082a8648ce3d030107")
_COMMON_NAME: Final = bytes.fromhex("0603550403")
_ALTERNATIVE_NAMES: Final = bytes.fromhex("0603551d11")
_CONSTRAINTS: Final = bytes.fromhex("0603551d13")
_TRUE: Final = bytes.fromhex("0101ff")
_DAY: Final = timedelta(days=1)


def server_context(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Write `server.crt` and `server.key` into a folder; return what serves with them, and what its clients trust."""
    private = new_number()
    public = public_point(private)
    certificate_file, key_file = folder / "server.crt", folder / "server.key"
    certificate_file.write_text(certificate(private, public, datetime.now(UTC)))
    write_private(key_file, private_pem(private, public))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate_file, key_file)
    return context, certificate_file


def certificate(private: int, public: tuple[int, int], now: datetime) -> str:
    """Return a certificate, authority and server in one, as PEM."""
    x, y = public
    name = _sequence(_tagged(0x31, _sequence(_COMMON_NAME, _tagged(0x0C, b"scopedcache embedded cluster"))))
    algorithm = _sequence(_SIGNATURE)
    valid = _sequence(_time(now - _DAY), _time(now + 365 * _DAY))
    key = _sequence(_sequence(_EC_KEY, _CURVE), _bits(b"\x04" + x.to_bytes(32) + y.to_bytes(32)))
    hosts = _sequence(_tagged(0x87, bytes([127, 0, 0, 1])), _tagged(0x82, b"localhost"))
    extensions = _sequence(
        _sequence(_CONSTRAINTS, _TRUE, _tagged(0x04, _sequence(_TRUE))),
        _sequence(_ALTERNATIVE_NAMES, _tagged(0x04, hosts)),
    )
    version = _tagged(0xA0, _integer(2))
    serial = _integer(secrets.randbits(64) | 1)
    told = _sequence(version, serial, algorithm, name, valid, name, key, _tagged(0xA3, extensions))
    der = _sequence(told, algorithm, _bits(_signed(private, told)))
    return ssl.DER_cert_to_PEM_cert(der)


def _signed(private: int, message: bytes) -> bytes:
    digest = int.from_bytes(hashlib.sha256(message).digest())
    while True:
        nonce = new_number()
        r = public_point(nonce)[0] % N
        s = pow(nonce, -1, N) * (digest + r * private) % N
        if r and s:
            return _sequence(_integer(r), _integer(s))


def _tagged(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    width = (size.bit_length() + 7) // 8
    return bytes([tag, 0x80 | width]) + size.to_bytes(width) + content


def _sequence(*parts: bytes) -> bytes:
    return _tagged(0x30, b"".join(parts))


def _integer(number: int) -> bytes:
    return _tagged(0x02, number.to_bytes(number.bit_length() // 8 + 1))


def _bits(content: bytes) -> bytes:
    return _tagged(0x03, b"\x00" + content)


def _time(moment: datetime) -> bytes:
    return _tagged(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())
