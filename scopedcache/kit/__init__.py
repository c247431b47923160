"""Helpers for writing reconcilers; optional, and built on nothing but the client."""

from ..controller.reporting.conditions import find_condition, set_condition
from ..controller.reporting.status import patch_status
from .create_or_update import Change, create_or_update
from .custom_resource import AnyObject, Condition, Conditions, condition, crd
from .finalizers import add_finalizer, has_finalizer, remove_finalizer
from .logs import configure_logging
from .owners import set_controller_reference, set_owner_reference
from .program import Part, Program, Setup
from .retry import retry_on_conflict
from .rights import Rights, Rule

__all__ = [
    "AnyObject",
    "Change",
    "Condition",
    "Conditions",
    "Part",
    "Program",
    "Rights",
    "Rule",
    "Setup",
    "add_finalizer",
    "condition",
    "configure_logging",
    "crd",
    "create_or_update",
    "find_condition",
    "has_finalizer",
    "patch_status",
    "remove_finalizer",
    "retry_on_conflict",
    "set_condition",
    "set_controller_reference",
    "set_owner_reference",
]
