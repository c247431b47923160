"""The signing key of ServiceAccount tokens: one P-256 key pair, made without a cryptography package.

For throw-away control planes only: the arithmetic is plain Python and takes no care of timing.
"""

from __future__ import annotations

import base64
import secrets
from typing import Final

# The curve P-256 (FIPS 186-4, D.1.2.3): y² = x³ - 3x + b over the prime field P, base point G of order N.
P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
N: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G: Final = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
# DER of `ECPrivateKey` (RFC 5915) around the two numbers: version 1, the private key, the curve's name, the public key.
BEFORE_PRIVATE: Final = bytes.fromhex("30770201010420")
BEFORE_PUBLIC: Final = bytes.fromhex("a00a06082a8648ce3d030107a144034200 04")

Point = tuple[int, int] | None


def new_private_key() -> str:
    """Return a new P-256 private key as PEM; the API server derives the public half from it."""
    private = new_number()
    return private_pem(private, public_point(private))


def new_number() -> int:
    """Return a number that can be a private key."""
    return secrets.randbelow(N - 1) + 1


def private_pem(private: int, public: tuple[int, int]) -> str:
    """Return a private key as PEM."""
    x, y = public
    der = BEFORE_PRIVATE + private.to_bytes(32) + BEFORE_PUBLIC + x.to_bytes(32) + y.to_bytes(32)
    body = base64.encodebytes(der).decode().replace("\n", "")
    lines = "\n".join(body[i : i + 64] for i in range(0, len(body), 64))
    return f"-----BEGIN EC PRIVATE KEY-----\n{lines}\n-----END EC PRIVATE KEY-----\n"


def public_point(private: int) -> tuple[int, int]:
    """Return private · G (double and add)."""
    result: Point = None
    addend: Point = G
    while private:
        if private & 1:
            result = _add(result, addend)
        addend = _add(addend, addend)
        private >>= 1
    if result is None:
        raise ValueError("a private key is not a multiple of the curve's order")
    return result


def _add(a: Point, b: Point) -> Point:
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    # The tangent in a, or the line through both.
    rise, run = (3 * a[0] * a[0] - 3, 2 * a[1]) if a == b else (b[1] - a[1], b[0] - a[0])
    slope = rise * pow(run, -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P
