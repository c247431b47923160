"""Edits of code. Each names a place, and says what is done to it on the syntax tree.

A place is a module and a qualified name in it: `scopedcache.cache.scope_table:ScopeTable.close` is a function,
`scopedcache.access.verdict:TABLE` a constant. Functions within functions are named as if they stood in a class.
Expressions are compared as trees: layout, quotes, comments and whatever stands beside them do not matter.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from copy import deepcopy
from textwrap import dedent
from typing import TypeAlias

import attrs

from .edit import NotApplied

Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Assignment: TypeAlias = ast.Assign | ast.AnnAssign
ELLIPSIS = ast.dump(ast.Expr(ast.Constant(...)))


@attrs.frozen
class CodeEdit:
    """An edit of what has a name in a module. A subclass says what is done to it.

    Attributes:
        place: `package.module:Qualified.name`.
    """

    place: str

    @property
    def file(self) -> str:
        """Return the path of the module."""
        return self.place.partition(":")[0].replace(".", "/") + ".py"

    def apply(self, text: str) -> str:
        """Return the module with the place changed.

        Raises:
            NotApplied: there is no such place, what it is to have is not there so often, or nothing would change.
        """
        tree = ast.parse(text)
        node = find(tree, self.place)
        before = ast.dump(node)
        self.change(node)
        if ast.dump(node) == before:
            raise NotApplied(f"{self.place}: nothing is changed")
        return ast.unparse(ast.fix_missing_locations(tree)) + "\n"

    def change(self, node: Definition | Assignment) -> None:
        """Change the place in its tree."""
        raise NotImplementedError


# -- functions ---------------------------------------------------------------------------------------------------------


@attrs.frozen
class Body(CodeEdit):
    """A function, or a class, has these statements; a statement `...` among them stands for all that it had."""

    source: str

    def change(self, node: Definition | Assignment) -> None:
        definition = _definition(node, self.place)
        had = definition.body if ast.get_docstring(definition) is None else definition.body[1:]
        definition.body = _statements(self.source, had)


@attrs.frozen
class Returns(CodeEdit):
    """A function returns this, and does nothing else."""

    expression: str

    def change(self, node: Definition | Assignment) -> None:
        _definition(node, self.place).body = [ast.Return(_expression(self.expression))]


@attrs.frozen
class Result(CodeEdit):
    """Whatever a function returns is changed to this; the name `result` stands in it for what it returned."""

    expression: str

    def change(self, node: Definition | Assignment) -> None:
        returns = [one for one in _own_nodes(_definition(node, self.place)) if isinstance(one, ast.Return)]
        if not returns:
            raise NotApplied(f"{self.place} returns nothing")
        for one in returns:
            function = ast.parse(f"lambda result: {self.expression}", mode="eval").body
            one.value = ast.Call(function, [one.value or ast.Constant(None)], [])


@attrs.frozen
class Statement(CodeEdit):
    """The statement that calls this name becomes these; a statement `...` among them stands for what it was.

    Attributes:
        call: what is called: `release` is any `….release(…)`, `_pool.release` only that of a pool.
        times: how many statements of the function do so.
    """

    call: str
    source: str
    times: int = attrs.field(default=1, kw_only=True)

    def change(self, node: Definition | Assignment) -> None:
        change = _StatementChange(self)
        change.generic_visit(_definition(node, self.place))
        _require_count(self.place, f"statements that call {self.call}", change.count, self.times)


class _StatementChange(ast.NodeTransformer):
    """Changes the innermost statements with the call; of an `if` or a `for` only the first line counts."""

    def __init__(self, edit: Statement) -> None:
        self.count = 0
        self._edit = edit

    def visit(self, node: ast.AST) -> ast.AST | list[ast.stmt]:
        if isinstance(node, ast.stmt) and any(_calls(one, self._edit.call) for one in _first_line(node)):
            self.count += 1
            return _statements(self._edit.source, [node])
        return self.generic_visit(node)


@attrs.frozen
class Without(Statement):
    """The statement that calls this name goes."""

    source: str = attrs.field(default="pass", init=False)


@attrs.frozen
class Swaps(CodeEdit):
    """An expression becomes another one.

    Attributes:
        times: how often the function has it.
    """

    old: str
    new: str
    times: int = attrs.field(default=1, kw_only=True)

    def change(self, node: Definition | Assignment) -> None:
        change = _Swap(self)
        change.generic_visit(node)
        _require_count(self.place, self.old, change.count, self.times)


class _Swap(ast.NodeTransformer):
    def __init__(self, edit: Swaps) -> None:
        self.count = 0
        self._old = ast.dump(_expression(edit.old))
        self._new = edit.new

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.expr) and ast.dump(node) == self._old:
            self.count += 1
            return _expression(self._new)
        return self.generic_visit(node)


@attrs.frozen
class Argument(CodeEdit):
    """A call within a function gets another argument.

    Attributes:
        call: what is called, as in `Statement`.
        name: the argument's name, or its number where it has none. A named one need not have been given.
        times: how many such calls the function has.
    """

    call: str
    name: str | int
    expression: str
    times: int = attrs.field(default=1, kw_only=True)

    def change(self, node: Definition | Assignment) -> None:
        calls = [one for one in ast.walk(_definition(node, self.place)) if _calls(one, self.call)]
        _require_count(self.place, f"calls of {self.call}", len(calls), self.times)
        for call in calls:
            assert isinstance(call, ast.Call)
            self._set(call)

    def _set(self, call: ast.Call) -> None:
        value = _expression(self.expression)
        if isinstance(self.name, str):
            others = [keyword for keyword in call.keywords if keyword.arg != self.name]
            call.keywords = [*others, ast.keyword(self.name, value)]
        elif self.name < len(call.args):
            call.args[self.name] = value
        else:
            raise NotApplied(f"{self.place}: {self.call} has no argument {self.name}")


# -- constants ---------------------------------------------------------------------------------------------------------


@attrs.frozen
class Constant(CodeEdit):
    """A constant of a module, or of a class, has this value."""

    expression: str

    def change(self, node: Definition | Assignment) -> None:
        _assignment(node, self.place).value = _expression(self.expression)


@attrs.frozen
class Row(CodeEdit):
    """A table, which is a constant with a dict, has this value in the row of this key.

    Tables speak of closed sets of words: the value may have no word that the table has not.
    """

    key: str
    expression: str

    def change(self, node: Definition | Assignment) -> None:
        key, count = ast.dump(_expression(self.key)), 0
        unknown = _words(_expression(self.expression)) - _words(node)
        if unknown:
            raise NotApplied(f"{self.place} has nowhere the word {', '.join(sorted(unknown))}")
        for table in ast.walk(_assignment(node, self.place)):
            for number, one in enumerate(table.keys if isinstance(table, ast.Dict) else ()):
                if one is not None and ast.dump(one) == key:
                    assert isinstance(table, ast.Dict)
                    table.values[number], count = _expression(self.expression), count + 1
        _require_count(self.place, f"rows {self.key}", count, 1)


# -- trees -------------------------------------------------------------------------------------------------------------


def find(tree: ast.Module, place: str) -> Definition | Assignment:
    """Return what a place names.

    Raises:
        NotApplied: it is not there, or several times.
    """
    within: ast.AST = tree
    for name in place.partition(":")[2].split("."):
        named = [one for one in _inner_statements(within) if _names(one, name)]
        if len(named) != 1:
            raise NotApplied(f"{place}: {name} is there {len(named)} times, not once")
        within = named[0]
    assert isinstance(within, Definition | Assignment)
    return within


def _inner_statements(node: ast.AST) -> Iterator[ast.AST]:
    """Return the statements of a scope, those in its blocks too, but not those of scopes within it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, Definition | ast.expr):
            yield from _inner_statements(child)


