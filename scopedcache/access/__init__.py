"""May I do this here? rules ▸ reviewer ▸ monitor: one table of verdicts, kept true by the cheapest signals."""

from .monitor import Monitor
from .verdict import Verdict

__all__ = ["Monitor", "Verdict"]
