"""Admission hooks: functions that see a write as a webhook does, and answer as one."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import msgspec

from ..patching.patches import json_patched
from ..wire.status_errors import Body, StatusError, details
from .admitted_write import AdmittedWrite

# The `request` of an AdmissionReview goes in, its `response` comes out.
Callback = Callable[[dict[str, Any]], Mapping[str, Any]]


@attrs.define(eq=False)
class Hook:
    """What is asked about the writes of one resource, written `deployments.apps` or `pods/status`."""

    resource: str
    callback: Callback
    name: str
    operations: frozenset[str]

    def is_for(self, write: AdmittedWrite) -> bool:
        """Tell whether it is asked about this write."""
        asked = f"{write.kind}/{write.subresource}" if write.subresource else str(write.kind)
        return asked == self.resource and write.operation in self.operations

    def answered(self, write: AdmittedWrite) -> Body | None:
        """Ask, and return the body with what the answer patches.

        Raises:
            StatusError: the answer is no.
        """
        response = self.callback(review_request(write))
        if not response.get("allowed"):
            raise self._refusal(write, response.get("status") or {})
        patch = response.get("patch")
        if not patch or write.body is None:
            return write.body
        operations = msgspec.json.decode(base64.b64decode(patch) if isinstance(patch, str) else patch)
        body: Body = json_patched(write.body, operations)
        return body

    def _refusal(self, write: AdmittedWrite, status: Mapping[str, Any]) -> StatusError:
        denied = f'admission webhook "{self.name}" denied the request'
        said = status.get("message") or status.get("reason")
        words = f"{denied}: {said}" if said else f"{denied} without explanation"
        about = status.get("details") or details(write.kind.group, write.kind.resource)
        return StatusError(max(400, status.get("code") or 0), status.get("reason") or "", words, about)


def review_request(write: AdmittedWrite) -> Body:
    """Return the `request` of an AdmissionReview."""
    kind = write.kind
    resource = {"group": kind.group, "version": write.version, "resource": kind.resource}
    named = {"group": kind.group, "version": write.version, "kind": kind.name}
    about: Body = {
        "uid": str(uuid.uuid4()),
        "kind": named,
        "resource": resource,
        "requestKind": named,
        "requestResource": resource,
        "name": write.name,
        "operation": write.operation,
        "userInfo": {"username": write.user.name, "groups": list(write.user.groups)},
        "object": write.body,
        "oldObject": write.old,
        "dryRun": write.dry_run,
    }
    if write.namespace:
        about["namespace"] = write.namespace
    if write.subresource:
        about |= {"subResource": write.subresource, "requestSubResource": write.subresource}
    return msgspec.json.decode(msgspec.json.encode(about))  # type: ignore[no-any-return]
