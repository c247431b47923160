"""What tests need: a cluster in process, a real control plane on loopback, identities with RBAC, virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy_names import lazy_names

if TYPE_CHECKING:
    from . import virtual_time
    from .assertions import Twice, eventually, never
    from .audit_request import AuditRequest
    from .control_plane import AuditLog, ControlPlane, MissingBinariesError, Process, ProcessError
    from .embedded import Clock, EmbeddedCluster, Fault, FrontEnd
    from .identities import Identity
    from .rbac import Grant
    from .resources import WaitTimeoutError, wait_for
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "assertions": "Twice eventually never",
            "audit_request": "AuditRequest",
            "control_plane": "AuditLog ControlPlane MissingBinariesError Process ProcessError",
            "embedded": "Clock EmbeddedCluster Fault FrontEnd",
            "identities": "Identity",
            "rbac": "Grant",
            "resources": "WaitTimeoutError wait_for",
            "virtual_time": "",
        },
    )

__all__ = [
    "AuditLog",
    "AuditRequest",
    "Clock",
    "ControlPlane",
    "EmbeddedCluster",
    "Fault",
    "FrontEnd",
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
