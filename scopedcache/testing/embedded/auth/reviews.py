"""The questions about rights and identity that are asked by POST, and tokens for ServiceAccounts."""

from __future__ import annotations

from typing import Any, Final

import attrs

from ..kinds.builtin_schemas import check_types
from ..kinds.kind import Kind
from ..kinds.kind_registry import Registry
from ..storage.storage import Storage, timestamp
from ..wire.builtin_types import check
from ..wire.messages import Answer, Request, of_json
from ..wire.request_attributes import Attributes, User
from ..wire.request_bodies import decoded
from ..wire.status_errors import Body, Cause, bad_request, invalid, not_found
from .authentication import Authenticator
from .rbac_authorizer import Authorizer

_EXPIRATION_SECONDS: Final = 3600
_SHORTEST_EXPIRATION_SECONDS: Final = 600
GROUPS: Final = ("authorization.k8s.io", "authentication.k8s.io")


@attrs.frozen
class Reviews:
    """Answers reviews; nothing is stored."""

    storage: Storage
    registry: Registry
    authorizer: Authorizer
    authenticator: Authenticator

    def answer(self, request: Request, kind: Kind, asked: Attributes, user: User) -> Answer:
        """Answer one review."""
        body = decoded(request)
        check_types(body, kind)
        spec = body.get("spec") or {}
        match kind.name:
            case "SelfSubjectAccessReview":
                status = self._access(kind, user, spec)
            case "SubjectAccessReview" | "LocalSubjectAccessReview":
                groups = tuple(spec.get("groups") or ())
                status = self._access(kind, User(spec.get("user") or "", groups), spec)
            case "SelfSubjectRulesReview":
                status = self._rules(user, spec.get("namespace") or "")
            case _:
                about = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
                status = {"userInfo": {key: value for key, value in about.items() if value}}
        head = {"kind": kind.name, "apiVersion": f"{kind.group}/{kind.version}"}
        metadata = {"creationTimestamp": None} | (body.get("metadata") or {})
        return of_json({**head, "metadata": metadata, "spec": spec, "status": status}, 201)

    def token(self, request: Request, asked: Attributes, now: float) -> Answer:
        """Answer a TokenRequest."""
        account = self.storage.get(self.registry["serviceaccounts"], asked.namespace, asked.name)
        if account is None:
            raise not_found("", "serviceaccounts", asked.name)
        body = decoded(request) or {}
        check(body, "TokenRequest", "TokenRequest", "v1")
        spec = body.get("spec") or {}
        seconds = int(spec.get("expirationSeconds") or _EXPIRATION_SECONDS)
        if seconds < _SHORTEST_EXPIRATION_SECONDS:
            words = "may not specify a duration less than 10 minutes"
            cause = Cause.wrong("spec.expirationSeconds", str(seconds), words)
            raise invalid("authentication.k8s.io", "TokenRequest", "", [cause])
        token = self.authenticator.add_service_account(account, now, seconds)
        status = {"token": token, "expirationTimestamp": timestamp(now, seconds)}
        head = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1"}
        metadata = {"name": asked.name, "namespace": asked.namespace, "creationTimestamp": timestamp(now)}
        spec = {"audiences": ["https://kubernetes.default.svc"], **spec, "expirationSeconds": seconds}
        return of_json({**head, "metadata": metadata, "spec": spec, "status": status}, 201)

    def _access(self, kind: Kind, user: User, spec: Body) -> Body:
        asked = _attributes(kind.name, spec)
        decision = self.authorizer.decide(user, asked)
        return {"allowed": decision.allowed} | ({"reason": decision.reason} if decision.reason else {})

    def _rules(self, user: User, namespace: str) -> Body:
        if not namespace:
            raise bad_request("no namespace on request")
        resources: list[Body] = []
        paths: list[Body] = []
        for rule in self.authorizer.rules(user, namespace):
            fields = ("verbs", "nonResourceURLs") if "nonResourceURLs" in rule else _RULE_FIELDS
            (paths if "nonResourceURLs" in rule else resources).append({f: rule[f] for f in fields if rule.get(f)})
        return {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}


_RULE_FIELDS: Final = ("verbs", "apiGroups", "resources", "resourceNames")


def _attributes(kind: str, spec: Any) -> Attributes:
    if path := spec.get("nonResourceAttributes"):
        return Attributes(path.get("verb") or "", path.get("path") or "")
    wanted = spec.get("resourceAttributes")
    if wanted is None:
        words = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise invalid(GROUPS[0], kind, "", [Cause.wrong("spec.resourceAttributes", "null", words)])
    fields = ("verb", "group", "version", "resource", "subresource", "namespace", "name")
    verb, group, version, resource, subresource, namespace, name = (str(wanted.get(f) or "") for f in fields)
    return Attributes(verb, "", True, group, version, resource, subresource, namespace, name)
