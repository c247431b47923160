"""The states of a scope, and what each event makes of them: a table, so that docs/scopes.md can be drawn from it.

opening ──synced──▶ open ──a required right or kind is lost──▶ waiting ──it is back──▶ opening
   └──denied──▶ waiting                              any ──close──▶ closed
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
    "overdue",
    "synced",
    "optional-reviewed",
    "optional-synced",
    "optional-denied",
    "verb-denied",
    "regained",
    "still-denied",
    "verb-regained",
    "unserved",
    "optional-unserved",
    "served",
    "close",
]
Action = Literal[
    "add-need",
    "drop-need",
    "drop-all",
    "log-created",
    "bind",
    "bind-one",
    "renew",
    "invalidate",
    "invalidate-by-refusal",
    "invalidate-if-served",
    "release-all",
    "hide",
    "lose-kind",
    "serve-kind",
    "log-denied",
    "log-removed",
    "log-synced",
    "log-closed",
    "tell-denied",
    "tell-verb-denied",
    "tell-denied-if-shown",
    "tell-denied-if-awaited",
    "tell-missing",
    "tell-missing-if-news",
    "tell-granted",
    "tell-there",
    "tell-if-due",
    "note-awaited",
    "note-refused",
    "reopen",
    "reopen-if-regained",
    "reopen-if-permitted",
    "forget",
]

EVENTS: Final[dict[ScopeEvent, str]] = {
    "needed": "a kind is needed that was not, or more of it",
    "released": "a kind is needed no longer",
    "permitted": "its rights were reviewed: no required one is lost",
    "doubted": "its rights were reviewed: a required one is suspect",
    "denied": "a required right is denied",
    "overdue": "who opened it waits no longer",
    "synced": "the informer of every required need is synced",
    "optional-reviewed": "the rights of an optional need were reviewed",
    "optional-synced": "the informer of an optional need is synced",
    "optional-denied": "a right of an optional need is denied",
    "verb-denied": "a declared verb beyond list and watch is denied",
    "regained": "a right to list or watch is allowed, and nothing required is lost",
    "still-denied": "a right to list or watch is allowed, but something required is lost",
    "verb-regained": "a declared verb that was denied is allowed",
    "unserved": "the kind of a required need is not served, or not any more",
    "optional-unserved": "the kind of an optional need is not served, or not any more",
    "served": "a kind that was not known is served",
    "close": "its owner is gone, or closed it",
}

# (state, event) → state, and what is done, in this order. What is not here must not happen.
TABLE: Final[dict[tuple[ScopeState, ScopeEvent], tuple[ScopeState, tuple[Action, ...]]]] = {
    ("opening", "needed"): ("opening", ("add-need",)),
    ("opening", "released"): ("opening", ("drop-need",)),
    ("opening", "permitted"): ("opening", ("log-created", "bind")),
    ("opening", "doubted"): ("waiting", ("invalidate", "release-all", "log-denied", "tell-denied-if-awaited")),
    ("opening", "denied"): ("waiting", ("invalidate", "release-all", "log-denied", "tell-denied-if-awaited")),
    ("opening", "overdue"): ("opening", ("note-awaited",)),
    ("opening", "synced"): ("open", ("log-synced", "tell-if-due")),
    ("opening", "optional-reviewed"): ("opening", ("bind-one",)),
    ("opening", "optional-synced"): ("opening", ()),
    ("opening", "optional-denied"): ("opening", ("hide",)),
    ("opening", "verb-denied"): ("opening", ()),
    ("opening", "regained"): ("opening", ("reopen-if-regained",)),
    ("opening", "still-denied"): ("opening", ()),
    ("opening", "verb-regained"): ("opening", ()),
    ("opening", "unserved"): (
        "waiting",
        ("lose-kind", "invalidate", "release-all", "log-denied", "tell-denied-if-awaited"),
    ),
    ("opening", "optional-unserved"): ("opening", ("lose-kind",)),
    ("opening", "served"): ("opening", ("serve-kind", "reopen-if-regained")),
    ("opening", "close"): ("closed", ("log-closed", "drop-all", "forget")),
    ("open", "needed"): ("open", ("add-need",)),
    ("open", "released"): ("open", ("drop-need",)),
    ("open", "permitted"): ("open", ("bind",)),
    ("open", "doubted"): ("open", ("note-refused",)),  # what is only suspected goes on being read
    ("open", "denied"): ("waiting", ("invalidate", "release-all", "log-removed", "tell-denied")),
    ("open", "overdue"): ("open", ("note-awaited",)),
    ("open", "synced"): ("open", ("tell-if-due",)),
    ("open", "optional-reviewed"): ("open", ("bind-one",)),
    ("open", "optional-synced"): ("open", ("tell-there",)),
    ("open", "optional-denied"): ("open", ("tell-denied-if-shown", "hide")),
    ("open", "verb-denied"): ("open", ("tell-verb-denied",)),
    ("open", "regained"): ("open", ("reopen-if-regained",)),
    ("open", "still-denied"): ("open", ("reopen-if-regained",)),
    ("open", "verb-regained"): ("open", ("tell-granted",)),
    ("open", "unserved"): ("waiting", ("lose-kind", "invalidate", "release-all", "log-removed", "tell-denied")),
    ("open", "optional-unserved"): ("open", ("tell-denied-if-shown", "lose-kind")),
    ("open", "served"): ("open", ("serve-kind", "reopen-if-regained")),
    ("open", "close"): ("closed", ("log-closed", "drop-all", "forget")),
    ("waiting", "needed"): ("waiting", ("add-need",)),
    ("waiting", "released"): ("waiting", ("drop-need", "reopen-if-permitted")),
    ("waiting", "permitted"): ("opening", ("renew", "log-created", "bind")),
    ("waiting", "doubted"): ("waiting", ()),
    # Its owner's status says everything that is missing: it is told when that is more, or less, than it was.
    ("waiting", "denied"): ("waiting", ("tell-missing-if-news", "invalidate-if-served")),
    ("waiting", "overdue"): ("waiting", ()),
    ("waiting", "optional-reviewed"): ("waiting", ()),
    ("waiting", "optional-synced"): ("waiting", ()),
    ("waiting", "optional-denied"): ("waiting", ("tell-missing",)),
    ("waiting", "verb-denied"): ("waiting", ("tell-missing",)),
    ("waiting", "regained"): ("waiting", ("reopen",)),
    ("waiting", "still-denied"): ("waiting", ("tell-missing-if-news", "invalidate")),  # by what is missing now
    ("waiting", "verb-regained"): ("waiting", ("tell-missing",)),
    ("waiting", "unserved"): ("waiting", ("lose-kind", "tell-missing", "invalidate-by-refusal")),
    ("waiting", "optional-unserved"): ("waiting", ("lose-kind",)),
    ("waiting", "served"): ("waiting", ("serve-kind", "reopen-if-permitted")),
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
