"""Helpers for writing reconcilers; optional, and built on nothing but the client and the cache."""

from ..clock import wall_time
from ..controller.reporting.conditions import find_condition, set_condition
from ..controller.reporting.status import patch_status
from .adopt import adopt
from .allocation import allocate, claims_of
from .apply import apply
from .apply_set import apply_set, apply_sets
from .checker import Checker
from .collecting import collect, tell_once
from .create_or_update import Change, create_or_update
from .custom_resource import AnyObject, Condition, Conditions, condition, crd
from .expiry import expire, expires_in
from .finalizers import add_finalizer, delete_finalized, has_finalizer, remove_finalizer
from .label_route import LabelRoute
from .logs import configure_logging
from .new_object import new_object
from .owners import set_controller_reference, set_owner_reference
from .placements import (
    Placed,
    PlacedStatus,
    namespaces_elsewhere,
    namespaces_named,
    place_in_each,
    placed_in,
    selected_places,
)
from .places import Places, in_each
from .program import Part, Program, Setup
from .prune import prune
from .quantity import quantity, quantity_text
from .references import ObjectReference, reference_to
from .replicate import Copied, replicate
from .retry import retry_on_conflict
from .rights import Rights, Rule

__all__ = [
    "AnyObject",
    "Change",
    "Checker",
    "Condition",
    "Conditions",
    "Copied",
    "LabelRoute",
    "ObjectReference",
    "Part",
    "Placed",
    "PlacedStatus",
    "Places",
    "Program",
    "Rights",
    "Rule",
    "Setup",
    "add_finalizer",
    "adopt",
    "allocate",
    "apply",
    "apply_set",
    "apply_sets",
    "claims_of",
    "collect",
    "condition",
    "configure_logging",
    "crd",
    "create_or_update",
    "delete_finalized",
    "expire",
    "expires_in",
    "find_condition",
    "has_finalizer",
    "in_each",
    "namespaces_elsewhere",
    "namespaces_named",
    "new_object",
    "patch_status",
    "place_in_each",
    "placed_in",
    "prune",
    "quantity",
    "quantity_text",
    "reference_to",
    "remove_finalizer",
    "replicate",
    "retry_on_conflict",
    "selected_places",
    "set_condition",
    "set_controller_reference",
    "set_owner_reference",
    "tell_once",
    "wall_time",
]