def _own_nodes(definition: Definition) -> Iterator[ast.AST]:
    """Return the nodes of a function, but not those of functions within it."""
    for statement in definition.body:
        yield statement
        if not isinstance(statement, Definition):
            yield from _inner_statements(statement)


def _names(node: ast.AST, name: str) -> bool:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return node.name == name
        case ast.Assign(targets=[ast.Name(id=target)]) | ast.AnnAssign(target=ast.Name(id=target)):
            return target == name
    return False


def _first_line(statement: ast.stmt) -> Iterator[ast.AST]:
    """Return the nodes of a statement's own expressions: those of no statement within it."""
    for child in ast.iter_child_nodes(statement):
        if not isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield from ast.walk(child)


def _calls(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and f".{ast.unparse(node.func)}".endswith(f".{name}")


def _words(node: ast.AST) -> set[str]:
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def _definition(node: Definition | Assignment, place: str) -> Definition:
    if not isinstance(node, Definition):
        raise NotApplied(f"{place} is no function")
    return node


def _assignment(node: Definition | Assignment, place: str) -> Assignment:
    if not isinstance(node, Assignment):
        raise NotApplied(f"{place} is no constant")
    return node


def _expression(source: str) -> ast.expr:
    return ast.parse(source.strip(), mode="eval").body


def _statements(source: str, had: list[ast.stmt]) -> list[ast.stmt]:
    """Return these statements, with what was there before in the place of `...`."""
    fill = _Fill(had)
    module = fill.visit(ast.parse(dedent(source)))
    return list(module.body)


class _Fill(ast.NodeTransformer):
    def __init__(self, had: list[ast.stmt]) -> None:
        self._had = had

    def visit_Expr(self, node: ast.Expr) -> ast.stmt | list[ast.stmt]:
        return deepcopy(self._had) if ast.dump(node) == ELLIPSIS else node


def _require_count(place: str, what: str, count: int, expected: int) -> None:
    if count != expected:
        raise NotApplied(f"{place} has {count} times, not {expected}: {what}")
