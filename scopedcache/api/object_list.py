"""What a list returned: objects, and the resource version they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import attrs

from ..objects import Object


@attrs.frozen
class ObjectList(Sequence[Object]):
    """The objects of a list, and the resource version it stands for."""

    items: tuple[Object, ...]
    resource_version: str

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> Object: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Object, ...]: ...

    def __getitem__(self, index: int | slice) -> Object | tuple[Object, ...]:
        return self.items[index]
