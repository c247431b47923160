"""When certificates are made anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from scopedcache.web import KeyPair, new_authority, new_leaf
from scopedcache.web.authority import AUTHORITY_LIFE, LEAF_LIFE, hosts_of, is_signed_by
from scopedcache.web.certificate_plan import Plan, Trust, plan

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOSTS = ["capsule.system.svc", "127.0.0.1"]


def planned(before: Trust | None = None, now: datetime = NOW, hosts: list[str] = HOSTS) -> Plan:
    if before is None:
        return plan("capsule", hosts, None, b"", None, now)
    return plan("capsule", hosts, before.authority, before.bundle, before.leaf, now)


def test_the_first_look_makes_everything() -> None:
    made = planned()
    authority, leaf = made.trust.authority.parsed(), made.trust.leaf.parsed()
    assert authority is not None
    assert leaf is not None
    assert (is_signed_by(leaf, authority), hosts_of(leaf)) == (True, frozenset(HOSTS))
    assert made.trust.bundle == made.trust.authority.certificate
    assert (made.new_authority, made.new_leaf) == ("there is no authority", "there is no certificate")


def test_what_is_good_stays() -> None:
    first = planned()
    again = planned(first.trust, NOW + timedelta(days=1))
    assert again == Plan(first.trust, None, None, first.look_at)


def test_a_leaf_is_renewed_with_a_third_of_its_life_left() -> None:
    first = planned()
    assert NOW + LEAF_LIFE * 0.6 < first.look_at < NOW + LEAF_LIFE * 0.7
    again = planned(first.trust, first.look_at)
    assert (again.new_authority, again.new_leaf) == (None, "the certificate expires soon")
    assert again.trust.authority == first.trust.authority


def test_an_expired_authority_takes_its_leaf_along() -> None:
    first = planned()
    again = planned(first.trust, NOW + AUTHORITY_LIFE + timedelta(seconds=1))
    assert again.new_authority == "the authority has expired"
    assert again.new_leaf == "the certificate has expired"
    assert again.trust.bundle == again.trust.authority.certificate


def test_an_authority_that_is_still_valid_stays_in_the_bundle() -> None:
    first = planned()
    again = planned(first.trust, NOW + AUTHORITY_LIFE * 0.7)
    assert again.new_authority == "the authority expires soon"
    assert again.trust.bundle == again.trust.authority.certificate + first.trust.authority.certificate


@pytest.mark.parametrize("broken", [KeyPair(b"?", b"?"), KeyPair(new_authority("a", NOW).certificate, b"")])
def test_what_cannot_be_read_is_made_anew(broken: KeyPair) -> None:
    first = planned().trust
    again = planned(Trust(broken, first.bundle, first.leaf))
    assert (again.new_authority, again.new_leaf) == (
        "the authority cannot be read, or its key is another's",
        "another authority signed it",
    )


def test_a_key_of_another_certificate_is_no_pair() -> None:
    first = planned().trust
    mixed = KeyPair(first.leaf.certificate, first.authority.key)
    assert planned(Trust(first.authority, first.bundle, mixed)).new_leaf is not None


def test_other_hosts_need_another_leaf() -> None:
    assert planned(planned().trust, hosts=["other"]).new_leaf == "it is for other hosts"


def test_a_clock_that_was_set_back_makes_both_anew() -> None:
    again = planned(planned().trust, NOW - timedelta(days=1))
    assert (again.new_authority, again.new_leaf) == (
        "the authority is not valid yet",
        "the certificate is not valid yet",
    )


def test_a_bundle_that_cannot_be_read_is_replaced() -> None:
    first = planned().trust
    assert planned(Trust(first.authority, b"no pem", first.leaf)).trust.bundle == first.authority.certificate


def test_an_authority_signs_servers_and_no_other_authority() -> None:
    authority = new_authority("capsule", NOW)
    leaf = new_leaf(authority, HOSTS, NOW).parsed()
    assert leaf is not None
    limits = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (limits.ca, limits.path_length) == (False, None)
