"""The table of log events is the library's: people's alerts rely on it."""

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[3]
LIBRARY = ROOT / "scopedcache"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
ROW = re.compile(r"^\| `([^`]+)` \| ([A-Z, ]+) \|", re.M)
NAME = re.compile(r"[a-z_]+\.[a-z_]+")


def modules():
    for path in sorted(LIBRARY.rglob("*.py")):
        if not path.is_relative_to(LIBRARY / "testing"):
            yield path, ast.parse(path.read_text())


def calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of = node.func.value
            if isinstance(of, ast.Name) and of.id == "logger" and node.func.attr in {*LEVELS, "log"}:
                yield node


def literals(node):
    """Return the texts an expression may be, None where that cannot be seen."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp):
        chosen = literals(node.body), literals(node.orelse)
        return None if None in chosen else [*chosen[0], *chosen[1]]
    return None


# Events that are values first: an attribute, and the type that says what it may hold.
VALUES = {"event": "LogEvent", "failure": "FailureEvent"}


def typed(alias):
    for _, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == alias:
                return [one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant)]
    return []


def names_in(node):
    is_value = isinstance(node, ast.Attribute) and node.attr in VALUES
    return typed(VALUES[node.attr]) if is_value else literals(node)


def logged():
    """Return the events of the library with their levels; those logged at a computed level have an empty set."""
    events: defaultdict[str, set[str]] = defaultdict(set)
    for path, tree in modules():
        for call in calls(tree):
            computed = call.func.attr == "log"
            names = names_in(call.args[1 if computed else 0])
            assert names, f"{path}:{call.lineno} logs an event that is no plain text: it cannot be listed"
            for name in names:
                level = "error" if call.func.attr == "exception" else call.func.attr
                events[name] |= set() if computed else {level.upper()}
    return dict(events)


def listed():
    rows = ROW.findall((ROOT / "docs" / "log-events.md").read_text())
    assert len(rows) == len({name for name, _ in rows}), "an event is listed twice"
    return {name: set(levels.split(", ")) for name, levels in rows}


def test_every_event_that_is_logged_is_listed_and_nothing_else():
    assert sorted(listed()) == sorted(logged())


def test_every_event_is_listed_with_its_levels():
    found = logged()

    assert {name: levels for name, levels in listed().items() if found.get(name)} == {
        n: s for n, s in found.items() if s
    }


def test_every_event_is_words_with_a_dot_between_them():
    assert [name for name in logged() if not NAME.fullmatch(name)] == []


def test_events_are_listed_in_order():
    assert list(listed()) == sorted(listed())


def test_a_folder_has_one_logger_and_it_is_called_so():
    wrong = []
    for path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value and "ogger" in ast.unparse(node.value):
                name = ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])
                folder = path.relative_to(LIBRARY).parts[0].removesuffix(".py")
                if name == "logger" and ast.unparse(node.value) != f"event_logger('scopedcache.{folder}')":
                    wrong.append(f"{path.relative_to(ROOT)}: {ast.unparse(node)}")
    assert wrong == []
