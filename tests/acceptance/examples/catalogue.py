"""All examples that have rows."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from importlib import import_module

from ..starting import wanted_cluster
from .example import Example

# In the order of examples/README.md.
NAMES = ("users", "global_objects", "meteor", "rule_loader", "leifur", "tenants")


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


def log_as_programs_do(examples: Iterable[Example]) -> bool:
    """Log in here as each program does in its own process, where rows run in virtual time; tell whether they do."""
    virtual = wanted_cluster() == "embedded"
    for name in ("scopedcache", *(example.program.name for example in examples)) if virtual else ():
        logging.getLogger(name).setLevel(logging.INFO)
    return virtual
