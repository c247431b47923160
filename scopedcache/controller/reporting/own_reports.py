"""Which changes of an object are what this library wrote into its status: a report wakes nobody.

A report carries the version it was made of, so nothing else can lie between that version and the one it was answered
with: the step from the one to the other is ours, and any other step is news. The watch may tell of it before the answer
is there; such a step is held back until the answer says whose it was.

Plain and synchronous; `ForbiddenReporter` fills it, `EventSources` ask it.
"""

from __future__ import annotations

import attrs

from ...kinds import ObjectKey
from ...objects import Object


@attrs.define
class _Report:
    """One report.

    Attributes:
        before, after: the versions of the object; `after` is None while there is no answer.
        held: the versions that the watch has told of meanwhile.
    """

    before: str
    after: str | None = None
    held: set[str] = attrs.field(factory=set)


class OwnReports:
    """The last report about each object."""

    def __init__(self) -> None:
        self._reports: dict[ObjectKey, _Report] = {}

    def begin(self, obj: Object) -> None:
        """A report about this object is sent now."""
        self._reports[obj.key] = _Report(obj.resource_version)

    def end(self, key: ObjectKey, answer: Object | None) -> bool:
        """The report was answered with the object, or it failed: return whether news was held back for it."""
        report = self._reports[key]
        if answer is not None:
            report.after = answer.resource_version
            return bool(report.held - {report.after})
        del self._reports[key]
        return bool(report.held)

    def is_own(self, old: Object, new: Object) -> bool:
        """Tell whether a change is a report, or is held back because it may be one."""
        report = self._reports.get(new.key)
        if report is None or old.resource_version != report.before:
            return False
        if report.after is None:
            report.held.add(new.resource_version)
            return True
        return new.resource_version == report.after

    def forget(self, key: ObjectKey) -> None:
        """The object is gone."""
        self._reports.pop(key, None)

    def __len__(self) -> int:
        return len(self._reports)
