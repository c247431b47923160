"""Turns what changes into runs of a reconciler: mapping ▸ predicates ▸ queue ▸ controller, and a manager of them."""

from ..predicates import Change, Predicate, by_annotation, by_label, by_name, by_owner, generation_changed
from .controller import Controller
from .manager.cluster_secrets import ClusterSecrets
from .manager.clusters import Cluster, Clusters
from .manager.election_rules import LeaderElection
from .manager.manager import Manager, Runnable
from .manager.stop_signals import stop_signals
from .mapping import Mapper, Watch
from .reporting.event_recorder import EventRecorder
from .reporting.forbidden_reporter import OnForbidden
from .request import Request, Result
from .retry_limits import FailureBackoff
from .sharding.controller_ring import ControllerRing
from .sharding.settings import Sharding
from .work_queue import WorkQueue

__all__ = [
    "Change",
    "Cluster",
    "ClusterSecrets",
    "Clusters",
    "Controller",
    "ControllerRing",
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
    "Sharding",
    "Watch",
    "WorkQueue",
    "by_annotation",
    "by_label",
    "by_name",
    "by_owner",
    "generation_changed",
    "stop_signals",
]
