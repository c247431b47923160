"""What is kept: every string that can be reached from an object, however deep. A leak has a name there, or a uid."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import msgspec

# What leads to the whole program, and keeps nothing for anybody in particular.
_ENDS = (ModuleType, type, BuiltinFunctionType, asyncio.AbstractEventLoop)


def strings_in(root: object, *, apart: tuple[object, ...] = ()) -> set[str]:
    """Return the strings that `root` keeps alive, but for those behind the objects that are `apart`."""
    return {one for one in _kept_by(root, apart) if isinstance(one, str)}


def objects_in(root: object) -> int:
    """Return how many objects `root` keeps alive."""
    return sum(1 for _ in _kept_by(root, ()))


def _kept_by(root: object, apart: tuple[object, ...]) -> Iterator[object]:
    seen = {id(vars(module)) for module in list(sys.modules.values())} | {id(one) for one in apart}
    left: list[Any] = [root]
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, _ENDS):
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, FunctionType):
            left += [one.__closure__, one.__defaults__, one.__kwdefaults__]
        elif isinstance(one, dict):  # of keys that are strings the collector does not tell
            left += [*one.keys(), *one.values()]
        elif isinstance(one, msgspec.Struct):  # nor of some of these
            left += [getattr(one, field) for field in one.__struct_fields__]
        else:
            left += gc.get_referents(one)
