"""What a scope wants done. Values: `Scope` returns them, `ScopeTable` carries them out in their order, at once."""

from __future__ import annotations

from typing import Literal

import attrs

from ..api.permission import Permission
from ..kinds import Kind
from .bound_need import BoundNeed
from .owner import Obstacle, OwnerChanged

LogEvent = Literal["access.denied", "cache.created", "cache.removed", "cache.synced"]


@attrs.frozen
class Track:
    """Keep the verdicts that a need takes."""

    need: BoundNeed


@attrs.frozen
class Untrack:
    """The rights of a need are of no interest any more.

    `for_good`: neither is what its informer held. Otherwise its kind may come back: what is missing then was deleted.
    """

    need: BoundNeed
    for_good: bool = True


@attrs.frozen
class DropKeys:
    """A need that was untracked for a while is gone for good: forget what its informer held."""

    need: BoundNeed


@attrs.frozen
class AwaitKind:
    """Find out whether a kind is served, and go on asking until it is."""

    kind: Kind


@attrs.frozen
class DropKind:
    """End one AwaitKind."""

    kind: Kind


@attrs.frozen
class Bind:
    """Take the informer of a need: reads see it, its events reach the owner."""

    need: BoundNeed


@attrs.frozen
class Rebind:
    """The informer of one need serves its successor as well: only what is read and routed changes."""

    before: BoundNeed
    after: BoundNeed


@attrs.frozen
class Release:
    """Give the informer of a need back, its routes first; `error`: what it was lost for, None where it was not."""

    need: BoundNeed
    error: Obstacle | None


@attrs.frozen
class Hide:
    """Answer reads of one kind with an error; None: nobody needs it any more."""

    kind: Kind
    error: Exception | None


@attrs.frozen
class Invalidate:
    """Answer every read with an error."""

    error: Exception


@attrs.frozen
class Renew:
    """Give out a new handle; what the old one showed is history, and `error` says so."""

    generation: int
    error: Exception


@attrs.frozen
class Publish:
    """Tell the owner; unless it knows: its own call was refused for want of this `right`, and it waits for it."""

    change: OwnerChanged
    right: Permission | None = None


@attrs.frozen
class PublishMissing:
    """What is missing changed while the scope waits: tell the owner what it is, once this step is over."""


@attrs.frozen
class Reopen:
    """Open in the background: nothing is known to stand against it any more."""


@attrs.frozen
class Forget:
    """The scope is closed: take it out of the table, and end its opening."""


@attrs.frozen
class Log:
    """Tell the operator of the process; `error`: what is missing."""

    event: LogEvent
    kinds: tuple[str, ...]
    error: Obstacle | None = None


Effect = (
    Track
    | Untrack
    | DropKeys
    | AwaitKind
    | DropKind
    | Bind
    | Rebind
    | Release
    | Hide
    | Invalidate
    | Renew
    | Publish
    | PublishMissing
    | Reopen
    | Forget
    | Log
)
