"""All examples that have rows."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from .example import Example

# In the order of examples/README.md.
NAMES = tuple(
    name
    for name in ("users", "global_objects", "meteor", "rule_loader", "leifur", "tenants")
    if (Path(__file__).parent / f"{name}.py").exists()
)


def find(name: str) -> Example:
    """Return the example of this name.

    Raises:
        ValueError: there is none.
    """
    if name not in NAMES:
        raise ValueError(f"no example is called {name}; there are {', '.join(NAMES)}, or all")
    found: Example = import_module(f"{__package__}.{name}").EXAMPLE
    return found


def chosen(name: str) -> list[Example]:
    """Return the example of this name, or all of them (`all`)."""
    return [find(one) for one in (NAMES if name == "all" else [name])]
