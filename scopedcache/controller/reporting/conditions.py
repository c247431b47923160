"""Conditions: the entries of `status.conditions`, changed by the rules of the API conventions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from ...clock import wall_time

ConditionStatus = Literal["True", "False", "Unknown"]
Condition = dict[str, Any]

# The limits of metav1.Condition: longer ones are refused by a CRD that embeds its schema.
MESSAGE_LIMIT_CHARACTERS: Final = 32768


def set_condition(
    conditions: Iterable[Mapping[str, Any]] | None,
    type: str,
    status: bool | ConditionStatus,
    reason: str,
    message: str = "",
    *,
    observed_generation: int | None = None,
    now: datetime | None = None,
) -> list[Condition]:
    """Return the list with this condition in its place, or at the end; the list given is left alone.

    `lastTransitionTime` moves only when `status` changes, so a condition set to what it is compares equal.
    `now` is the time of a change; `clock.wall_time()`, unless told otherwise.
    """
    before = [dict(condition) for condition in conditions or ()]
    new: Condition = {
        "type": type,
        "status": _text(status),
        "reason": reason,
        "message": message[:MESSAGE_LIMIT_CHARACTERS],
    }
    if observed_generation is not None:
        new["observedGeneration"] = observed_generation
    old = find_condition(before, type)
    if old is not None and old.get("status") == new["status"] and old.get("lastTransitionTime"):
        new["lastTransitionTime"] = old["lastTransitionTime"]
    else:
        new["lastTransitionTime"] = timestamp(now or wall_time())
    if old is None:
        return [*before, new]
    return [new if condition is old else condition for condition in before]


def find_condition(conditions: Iterable[Mapping[str, Any]] | None, type: str) -> Mapping[str, Any] | None:
    """Return the condition of this type, None where there is none."""
    return next((condition for condition in conditions or () if condition.get("type") == type), None)


def timestamp(moment: datetime) -> str:
    """Return a moment as the API server writes it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(status: bool | ConditionStatus) -> ConditionStatus:
    if isinstance(status, bool):
        return "True" if status else "False"
    return status
