"""Names of a package that are imported when somebody first uses them (PEP 562), so that importing it costs nothing."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

# One import at a time: where one thread begins with a package and another with a module of it, Python 3.12 and 3.13 may
# find a deadlock and fail (python/cpython#83065).
_lock: Final = threading.RLock()


def lazy_names(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package.

    Args:
        package: its `__name__`.
        modules: its modules, each with the names (between them spaces) that it lends to the package. The modules are
            names of the package too.
    """
    module_of = {name: module for module, names in modules.items() for name in names.split()}

    def __getattr__(name: str) -> Any:
        module = module_of.get(name, name)
        if module not in modules:
            namespace = sys.modules[package]
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=namespace)
        with _lock:
            value = import_module(f"{package}.{module}")
            if name in module_of:
                value = getattr(value, name)
            setattr(sys.modules[package], name, value)
        return value

    def __dir__() -> list[str]:
        own = {name for name in vars(sys.modules[package]) if name.startswith("__")}  # the rest is how this is done
        return sorted({*own, *module_of, *modules})

    return __getattr__, __dir__
