"""One change of what is held, and the key of an object within one kind."""

from __future__ import annotations

from typing import NamedTuple

from ..objects import Entry

# (namespace, name); a plain tuple, because one is made for every event.
Key = tuple[str, str]


class Delta(NamedTuple):
    """One change: `old` None is an addition, `new` None a removal.

    `final` is the state a removal was announced with. `final_state_unknown` marks a removal that nobody saw happen
    (client-go's DeletedFinalStateUnknown): `old` is then the last state known, perhaps metadata alone. Where the UIDs
    differ, the old object went and a new one came.
    """

    old: Entry | None
    new: Entry | None
    final: Entry | None = None
    final_state_unknown: bool = False
