"""What an API server's answer to `/readyz` means."""

from __future__ import annotations

from typing import Literal

# refused: it does not say, at least not to us.
ReadyAnswer = Literal["ready", "not ready", "refused"]


def read_ready_answer(status: int | None) -> ReadyAnswer:
    """Return what the HTTP status of `/readyz` means; None: nobody answered."""
    if status == 200:
        return "ready"
    if status is None or status in (401, 429) or status >= 500:
        return "not ready"
    return "refused"
