"""The verdicts about every permission that somebody tracks, for as long as somebody does."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from ..api.permission import Permission
from .verdict import Verdict


class TrackedVerdicts:
    """Verdicts by permission, each with the number of those who track it.

    Attributes:
        cluster: which of several they are about.
    """

    def __init__(self) -> None:
        self.cluster = ""
        self._verdicts: dict[Permission, Verdict] = {}
        self._trackers: dict[Permission, int] = {}
        self._missing: dict[Permission, None] = {}
        self.view: Mapping[Permission, Verdict] = MappingProxyType(self._verdicts)
        self.missing: Collection[Permission] = self._missing.keys()  # for certain, the first lost first

    def add(self, permission: Permission, now: float) -> bool:
        """Count one more who tracks a permission; tell whether nobody did before."""
        self._trackers[permission] = self._trackers.get(permission, 0) + 1
        if permission in self._verdicts:
            return False
        self._verdicts[permission] = Verdict(permission, since=now, cluster=self.cluster)
        return True

    def drop(self, permission: Permission) -> bool:
        """Count one less; tell whether nobody is left, and the verdict forgotten."""
        self._trackers[permission] -= 1
        if self._trackers[permission]:
            return False
        del self._trackers[permission], self._verdicts[permission]
        self._missing.pop(permission, None)
        return True

    def note(self, verdict: Verdict) -> None:
        """Take note of a verdict that changed."""
        if verdict.denying:
            self._missing[verdict.permission] = None
        else:
            self._missing.pop(verdict.permission, None)

    def get(self, permission: Permission) -> Verdict | None:
        """Return the verdict about a permission; None where nobody tracks it."""
        return self._verdicts.get(permission)

    def of(self, permissions: Iterable[Permission]) -> list[Verdict]:
        """Return the verdicts about those of the permissions that are tracked."""
        return [verdict for permission in permissions if (verdict := self._verdicts.get(permission)) is not None]

    def __contains__(self, permission: object) -> bool:
        return permission in self._verdicts

    def __len__(self) -> int:
        return len(self._verdicts)
