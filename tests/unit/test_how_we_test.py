"""What tests do not do: reach into what is private, patch our own code, sleep, or measure seconds of the machine."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
OURS = ("scopedcache", "examples")
# What namedtuples offer to everybody, under names that cannot be those of fields.
NAMED_TUPLES = {"_asdict", "_fields", "_make", "_replace"}

# By file, what it does all the same, and why.
ALLOWED: dict[str, dict[str, str]] = {
    "benchmarks/drivers/common.py": {"os._exit": "its name, in the standard library"},
    "benchmarks/drivers/shared_informer.py": {
        "self._informer._watch": "somebody else's informer, that tells in no other way when it has synced",
    },
    "contract/real.py": {"time.sleep": "a real server has no other time"},
    "simulation/__main__.py": {"time.monotonic": "it tells people how long the run took"},
    "unit/acceptance/test_acceptance_clock.py": {"time.monotonic": "it tests a clock against the machine's"},
    "unit/examples/operator.py": {
        "time.sleep": "a process tells nobody what it did; its log and its pages must be looked at",
        "time.monotonic": "the end of patience with a process",
    },
}
MACHINE_TIME = {"time.sleep", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.time"}


def private(tree: ast.AST) -> Iterator[str]:
    """Yield private names that are used outside of the object they belong to, or imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
            yield from (f"{node.module}.{alias.name}" for alias in node.names if is_private(alias.name))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "setattr"):
            name = node.args[1]
            if isinstance(name, ast.Constant) and is_private(str(name.value)):
                yield ast.unparse(node)


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in NAMED_TUPLES


def patched(tree: ast.AST) -> Iterator[str]:
    """Yield what is patched of our own code, and every use of mocks."""
    ours = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            if (node.module or "").split(".")[0] in OURS:
                ours |= {alias.asname or alias.name for alias in node.names}
            if (node.module or "").startswith("unittest"):
                yield f"from {node.module} import …"
        elif isinstance(node, ast.Import):
            ours |= {alias.asname or alias.name for alias in node.names if alias.name.split(".")[0] in OURS}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr":
            target = ast.unparse(node.args[0]).strip("'\"")
            if target.split(".")[0] in ours | set(OURS):
                yield ast.unparse(node)


def machine_time(tree: ast.AST) -> Iterator[str]:
    """Yield the sleeps and the clocks of the machine that are used."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in MACHINE_TIME:
            yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (name for alias in node.names if (name := f"time.{alias.name}") in MACHINE_TIME)


def files(*folders: str) -> list[str]:
    paths = (path for folder in folders for path in (TESTS / folder).rglob("*.py"))
    return sorted(path.relative_to(TESTS).as_posix() for path in paths)


def offences(path: str, *rules: object) -> list[str]:
    tree = ast.parse((TESTS / path).read_text())
    return [found for rule in rules for found in rule(tree) if found not in ALLOWED.get(path, {})]  # type: ignore[operator]


@pytest.mark.parametrize("path", files(""))
def test_what_is_private_stays_so_and_our_own_code_is_not_patched(path: str) -> None:
    assert offences(path, private, patched) == []


@pytest.mark.parametrize("path", files("unit", "contract", "simulation"))
def test_no_test_sleeps_or_measures_the_seconds_of_the_machine(path: str) -> None:
    assert offences(path, machine_time) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("thing._private", ["thing._private"]),
        ("self._private", []),
        ("thing.__name__", []),
        ("pair._replace(a=1)", []),
        ("self.thing._private = 1", ["self.thing._private"]),
        ("from scopedcache.api import _hidden", ["scopedcache.api._hidden"]),
        ("getattr(thing, '_private')", ["getattr(thing, '_private')"]),
    ],
)
def test_what_is_private_is_found(text: str, found: list[str]) -> None:
    assert list(private(ast.parse(text))) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import os\nmonkeypatch.setattr(os, 'x', 1)", 0),
        ("from scopedcache.api import codec\nmonkeypatch.setattr(codec, 'x', 1)", 1),
        ("import scopedcache as sc\nmonkeypatch.setattr(sc.Client, 'x', 1)", 1),
        ("monkeypatch.setattr('scopedcache.api.codec.x', 1)", 1),
        ("from unittest.mock import Mock", 1),
    ],
)
def test_what_is_patched_is_found(text: str, found: int) -> None:
    assert len(list(patched(ast.parse(text)))) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [("time.sleep(1)", ["time.sleep"]), ("from time import sleep", ["time.sleep"]), ("asyncio.sleep(1)", [])],
)
def test_what_goes_by_the_machines_time_is_found(text: str, found: list[str]) -> None:
    assert list(machine_time(ast.parse(text))) == found
