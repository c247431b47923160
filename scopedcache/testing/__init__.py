"""What tests need: a cluster in process, a real control plane on loopback, identities with RBAC, virtual time."""

from __future__ import annotations

from . import virtual_time
from .assertions import Twice, eventually, never
from .audit_request import AuditRequest
from .control_plane.audit_log import AuditLog
from .control_plane.binaries import MissingBinariesError
from .control_plane.control_plane import ControlPlane
from .control_plane.processes import Process, ProcessError
from .embedded import EmbeddedCluster
from .identities import Identity
from .rbac import Grant
from .resources import WaitTimeoutError, wait_for

__all__ = [
    "AuditLog",
    "AuditRequest",
    "ControlPlane",
    "EmbeddedCluster",
    "Grant",
    "Identity",
    "MissingBinariesError",
    "Process",
    "ProcessError",
    "Twice",
    "WaitTimeoutError",
    "eventually",
    "never",
    "virtual_time",
    "wait_for",
]
