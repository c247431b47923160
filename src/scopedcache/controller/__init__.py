"""Turns what changes into runs of a reconciler: mapping ▸ predicates ▸ queue ▸ controller, and a manager of them."""

from .controller import Controller
from .denial import OnForbidden
from .events import EventRecorder
from .leadership import LeaderElection
from .manager import Manager, Runnable
from .mapping import Mapper, Watch
from .predicates import (
    Change,
    Predicate,
    by_annotation,
    by_label,
    by_name,
    by_owner,
    generation_changed,
)
from .queue import FailureBackoff, WorkQueue
from .request import Request, Result
from .signals import stop_signals

__all__ = [
    "Change",
    "Controller",
    "EventRecorder",
    "FailureBackoff",
    "LeaderElection",
    "Manager",
    "Mapper",
    "OnForbidden",
    "Predicate",
    "Request",
    "Result",
    "Runnable",
    "Watch",
    "WorkQueue",
    "by_annotation",
    "by_label",
    "by_name",
    "by_owner",
    "generation_changed",
    "stop_signals",
]
