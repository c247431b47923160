"""What the source of an operator says it needs: Needs, controllers, Leases; and what the source does not say.

Nothing is run. A kind that is a name of the module, or is made of constants, is known; one that is computed is listed
as not seen, with file and line.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import attrs

from ..kinds import GVK, GVR, Kind
from ..needs import Need

Place = Literal["namespace", "cluster", "home", "somewhere"]

# What our own helpers do to the object they are given, which is mostly the primary one.
_STATUS_HELPERS: Final = {"patch_status": (("patch", "status"),)}
_OWN_HELPERS: Final = {"add_finalizer": (("patch", None),), "remove_finalizer": (("patch", None),)}
# What writes objects that only a run shows.
_WRITING_HELPERS: Final = ("create_or_update", "apply", "apply_set", "prune", "replicate", "delete_finalized")
_CLIENT_WRITES: Final = ("create", "update", "patch", "apply", "delete", "delete_collection")


@attrs.frozen
class Declared:
    """A verb on a kind that the source names.

    Attributes:
        place: `cluster`: everywhere at once; `namespace`: wherever somebody lets the operator work; `home`: in one
            namespace of its own; `somewhere`: in namespaces that are computed.
        namespace: which one, where `home` names it.
        name: the only object it is about.
    """

    kind: Kind
    verb: str
    place: Place
    subresource: str | None = None
    namespace: str | None = None
    name: str | None = None


@attrs.frozen
class Source:
    """The text of one module, and the values of the names in it."""

    file: str
    text: str
    names: Mapping[str, Any]


@attrs.define
class Declarations:
    """All that the sources of an operator say."""

    declared: list[Declared] = attrs.field(factory=list)
    unseen: list[str] = attrs.field(factory=list)


class NotSaidError(Exception):
    """The value of an expression shows only when it runs."""


def read_declarations(sources: Sequence[Source]) -> Declarations:
    """Return what the sources declare."""
    found = Declarations()
    helpers: set[tuple[str, str | None]] = set()
    for source in sources:
        for call in _calls(ast.parse(source.text)):
            try:
                helpers |= _read_call(call, source, found)
            except NotSaidError as error:
                found.unseen.append(f"{source.file}:{call.lineno}: {error}")
    primaries = list(dict.fromkeys((one.kind, one.place) for one in found.declared if one.subresource == "status"))
    for kind, place in primaries:
        found.declared += [Declared(kind, verb, place, part) for verb, part in sorted(helpers, key=str)]
    found.declared = list(dict.fromkeys(found.declared))
    found.unseen = list(dict.fromkeys(found.unseen))
    return found


def evaluate(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """Return the value of an expression that is made of constants, names and kinds.

    Raises:
        NotSaidError: it is anything else.
    """
    match node:
        case ast.Constant():
            return node.value
        case ast.Name() if node.id in names:
            return names[node.id]
        case ast.Attribute():
            value = evaluate(node.value, names)
            if hasattr(value, node.attr):
                return getattr(value, node.attr)
        case ast.Tuple() | ast.List() | ast.Set():
            return tuple(evaluate(element, names) for element in node.elts)
        case ast.Call() if _last_name(node.func) in ("GVK", "GVR"):
            made = GVK if _last_name(node.func) == "GVK" else GVR
            given = {word.arg: evaluate(word.value, names) for word in node.keywords if word.arg}
            return made(*(evaluate(argument, names) for argument in node.args), **given)
    raise NotSaidError(f"what `{ast.unparse(node)}` is shows only in a run")


def module_names(text: str, imported: Mapping[str, Any]) -> dict[str, Any]:
    """Return the names of a module that must not be imported: those it imports, and its constants."""
    names = dict(imported)
    for node in ast.parse(text).body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = getattr(node, "value", None)
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(value, ast.expr):
                try:
                    names[target.id] = evaluate(value, names)
                except NotSaidError:
                    names.pop(target.id, None)
    return names


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _keywords(call: ast.Call) -> dict[str, ast.expr]:
    return {word.arg: word.value for word in call.keywords if word.arg}


def _read_call(call: ast.Call, source: Source, found: Declarations) -> set[tuple[str, str | None]]:
    """Add what a call declares; return what helpers do to the primary kind."""
    name, names, given = _last_name(call.func), source.names, _keywords(call)
    receiver = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    if name == "Need":
        _add_need(call, names, given, found)
    elif name in ("open", "open_all") and receiver.rpartition(".")[2].strip("_") in ("cache", "cluster"):
        for argument in call.args[1:]:
            if not isinstance(argument, ast.Starred) and not _is_need(argument, names):
                found.declared += _seen(evaluate(argument, names), "namespace")
    elif name == "Controller":
        _add_controller(call, names, given, found)
    elif name in ("Watch", "selecting") and (call.args or "kind" in given):
        place: Place = "home" if "namespace" in given else "cluster"
        found.declared += _seen(evaluate(call.args[0] if call.args else given["kind"], names), place)
    elif name == "LeaderElection":
        _add_election(call, names, given, found)
    elif name in _STATUS_HELPERS:
        return set(_STATUS_HELPERS[name])
    elif name in _OWN_HELPERS:
        return set(_OWN_HELPERS[name])
    elif name in _WRITING_HELPERS and not receiver:
        raise NotSaidError(f"which kind {name}(…) writes shows only in a run")
    elif name in _CLIENT_WRITES and receiver.rpartition(".")[2].strip("_") == "client":
        raise NotSaidError(f"which kind {receiver}.{name}(…) writes shows only in a run")
    return set()


def _add_need(call: ast.Call, names: Mapping[str, Any], given: Mapping[str, ast.expr], found: Declarations) -> None:
    kind = evaluate(call.args[0] if call.args else given["kind"], names)
    verbs = call.args[1] if len(call.args) > 1 else given.get("verbs")
    only = evaluate(given["name"], names) if "name" in given else None
    need = Need(kind, evaluate(verbs, names) if verbs is not None else (), name=only)
    found.declared += [Declared(kind, verb, "namespace", name=only) for verb in need.all_verbs]


def _add_controller(
    call: ast.Call, names: Mapping[str, Any], given: Mapping[str, ast.expr], found: Declarations
) -> None:
    place: Place = "cluster" if _is_none(given.get("namespaces")) else "somewhere"
    primary = evaluate(given["for_"], names) if "for_" in given else None
    if primary is not None:
        found.declared += _seen(primary, place)
        # What its reconcile is refused is written there: the default report, or the author's own.
        found.declared.append(Declared(primary, "patch", place, "status"))
    owned = given.get("owns")
    for element in owned.elts if isinstance(owned, ast.Tuple | ast.List) else []:
        if not _is_need(element, names):
            found.declared += _seen(evaluate(element, names), place)


def _add_election(call: ast.Call, names: Mapping[str, Any], given: Mapping[str, ast.expr], found: Declarations) -> None:
    lease = evaluate(call.args[0] if call.args else given["name"], names)
    namespace = evaluate(given["namespace"], names)
    kind = GVK("coordination.k8s.io", "v1", "Lease")
    found.declared.append(Declared(kind, "create", "home", namespace=namespace))
    found.declared += [Declared(kind, verb, "home", namespace=namespace, name=lease) for verb in ("get", "update")]


def _seen(wanted: Any, place: Place) -> list[Declared]:
    if isinstance(wanted, tuple):
        return [one for each in wanted for one in _seen(each, place)]
    if isinstance(wanted, Need):
        return [Declared(wanted.kind, verb, place, name=wanted.name) for verb in wanted.all_verbs]
    return [Declared(wanted, verb, place) for verb in ("list", "watch")]


def _is_need(node: ast.expr, names: Mapping[str, Any]) -> bool:
    return isinstance(node, ast.Call) and _last_name(node.func) == "Need"


def _is_none(node: ast.expr | None) -> bool:
    return node is None or (isinstance(node, ast.Constant) and node.value is None)
