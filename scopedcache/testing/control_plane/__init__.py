"""A real control plane: its binaries built and found, its processes run on loopback."""

from .audit_log import AuditLog
from .binaries import MissingBinariesError
from .control_plane import ControlPlane
from .processes import Process, ProcessError

__all__ = ["AuditLog", "ControlPlane", "MissingBinariesError", "Process", "ProcessError"]
