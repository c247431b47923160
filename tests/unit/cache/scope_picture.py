"""`python -m tests.unit.cache.scope_picture`: draws the table of a scope, for docs/scopes.md."""

from __future__ import annotations

import sys
from typing import get_args

from scopedcache.cache.scope_state import EVENTS, TABLE, ScopeEvent, ScopeState

STATES: tuple[ScopeState, ...] = get_args(ScopeState)


def picture() -> str:
    """Return the table in Markdown: a line for each event, a column for each state."""
    head = ["event", *STATES]
    lines = [head, ["---"] * len(head), *([f"`{event}`", *(_move(s, event) for s in STATES)] for event in EVENTS)]
    meanings = [f"- `{event}`: {meaning}." for event, meaning in EVENTS.items()]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", *meanings])


def _move(state: ScopeState, event: ScopeEvent) -> str:
    """Return where an event leads, and what is done; a dash where it must not happen, nothing where nothing does."""
    if (state, event) not in TABLE:
        return "—"
    target, actions = TABLE[state, event]
    arrow = [] if target == state else [f"**→ {target}**"]
    return "<br>".join([*arrow, *(f"{action}" for action in actions)])


if __name__ == "__main__":
    sys.stdout.write(picture() + "\n")
