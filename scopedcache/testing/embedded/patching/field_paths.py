"""The fields of a body as paths, as `managedFields` writes them: `f:name`, `k:{"name":"web"}`, `v:"item"`.

A path stands for a leaf: a scalar, a list that is replaced as a whole, an empty map, or the bare presence of an item in
a keyed list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from ..kinds.list_keys import DEFAULTS, is_atomic
from ..wire.status_errors import Body

Path = tuple[str, ...]
# How the list at a path of field names merges: see `kinds.Validator.list_keys`.
ListKeys = Callable[[tuple[str, ...]], tuple[str, ...] | None]

PRESENT: Final = object()
# What the server decides, and nobody owns.
_SERVERS: Final = {
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
    "deletionGracePeriodSeconds", "managedFields", "selfLink", "generateName",
}  # fmt: skip
_encode = msgspec.json.Encoder(order="sorted").encode


def leaves(body: Body, list_keys: ListKeys, *, part: str = "main") -> dict[Path, Any]:
    """Return what can be owned in a body, with its values: `part` is `main` (all but the status) or `status`."""
    values: dict[Path, Any] = {}
    for key, value in body.items():
        if key in ("apiVersion", "kind") or (key == "status") is not (part == "status"):
            continue
        if key == "metadata":
            own = {name: inner for name, inner in value.items() if name not in _SERVERS}
            if own and part != "status":
                _walk(own, ("f:metadata",), ("metadata",), list_keys, values)
        else:
            _walk(value, (f"f:{key}",), (key,), list_keys, values)
    return values


def _walk(value: Any, path: Path, names: tuple[str, ...], list_keys: ListKeys, values: dict[Path, Any]) -> None:
    if isinstance(value, dict) and value and not is_atomic(names):
        for key, inner in value.items():
            _walk(inner, (*path, f"f:{key}"), (*names, key), list_keys, values)
        return
    keys = list_keys(names) if isinstance(value, list) else None
    if keys is None or not value:
        values[path] = value
    elif keys == ():
        for item in value:
            values[(*path, f"v:{_encode(item).decode()}")] = item
    else:
        for item in value:
            place = (*path, item_key(item, keys))
            values[place] = PRESENT
            for key, inner in item.items():
                _walk(inner, (*place, f"f:{key}"), (*names, key), list_keys, values)


def item_key(item: Body, keys: Iterable[str]) -> str:
    """Return how an item of a keyed list is written in a path."""
    return "k:" + _encode({key: item.get(key, DEFAULTS.get(key)) for key in keys}).decode()


def to_tree(paths: Iterable[Path]) -> Body:
    """Return paths as `fieldsV1`."""
    tree: Body = {}
    for path in sorted(paths):
        node = tree
        for segment in path:
            node = node.setdefault(segment, {})
        if path[-1].startswith("k:"):
            node["."] = {}
    return tree


def from_tree(tree: Body, prefix: Path = ()) -> set[Path]:
    """Return the paths in a `fieldsV1`."""
    paths: set[Path] = set()
    for segment, inner in tree.items():
        if segment == ".":
            if prefix[-1].startswith("k:"):
                paths.add(prefix)
        elif inner:
            paths |= from_tree(inner, (*prefix, segment))
        else:
            paths.add((*prefix, segment))
    return paths


def spelled(path: Path) -> str:
    """Return a path as people read it: `.spec.containers[name="web"].image`."""
    words = ""
    for segment in path:
        kind, _, rest = segment.partition(":")
        if kind == "f":
            words += f".{rest}"
        elif kind == "v":
            words += f"[={rest}]"
        else:
            pairs = msgspec.json.decode(rest).items()
            words += "[" + ",".join(f"{key}={_encode(value).decode()}" for key, value in pairs) + "]"
    return words


def without(body: Any, path: Path) -> Any:
    """Return a body without what is at a path, and without the maps and lists that are empty then."""
    segment, rest = path[0], path[1:]
    kind, _, text = segment.partition(":")
    if kind == "f":
        if not isinstance(body, dict) or text not in body:
            return body
        inner = without(body[text], rest) if rest else None
        kept = {key: value for key, value in body.items() if key != text}
        return kept | {text: inner} if inner not in (None, {}, []) else kept
    if not isinstance(body, list):
        return body
    wanted = msgspec.json.decode(text)
    if kind == "v":
        return [item for item in body if item != wanted]
    fits = [isinstance(i, dict) and all(i.get(k, DEFAULTS.get(k)) == v for k, v in wanted.items()) for i in body]
    if not rest:
        return [item for item, fit in zip(body, fits, strict=True) if not fit]
    return [without(item, rest) if fit else item for item, fit in zip(body, fits, strict=True)]
