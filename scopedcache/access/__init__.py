"""May I do this here? reviewer ▸ verdict ▸ monitor: one table of verdicts, kept true by the cheapest signals."""

from .identity_monitors import IdentityMonitors
from .monitor import Monitor
from .verdict import Verdict

__all__ = ["IdentityMonitors", "Monitor", "Verdict"]
