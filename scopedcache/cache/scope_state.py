"""The states of a scope, and what each event makes of them: a table, so that docs/scopes.md can be drawn from it.

opening ──synced──▶ open ──a required right is denied──▶ waiting ──rights are back──▶ opening
   └──denied──▶ waiting                        any ──close──▶ closed
"""

from __future__ import annotations

from typing import Final, Literal

ScopeState = Literal["opening", "open", "waiting", "closed"]
ScopeEvent = Literal[
    "needed",
    "released",
    "permitted",
    "doubted",
    "denied",
    "synced",
    "optional-denied",
    "verb-denied",
    "regained",
    "still-denied",
    "verb-regained",
    "close",
]
Action = Literal[
    "add-need",
    "drop-need",
    "drop-all",
    "log-created",
    "bind",
    "renew",
    "invalidate",
    "release-all",
    "hide",
    "log-denied",
    "log-removed",
    "log-synced",
    "log-closed",
    "tell-denied",
    "tell-denied-if-shown",
    "tell-missing",
    "tell-missing-if-news",
    "tell-granted",
    "tell-granted-if-due",
    "reopen",
    "reopen-if-incomplete",
    "reopen-if-permitted",
    "forget",
]

EVENTS: Final[dict[ScopeEvent, str]] = {
    "needed": "a kind is needed that was not, or more of it",
    "released": "a kind is needed no longer",
    "permitted": "its rights were reviewed: no required one is lost",
    "doubted": "its rights were reviewed: a required one is suspect",
    "denied": "a required right is denied",
    "synced": "every informer it has is synced",
    "optional-denied": "a right of an optional need is denied",
    "verb-denied": "a declared verb beyond list and watch is denied",
    "regained": "a right to list or watch is allowed, and no required one is lost",
    "still-denied": "a right to list or watch is allowed, but a required one is lost",
    "verb-regained": "a declared verb that was denied is allowed",
    "close": "its owner is gone, or closed it",
}

# (state, event) → state, and what is done, in this order. What is not here must not happen.
TABLE: Final[dict[tuple[ScopeState, ScopeEvent], tuple[ScopeState, tuple[Action, ...]]]] = {
    ("opening", "needed"): ("opening", ("add-need",)),
    ("opening", "released"): ("opening", ("drop-need",)),
    ("opening", "permitted"): ("opening", ("log-created", "bind")),
    ("opening", "doubted"): ("waiting", ("invalidate", "release-all", "log-denied")),
    ("opening", "denied"): ("waiting", ("invalidate", "release-all", "log-denied")),
    ("opening", "synced"): ("open", ("log-synced", "tell-granted-if-due")),
    ("opening", "optional-denied"): ("opening", ("hide",)),
    ("opening", "verb-denied"): ("opening", ()),
    ("opening", "regained"): ("opening", ()),
    ("opening", "still-denied"): ("opening", ()),
    ("opening", "verb-regained"): ("opening", ()),
    ("opening", "close"): ("closed", ("log-closed", "drop-all", "forget")),
    ("open", "needed"): ("open", ("add-need",)),
    ("open", "released"): ("open", ("drop-need",)),
    ("open", "permitted"): ("open", ("bind",)),
    ("open", "doubted"): ("open", ()),  # what is only suspected goes on being read
    ("open", "denied"): ("waiting", ("invalidate", "release-all", "log-removed", "tell-denied")),
    ("open", "synced"): ("open", ("tell-granted-if-due",)),
    ("open", "optional-denied"): ("open", ("tell-denied-if-shown", "hide")),
    ("open", "verb-denied"): ("open", ("tell-denied",)),
    ("open", "regained"): ("open", ("reopen-if-incomplete",)),
    ("open", "still-denied"): ("open", ("reopen-if-incomplete",)),
    ("open", "verb-regained"): ("open", ("tell-granted",)),
    ("open", "close"): ("closed", ("log-closed", "drop-all", "forget")),
    ("waiting", "needed"): ("waiting", ("add-need",)),
    ("waiting", "released"): ("waiting", ("drop-need", "reopen-if-permitted")),
    ("waiting", "permitted"): ("opening", ("renew", "log-created", "bind")),
    ("waiting", "doubted"): ("waiting", ()),
    # Its owner's status says everything that is missing: it is told when that is more, or less, than it was.
    ("waiting", "denied"): ("waiting", ("tell-missing-if-news",)),
    ("waiting", "optional-denied"): ("waiting", ("tell-missing",)),
    ("waiting", "verb-denied"): ("waiting", ("tell-missing",)),
    ("waiting", "regained"): ("waiting", ("reopen",)),
    ("waiting", "still-denied"): ("waiting", ("tell-missing-if-news", "invalidate")),  # by what is missing now
    ("waiting", "verb-regained"): ("waiting", ("tell-missing",)),
    ("waiting", "close"): ("closed", ("log-closed", "drop-all", "forget")),
    ("closed", "close"): ("closed", ()),
}


class IllegalMoveError(AssertionError):
    """An event that must not happen in a scope's state: a defect of ours."""


def move(state: ScopeState, event: ScopeEvent) -> tuple[ScopeState, tuple[Action, ...]]:
    """Return where an event leads, and what is to be done.

    Raises:
        IllegalMoveError: it must not happen there.
    """
    try:
        return TABLE[state, event]
    except KeyError:
        raise IllegalMoveError(f"{state}, where {event!r} must not happen") from None
