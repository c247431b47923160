"""Objects as the models that OpenAPI Generator makes, such as those of `kubernetes_asyncio`.

Such a class says itself what its fields are (`openapi_types`) and what they are called on the wire (`attribute_map`),
so nothing of those libraries is imported here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")

_LIST = re.compile(r"list\[(.+)\]")
_DICT = re.compile(r"dict\(([^,]+),\s*(.+)\)")


def is_openapi_model(model: Any) -> bool:
    """Tell whether a class was made by OpenAPI Generator, in the way that knows no `from_dict`."""
    fields = ("openapi_types", "attribute_map")
    return isinstance(model, type) and all(hasattr(model, name) for name in fields) and not hasattr(model, "from_dict")


def to_openapi_model(data: Mapping[str, Any], model: type[T]) -> T:
    """Return a model filled from an object's dict. Fields it does not know are left out, as its own library does.

    Raises:
        ValueError: the object does not fit the model.
    """
    made: T = _converted(data, model.__name__, model.__module__)
    return made


def _converted(value: Any, kind: str, module: str) -> Any:
    if value is None or kind in ("object", "str", "int", "float", "bool"):
        return value
    if of_list := _LIST.fullmatch(kind):
        return [_converted(one, of_list[1], module) for one in _expected(value, list)]
    if of_dict := _DICT.fullmatch(kind):
        return {name: _converted(one, of_dict[2], module) for name, one in _expected(value, dict).items()}
    if kind in ("datetime", "date"):
        moment = datetime.fromisoformat(_expected(value, str))
        return moment if kind == "datetime" else date(moment.year, moment.month, moment.day)
    model: Any = _model(kind, module)
    if not is_openapi_model(model):
        raise ValueError(f"{kind} is no model of its library")
    given = _expected(value, dict)
    fields = {
        name: _converted(given[wire], model.openapi_types[name], model.__module__)
        for name, wire in model.attribute_map.items()
        if given.get(wire) is not None
    }
    return model(**fields)


@lru_cache(maxsize=4096)
def _model(kind: str, module: str) -> Any:
    """Return the class of this name: each model has a module of its own, and their package knows them all."""
    package = sys.modules[module.rpartition(".")[0]] if "." in module else None
    return getattr(sys.modules[module], kind, None) or getattr(package, kind, None)


def _expected(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"a {kind.__name__} was expected, not a {type(value).__name__}")
    return value
