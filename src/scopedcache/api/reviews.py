"""The review requests of `authorization.k8s.io/v1`: their bodies, and what their answers say."""

from __future__ import annotations

from typing import Any

import attrs
import msgspec

from ..errors import APIError, ProtocolError
from .codec import encode

_PATH = "/apis/authorization.k8s.io/v1"
ACCESS_REVIEW_PATH = f"{_PATH}/selfsubjectaccessreviews"
RULES_REVIEW_PATH = f"{_PATH}/selfsubjectrulesreviews"


@attrs.frozen(cache_hash=True)
class Right:
    """One right: a verb on a resource (`group`, `resource`, perhaps `subresource`) in a place, perhaps on one name.

    `namespace` None is the whole cluster.
    """

    verb: str
    group: str
    resource: str
    namespace: str | None
    subresource: str | None = None
    name: str | None = None

    @property
    def subject(self) -> str:
        """Return the resource as RBAC names it: `deployments.apps/scale`."""
        base = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{base}/{self.subresource}" if self.subresource else base

    @property
    def rbac_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def right_of(error: APIError) -> Right:
    """Return the right that a refused call was about."""
    resource, _, subresource = error.resource.partition("/")
    plural, _, group = resource.partition(".")
    return Right(error.verb, group, plural, error.namespace, subresource or None, error.name)


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


def access_review(right: Right) -> bytes:
    """Return the body of a SelfSubjectAccessReview."""
    attributes: dict[str, Any] = {"verb": right.verb, "group": right.group, "resource": right.resource}
    for field in ("namespace", "subresource", "name"):
        if getattr(right, field):
            attributes[field] = getattr(right, field)
    return encode(
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
    )


def rules_review(namespace: str) -> bytes:
    """Return the body of a SelfSubjectRulesReview."""
    return encode(
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        }
    )


def allowed(body: bytes) -> bool:
    """Read the answer to an access review."""
    try:
        status = _access_review(body).status
    except msgspec.DecodeError as error:
        raise ProtocolError(f"the answer is not an access review: {error}") from error
    return status.allowed and not status.denied


def rules(body: bytes) -> Rules:
    """Read the answer to a rules review."""
    try:
        status = _rules_review(body).status
    except msgspec.DecodeError as error:
        raise ProtocolError(f"the answer is not a rules review: {error}") from error
    return Rules(status.resource_rules or (), status.incomplete)
