"""What tests need: a real control plane on loopback, identities with RBAC, exact counts of requests."""

from __future__ import annotations

from .audit import AuditLog, AuditRequest
from .binaries import MissingBinariesError
from .control_plane import ControlPlane
from .identities import Identity
from .processes import Process, ProcessError
from .rbac import Grant
from .resources import WaitTimeoutError, wait_for

__all__ = [
    "AuditLog",
    "AuditRequest",
    "ControlPlane",
    "Grant",
    "Identity",
    "MissingBinariesError",
    "Process",
    "ProcessError",
    "WaitTimeoutError",
    "wait_for",
]
