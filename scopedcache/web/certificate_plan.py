"""When certificates are made anew: decided from what there is and the time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from .authority import KeyPair, hosts_of, is_signed_by, new_authority, new_leaf

# What is left of a life when its successor is made.
RENEWED_PART: Final = 1 / 3


@attrs.frozen
class Trust:
    """An authority, the bundle that its clients trust, and the certificate of a server.

    The bundle holds the authorities before this one too, for as long as they are valid: what they signed is served
    until every replica has the new one.
    """

    authority: KeyPair
    bundle: bytes
    leaf: KeyPair


@attrs.frozen
class Plan:
    """What there should be, what of it is new and why, and when to look again."""

    trust: Trust
    new_authority: str | None
    new_leaf: str | None
    look_at: datetime


def plan(
    name: str,
    hosts: Iterable[str],
    authority: KeyPair | None,
    bundle: bytes,
    leaf: KeyPair | None,
    now: datetime,
) -> Plan:
    """Return what there should be; what is good stays."""
    hosts = list(hosts)
    old, why_authority = _judged(authority, now, "authority")
    if why_authority is not None or authority is None or old is None:
        authority = new_authority(name, now)
        old = authority.parsed()
    assert old is not None
    bundle = _bundle(authority, bundle, now)
    served, why_leaf = _judged(leaf, now, "certificate")
    if served is not None and why_leaf is None:
        if not is_signed_by(served, old):
            why_leaf = "another authority signed it"
        elif not set(hosts) <= hosts_of(served):
            why_leaf = "it is for other hosts"
    if why_leaf is not None or leaf is None or served is None:
        leaf = new_leaf(authority, hosts, now)
        served = leaf.parsed()
    assert served is not None
    return Plan(Trust(authority, bundle, leaf), why_authority, why_leaf, min(renewal(old), renewal(served)))


def renewal(certificate: x509.Certificate) -> datetime:
    """Return when a certificate is to be made anew."""
    end = certificate.not_valid_after_utc
    return end - (end - certificate.not_valid_before_utc) * RENEWED_PART


def _judged(pair: KeyPair | None, now: datetime, what: str) -> tuple[x509.Certificate | None, str | None]:
    """Return the certificate, and why there has to be another one; None: there has not."""
    if pair is None:
        return None, f"there is no {what}"
    certificate = pair.parsed()
    if certificate is None:
        return None, f"the {what} cannot be read, or its key is another's"
    if now >= certificate.not_valid_after_utc:
        return certificate, f"the {what} has expired"
    if now < certificate.not_valid_before_utc:
        return certificate, f"the {what} is not valid yet"
    return certificate, f"the {what} expires soon" if now >= renewal(certificate) else None


def _bundle(authority: KeyPair, before: bytes, now: datetime) -> bytes:
    """Return an authority and those before it that are valid, each once."""
    parts = [_pem(authority.certificate)]
    try:
        known = x509.load_pem_x509_certificates(before) if before else []
    except ValueError:
        known = []
    for certificate in known:
        pem = certificate.public_bytes(Encoding.PEM)
        if pem not in parts and certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
            parts.append(pem)
    return b"".join(parts)


def _pem(certificate: bytes) -> bytes:
    return x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.PEM)
