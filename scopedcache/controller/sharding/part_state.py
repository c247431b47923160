"""What a part of the ring is to one replica: a table of states and signals.

    foreign    somebody else's, or nobody's
    warm       wanted of us: its objects are held in memory, nothing is done about them
    held       ours: we work on it
    draining   ours, and wanted of another who is warm: runs under way end, no further one begins
    lapsed     was ours when our Lease ran out, or we have sent that we let it go, and nobody has taken it since: we do
               nothing until we have written again that it is ours

Each change of hands is a write to the Lease of the partition, guarded by its resourceVersion: `taken` and `released`
come after that write has succeeded. `lost`: the partition names somebody else.
"""

from __future__ import annotations

from typing import Final, Literal

PartState = Literal["foreign", "warm", "held", "draining", "lapsed"]
Signal = Literal["wanted", "unwanted", "taken", "released", "lapse", "lost"]

TABLE: Final[dict[PartState, dict[Signal, PartState]]] = {
    "foreign": {"wanted": "warm", "unwanted": "foreign", "lapse": "foreign", "lost": "foreign"},
    "warm": {"wanted": "warm", "unwanted": "foreign", "taken": "held", "lapse": "warm", "lost": "warm"},
    "held": {"wanted": "held", "unwanted": "draining", "taken": "held", "lapse": "lapsed", "lost": "foreign"},
    "draining": {"wanted": "held", "unwanted": "draining", "lapse": "lapsed", "lost": "foreign"},
    "lapsed": {
        "wanted": "lapsed",
        "unwanted": "lapsed",
        "taken": "held",
        "released": "foreign",
        "lapse": "lapsed",
        "lost": "foreign",
    },
}

# Whose objects are shown, whose keys may begin to run, and whose runs may write.
SHOWN: Final[frozenset[PartState]] = frozenset({"warm", "held", "draining", "lapsed"})
WORKED_ON: Final[frozenset[PartState]] = frozenset({"held"})
WRITABLE: Final[frozenset[PartState]] = frozenset({"held", "draining"})


def after(state: PartState, signal: Signal) -> PartState:
    """Return the next state.

    Raises:
        KeyError: that cannot happen in this state.
    """
    return TABLE[state][signal]
