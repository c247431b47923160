"""Admission, decided: an AdmissionReview goes in, one with its answer comes out. No loop, no socket."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import attrs
import msgspec

from ..errors import ProtocolError
from ..kinds import GVK, GVR
from ..objects import Object
from .json_patch import json_patch

OperationName = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]
FORBIDDEN: Final = 403
API_VERSION: Final = "admission.k8s.io/v1"


@attrs.frozen
class AdmissionRequest:
    """A write that is about to happen.

    Attributes:
        obj: what is to be stored; None of a deletion.
        old: what is stored; None of a creation.
        dry_run: nothing will be stored: whoever notes down what it decides leaves that.
        subresource: empty for the object itself.
    """

    uid: str
    operation: OperationName
    gvk: GVK
    gvr: GVR
    name: str = ""
    namespace: str = ""
    username: str = ""
    groups: frozenset[str] = frozenset()
    obj: Object | None = None
    old: Object | None = None
    dry_run: bool = False
    subresource: str = ""

    @classmethod
    def read(cls, request: Mapping[str, Any]) -> AdmissionRequest:
        """Read the `request` of an AdmissionReview.

        Raises:
            ProtocolError: it is none.
        """
        try:
            kind, resource, user = request["kind"], request["resource"], request.get("userInfo") or {}
            return cls(
                str(request["uid"]),
                request["operation"],
                GVK(kind.get("group") or "", kind["version"], kind["kind"]),
                GVR(resource.get("group") or "", resource["version"], resource["resource"]),
                name=str(request.get("name") or ""),
                namespace=str(request.get("namespace") or ""),
                username=str(user.get("username") or ""),
                groups=frozenset(user.get("groups") or ()),
                obj=Object.from_dict(request["object"]) if request.get("object") else None,
                old=Object.from_dict(request["oldObject"]) if request.get("oldObject") else None,
                dry_run=bool(request.get("dryRun")),
                subresource=str(request.get("subResource") or ""),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"this is no AdmissionReview: {type(error).__name__} {error}") from error


@attrs.frozen
class Verdict:
    """What to say to a write; `allow`, `deny` and `patched` make it.

    Attributes:
        code: of the answer to whoever wrote, where it is refused.
        warnings: shown to whoever wrote, also where it is allowed.
        patch: a JSON patch.
    """

    allowed: bool
    message: str = ""
    code: int = FORBIDDEN
    warnings: tuple[str, ...] = ()
    patch: tuple[dict[str, Any], ...] = ()


# Decides about one write. A plain function: it runs on the loop, answers from memory and must not wait.
Decide = Callable[[AdmissionRequest], Verdict]


def allow(*warnings: str) -> Verdict:
    """Let a write happen as it is."""
    return Verdict(True, warnings=warnings)


def deny(message: str, *, code: int = FORBIDDEN, warnings: tuple[str, ...] = ()) -> Verdict:
    """Refuse a write, and say why."""
    return Verdict(False, message, code, warnings)


def patched(request: AdmissionRequest, mutate: Callable[[Object], None], *warnings: str) -> Verdict:
    """Let a write happen as `mutate` changes it: it is given a copy of the object, to be changed in place."""
    if request.obj is None:
        return allow(*warnings)
    before = request.obj.to_dict()
    draft = Object.from_dict(copy.deepcopy(before))
    mutate(draft)
    return Verdict(True, warnings=warnings, patch=tuple(json_patch(before, draft.to_dict())))


def answer(decide: Decide, review: Mapping[str, Any]) -> dict[str, Any]:
    """Return an AdmissionReview with its answer.

    Raises:
        ProtocolError: it is none.
    """
    if not isinstance(review, Mapping) or not isinstance(review.get("request"), Mapping):
        raise ProtocolError("this is no AdmissionReview: it has no request")
    request = AdmissionRequest.read(review["request"])
    answered = {"apiVersion": review.get("apiVersion") or API_VERSION, "kind": "AdmissionReview"}
    return {**answered, "response": respond(decide, review["request"], request)}


def respond(decide: Decide, request: Mapping[str, Any], understood: AdmissionRequest | None = None) -> dict[str, Any]:
    """Return the `response` to the `request` of an AdmissionReview: what `EmbeddedCluster.admission` wants.

    Raises:
        ProtocolError: it is none.
    """
    asked = understood or AdmissionRequest.read(request)
    verdict = decide(asked)
    response: dict[str, Any] = {"uid": asked.uid, "allowed": verdict.allowed}
    if verdict.warnings:
        response["warnings"] = list(verdict.warnings)
    if not verdict.allowed:
        reason = {"reason": "Forbidden"} if verdict.code == FORBIDDEN else {}
        response["status"] = {"code": verdict.code, "message": verdict.message, **reason}
    elif verdict.patch:
        body = msgspec.json.encode(verdict.patch)
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(body).decode()}
    return response
