"""The review requests of `authorization.k8s.io/v1`: their bodies, and what their answers say."""

from __future__ import annotations

from typing import Any

import attrs
import msgspec

from ..errors import ProtocolError
from .codec import encode
from .permission import Permission


class Rule(msgspec.Struct, frozen=True, rename="camel"):
    """One resource rule of a rules review."""

    verbs: tuple[str, ...] | None = None
    api_groups: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None
    resource_names: tuple[str, ...] | None = None


@attrs.frozen
class Rules:
    """All rules that hold in one namespace. Where `incomplete`, absence proves nothing."""

    rules: tuple[Rule, ...]
    incomplete: bool


class _RulesStatus(msgspec.Struct, rename="camel"):
    resource_rules: tuple[Rule, ...] | None = None  # Go writes a nil slice as null
    incomplete: bool = False


class _RulesReview(msgspec.Struct):
    status: _RulesStatus


class _AccessStatus(msgspec.Struct, rename="camel"):
    allowed: bool = False
    denied: bool = False
    reason: str = ""
    evaluation_error: str = ""


class _AccessReview(msgspec.Struct):
    status: _AccessStatus


_access_review = msgspec.json.Decoder(_AccessReview).decode
_rules_review = msgspec.json.Decoder(_RulesReview).decode


def access_review_body(permission: Permission) -> bytes:
    """Return the body of a SelfSubjectAccessReview."""
    attributes: dict[str, Any] = {"verb": permission.verb, "group": permission.group, "resource": permission.resource}
    for field in ("namespace", "subresource", "name"):
        if getattr(permission, field):
            attributes[field] = getattr(permission, field)
    return encode(
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
    )


def rules_review_body(namespace: str) -> bytes:
    """Return the body of a SelfSubjectRulesReview."""
    return encode(
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        }
    )


def read_access_review(body: bytes) -> bool:
    """Read the answer to an access review."""
    try:
        status = _access_review(body).status
    except msgspec.DecodeError as error:
        raise ProtocolError(f"the answer is not an access review: {error}") from error
    return status.allowed and not status.denied


def read_rules_review(body: bytes) -> Rules:
    """Read the answer to a rules review."""
    try:
        status = _rules_review(body).status
    except msgspec.DecodeError as error:
        raise ProtocolError(f"the answer is not a rules review: {error}") from error
    return Rules(status.resource_rules or (), status.incomplete)
