"""What a reconciler is given, and what it answers."""

from __future__ import annotations

from typing import Final

import attrs

from ..kinds import ObjectKey

# The manager's own cluster.
HOME: Final = ""


def _seconds_or_none(instance: Result, attribute: attrs.Attribute[float | None], value: float | None) -> None:
    if value is not None and not value > 0:
        raise ValueError(f"requeue_after is in seconds and above zero, not {value!r}; leave it out for no requeue")


@attrs.frozen
class Request:
    """Reconcile the object of this key, whatever has happened to it.

    It carries no event and no object on purpose: a reconciler reads what is true now.

    `cluster` names the one the object lies in, where that is not the manager's own.
    """

    key: ObjectKey
    cluster: str = HOME

    @property
    def namespace(self) -> str:
        """Return the namespace in the key; empty for a cluster-scoped object."""
        return self.key.namespace

    @property
    def name(self) -> str:
        """Return the name in the key."""
        return self.key.name

    def __str__(self) -> str:
        return f"{self.cluster}: {self.key}" if self.cluster else str(self.key)


@attrs.frozen
class Result:
    """The reconcile went well.

    Attributes:
        requeue_after: run again after so many seconds at the latest; None: when something changes.
    """

    requeue_after: float | None = attrs.field(default=None, validator=_seconds_or_none)
