"""A Kubernetes API server in one process, for tests and demonstrations: a pure core with two doors."""

from __future__ import annotations

from .clock import Clock
from .cluster import EmbeddedCluster
from .faults import Fault
from .front_ends import FrontEnd
from .storage.storage import Event, Storage, Stored

__all__ = ["Clock", "EmbeddedCluster", "Event", "Fault", "FrontEnd", "Storage", "Stored"]
