"""The six states of an informer, and what each signal makes of them: a table, from which everything else follows.

Reads are answered in `synced` and in `waiting`: what is held stays true enough while the server is not heard. `.` stays
as it is, `-` cannot happen and fails loudly:

              ask       pause     listed    streaming defect    close
    starting  syncing   -         -         -         broken    closed
    syncing   .         .         synced    -         broken    closed
    synced    .         waiting   .         .         broken    closed
    waiting   .         .         synced    synced    broken    closed
    broken    .         .         synced    .         .         closed
    closed    .         .         .         .         .         .
"""

from __future__ import annotations

from typing import Final, Literal, get_args

InformerState = Literal["starting", "syncing", "synced", "waiting", "broken", "closed"]
# ask: about to ask the server. pause: about to wait before asking. listed: a complete list was taken over. streaming: a
# watch is open that goes on from there. defect: our own side failed, and only a list heals it. close: the end.
InformerSignal = Literal["ask", "pause", "listed", "streaming", "defect", "close"]

STATES: Final[tuple[InformerState, ...]] = get_args(InformerState)
SIGNALS: Final[tuple[InformerSignal, ...]] = get_args(InformerSignal)

TABLE: Final[dict[tuple[InformerState, InformerSignal], InformerState]] = {
    ("starting", "ask"): "syncing",
    ("starting", "defect"): "broken",
    ("starting", "close"): "closed",
    ("syncing", "ask"): "syncing",
    ("syncing", "pause"): "syncing",
    ("syncing", "listed"): "synced",
    ("syncing", "defect"): "broken",
    ("syncing", "close"): "closed",
    ("synced", "ask"): "synced",
    ("synced", "pause"): "waiting",
    ("synced", "listed"): "synced",
    ("synced", "streaming"): "synced",
    ("synced", "defect"): "broken",
    ("synced", "close"): "closed",
    # Still waiting while it asks: only an answer ends it.
    ("waiting", "ask"): "waiting",
    ("waiting", "pause"): "waiting",
    ("waiting", "listed"): "synced",
    ("waiting", "streaming"): "synced",
    ("waiting", "defect"): "broken",
    ("waiting", "close"): "closed",
    # Whatever the server is up to meanwhile, reads say what is wrong with us until a list has healed it.
    ("broken", "ask"): "broken",
    ("broken", "pause"): "broken",
    ("broken", "listed"): "synced",
    ("broken", "streaming"): "broken",
    ("broken", "defect"): "broken",
    ("broken", "close"): "closed",
    ("closed", "ask"): "closed",
    ("closed", "pause"): "closed",
    ("closed", "listed"): "closed",
    ("closed", "streaming"): "closed",
    ("closed", "defect"): "closed",
    ("closed", "close"): "closed",
}


def next_state(state: InformerState, signal: InformerSignal) -> InformerState:
    """Return what a signal makes of a state.

    Raises:
        ValueError: the one cannot happen in the other.
    """
    try:
        return TABLE[state, signal]
    except KeyError:
        raise ValueError(f"an informer that is {state} cannot take the signal {signal!r}") from None


def is_readable(state: InformerState) -> bool:
    """Tell whether reads are answered: a list was complete, and nothing of ours has failed since."""
    return state in ("synced", "waiting")


def draw_table() -> str:
    """Return the table as text, as it stands at the top of this file."""
    rows = [("", *SIGNALS)]
    for state in STATES:
        targets = [TABLE.get((state, signal), "-") for signal in SIGNALS]
        rows.append((state, *("." if target == state else target for target in targets)))
    return "\n".join("".join(cell.ljust(10) for cell in row).rstrip() for row in rows)
