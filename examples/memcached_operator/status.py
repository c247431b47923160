"""What the status of a Memcached says: plain functions from what was seen to what is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from scopedcache import ForbiddenError, Object
from scopedcache.kit import find_condition, set_condition

SUCCESSFUL: Final = "Successful"
STALE: Final = "Stale"
# The reasons that only a Memcached gets whose Deployment could be seen: losing that is news.
REASONS_WITH_RIGHTS: Final = ("ReconcileSucceeded", "Progressing", "NameTaken", "PermissionRevoked")

Status = dict[str, Any]


def success_status(memcached: Object, deployment: Object, nodes: Sequence[str]) -> Status:
    """The Deployment is there, and so many of its servers are available."""
    size, available = memcached.at("spec", "size", default=0), deployment.at("status", "availableReplicas", default=0)
    # Right after our own update, what the Deployment says of itself is about the one before.
    is_current = deployment.at("status", "observedGeneration", default=0) >= deployment.generation
    # It tells of servers for a moment after their Pods were told to go: the Pods say that there are not too many.
    done = is_current and available >= size == len(nodes)
    text = f"Deployment {deployment.name} has {available} of {size} servers available"
    status, reason = (True, "ReconcileSucceeded") if done else ("Unknown", "Progressing")
    conditions = _successful(memcached, status, reason, text)
    if find_condition(conditions, STALE):
        conditions = _condition(memcached, conditions, STALE, False, "Verified", "status.nodes is what there is")
    state = {"status": "Succeeded", "message": text} if done else None
    return {"observedGeneration": memcached.generation, "nodes": list(nodes), "state": state, "conditions": conditions}


def name_taken_status(memcached: Object) -> Status:
    """A Deployment of this name belongs to somebody else: it is neither adopted nor changed."""
    text = f"Deployment {memcached.name} exists and is not this Memcached's: rename one of the two, or delete it"
    return _failure_status(memcached, "NameTaken", text)


def refusal_status(memcached: Object, error: ForbiddenError) -> Status:
    """A right is missing: say which, and whether it was there before. The nodes stay, marked as stale."""
    before = find_condition(memcached.at("status", "conditions"), SUCCESSFUL) or {}
    revoked = before.get("reason") in REASONS_WITH_RIGHTS
    missing = ", ".join(error.subjects)
    text = f"Forbidden: may not {missing}, which Memcached {memcached.name} needs (not permitted by RBAC)"
    status = _failure_status(memcached, "PermissionRevoked" if revoked else "NotPermitted", text)
    if revoked:
        note = "status.nodes is as it was when the right was lost"
        status["conditions"] = _condition(memcached, status["conditions"], STALE, True, "PermissionRevoked", note)
    return status


def _failure_status(memcached: Object, reason: str, text: str) -> Status:
    return {
        "observedGeneration": memcached.generation,
        "state": {"status": "Failed", "message": text},
        "conditions": _successful(memcached, False, reason, text),
    }


def _successful(memcached: Object, status: Any, reason: str, text: str) -> list[Any]:
    return _condition(memcached, memcached.at("status", "conditions"), SUCCESSFUL, status, reason, text)


def _condition(memcached: Object, before: Any, kind: str, status: Any, reason: str, text: str) -> list[Any]:
    return set_condition(before, kind, status, reason, text, observed_generation=memcached.generation)
