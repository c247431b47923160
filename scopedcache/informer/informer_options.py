"""What is the same for all informers of a cache: how long things may last, and how long a line may be."""

from __future__ import annotations

from typing import Final

import attrs

from ..api.transport import IDLE_TIMEOUT_SECONDS
from ..api.watch.line_splitter import LINE_LIMIT_BYTES
from .reflector import LIST_DEADLINE_SECONDS

# What a watch asks the server for: this long, up to twice, so that not all of them end together (client-go's range).
# Renewal is not how we learn of revocations, so it may be long (semantics §3).
WATCH_TIMEOUT_SECONDS: Final = 300.0


@attrs.frozen
class InformerOptions:
    """What is the same for all informers of a cache; durations are seconds, the limit is bytes."""

    watch_timeout: float = WATCH_TIMEOUT_SECONDS
    idle_timeout: float = IDLE_TIMEOUT_SECONDS
    line_limit: int = LINE_LIMIT_BYTES
    list_deadline: float = LIST_DEADLINE_SECONDS
