"""One change of what is held, and the key of an object within one kind."""

from __future__ import annotations

import msgspec

from ..objects import Entry

# (namespace, name); a plain tuple, because one is made for every event.
Key = tuple[str, str]


class Delta(msgspec.Struct, frozen=True, gc=False):
    """One change: `old` None is an addition, `new` None a removal.

    `final` is the state a removal was announced with. `final_state_unknown` marks a removal that nobody saw happen
    (client-go's DeletedFinalStateUnknown): `old` is then the last state known, perhaps metadata alone. Where the UIDs
    differ, the old object went and a new one came. A Struct for the reason that `Entry` is one.
    """

    old: Entry | None
    new: Entry | None
    final: Entry | None = None
    final_state_unknown: bool = False
