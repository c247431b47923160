"""A write as admission sees it."""

from __future__ import annotations

import attrs

from ..kinds.kind import Kind
from ..wire.request_attributes import User
from ..wire.status_errors import Body, StatusError, forbidden


@attrs.frozen
class AdmittedWrite:
    """What is about to be written: `body` is None of a deletion, `old` of a creation.

    Attributes:
        subresource: empty for the object itself.
        options: those of the request, as a webhook is shown them.
    """

    operation: str
    kind: Kind
    version: str
    namespace: str
    name: str
    user: User
    body: Body | None = None
    old: Body | None = None
    subresource: str = ""
    dry_run: bool = False

    def refused(self, why: str) -> StatusError:
        """Return a 403 in the words of the server."""
        return forbidden(self.kind.group, self.kind.resource, self.name, why)
