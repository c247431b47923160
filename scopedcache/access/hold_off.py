"""How long a doubt must last before it counts."""

from __future__ import annotations

# A second "no" counts this many seconds after the first; longer when a connection was lost shortly before.
HOLD_OFF_SECONDS = 1.0

HOLD_OFF_AFTER_LOSS_SECONDS = 3.0
