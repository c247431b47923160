"""The three ways to patch a body: merge (RFC 7386), JSON patch (RFC 6902), and strategic, for built-in kinds."""

from __future__ import annotations

import copy
from typing import Any

from ..kinds.list_keys import merge_keys
from ..wire.status_errors import Body, StatusError, bad_request


def merged(body: Any, patch: Any) -> Any:
    """Return a body with a merge patch in it; neither is changed."""
    if not isinstance(patch, dict):
        return patch
    result = dict(body) if isinstance(body, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def json_patched(body: Body, operations: Any) -> Body:
    """Return a body with the operations of a JSON patch done to a copy of it.

    Raises:
        StatusError: 422 where an operation finds nothing to work on or its test fails; 400 for nonsense.
    """
    if not isinstance(operations, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    document: Any = copy.deepcopy(body)
    for operation in operations:
        try:
            document = _operated(document, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            words = "the server rejected our request due to an error in our request"
            raise StatusError(422, "Invalid", words, {"causes": [{"message": str(error)}]}) from error
    return document  # type: ignore[no-any-return]


def strategic(body: Any, patch: Any, path: tuple[str, ...] = ()) -> Any:
    """Return a body with a strategic merge patch in it: lists whose items have a key are merged by it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(body) if isinstance(body, dict) else {}
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            result.pop(key, None)
        elif isinstance(value, list):
            result[key] = _strategic_list(result.get(key) or [], value, (*path, key))
        else:
            result[key] = strategic(result.get(key), value, (*path, key))
    for key, wanted in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            field = key.partition("/")[2]
            result[field] = [item for item in result.get(field) or [] if item not in wanted]
        elif key == "$retainKeys":
            result = {field: value for field, value in result.items() if field in wanted}
    return result


def _strategic_list(items: list[Any], patch: list[Any], path: tuple[str, ...]) -> list[Any]:
    keys = merge_keys(path)
    if keys is None or any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if not (isinstance(item, dict) and "$patch" in item)]
    if keys == ():
        return [*items, *(item for item in patch if item not in items)]
    key = keys[0]
    result = list(items)
    if not all(isinstance(item, dict) for item in (*items, *patch)):
        raise bad_request(f"invalid patch: the items of {'.'.join(path)} are no objects")
    for change in patch:
        index = next((n for n, item in enumerate(result) if item.get(key) == change.get(key)), None)
        if change.get("$patch") == "delete":
            if index is not None:
                del result[index]
        elif index is None:
            result.append(change)
        else:
            result[index] = strategic(result[index], change, path)
    return result


def _operated(document: Any, operation: Body) -> Any:
    kind = operation["op"]
    path = _pointer(operation["path"])
    if kind in ("move", "copy"):
        source = _pointer(operation["from"])
        value = copy.deepcopy(_find(document, source))
        if kind == "move":
            document = _removed(document, source)
        return _added(document, path, value)
    match kind:
        case "add":
            return _added(document, path, operation["value"])
        case "remove":
            return _removed(document, path)
        case "replace":
            _find(document, path)
            return _added(_removed(document, path), path, operation["value"])
        case "test":
            if _find(document, path) != operation.get("value"):
                raise ValueError(f"testing value {operation['path']} failed: test failed")
            return document
    raise ValueError(f"unexpected kind: {kind}")


def _pointer(path: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _find(document: Any, path: list[str]) -> Any:
    for part in path:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _added(document: Any, path: list[str], value: Any) -> Any:
    parent, last = _find(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        number = len(parent) if last == "-" else int(last)
        if number > len(parent):
            raise IndexError(f"index {number} is beyond the end of the list")
        parent.insert(number, value)
    else:
        parent[last] = value
    return document


def _removed(document: Any, path: list[str]) -> Any:
    parent, last = _find(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        del parent[int(last)]
    else:
        del parent[last]
    return document
