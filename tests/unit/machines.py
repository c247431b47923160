"""How long machines look for a history that breaks a promise.

A few seconds for all of them in `make test`; `EXAMPLES=5000` looks longer.
"""

from __future__ import annotations

import os
from typing import Final

from hypothesis import settings

# So many histories of each machine, of so many steps at most.
EXAMPLES: Final = int(os.environ.get("EXAMPLES", "60"))
STEPS: Final = 50

BOUNDED: Final = settings(max_examples=EXAMPLES, stateful_step_count=STEPS)
