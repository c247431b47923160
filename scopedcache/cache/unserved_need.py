"""A need whose kind the server does not serve, as far as is known: discovery has not answered yet, or said so."""

from __future__ import annotations

import attrs

from ..errors import UnknownKindError
from ..needs import Need
from .bound_need import BoundNeed


@attrs.frozen(eq=False)
class UnservedNeed:
    """One need of a scope that has no resource.

    Attributes:
        error: what discovery said; None where it has not answered.
        before: the need as it was while its kind was served, None where it never was.
    """

    need: Need
    error: UnknownKindError | None = None
    before: BoundNeed | None = None

    def __repr__(self) -> str:
        return f"<UnservedNeed {self.need.kind}>"
