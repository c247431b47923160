"""Server-side apply that sends nothing where nothing would change.

What is wanted is compared with what is there, and what the server fills in, or others add, is let alone. Two things
cannot be seen from that, and are remembered:

- A field that is wanted no longer. The object says in an annotation which wish it was applied from, so that this is
  seen after a restart too.
- A value that the server writes in another way than we do. The version that it answered a wish with is remembered for
  as long as the process runs: while the object has that version, the wish is fulfilled.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec
from cachetools import LRUCache

from ..api import Client
from ..api.request_query import FIELD_MANAGER
from ..kinds import strings
from ..objects import Object
from .create_or_update import Change, Read, look, make_room
from .json_copy import json_copy
from .semantic import contains

# The annotation is this and the field manager.
ANNOTATION_PREFIX: Final = "applied.scopedcache.dev/"
NAME_CHARACTERS: Final = 63
HASH_CHARACTERS: Final = 16
# Answers that are remembered of one client; a forgotten one costs a request that changes nothing.
REMEMBERED_ANSWERS: Final = 16_384

# By client: what the object of a UID was applied from last, and the version that this was answered with.
_answers: WeakKeyDictionary[Client, MutableMapping[str, tuple[str, str]]] = WeakKeyDictionary()


async def apply(
    client: Client,
    obj: Object | Mapping[str, Any],
    *,
    read: Read | None = None,
    field_manager: str = FIELD_MANAGER,
    recreate_on_immutable: Iterable[str] = (),
) -> tuple[Object, Change]:
    """Apply an object on the server, if that changes something; return it as it is then, and what was done.

        await apply(client, limit_range, read=scope.get)

    `obj` says all that is wanted and nothing else; it is not changed. Fields that it named before and names no longer
    are removed, those of others stay, and a field that somebody else owns is taken over. `status` is not written.

    It takes `patch`, and `create` too where the object may not be there. The object is annotated with a hash of what it
    was applied from.

    Args:
        read: looks the object up, e.g. `scope.get`: from memory, and no `get` permission is needed. The server is asked
            where it is left out.
        field_manager: who applies: the same name each time, another one for each controller of an object.
        recreate_on_immutable: fields that the server lets nobody change, as paths (`roleRef`, `spec.scopes`): where one
            is wanted otherwise, the object is deleted and made anew.

    Raises:
        ConflictError: a finalizer, or a grace period, holds what is to be made anew; reconcile again.
        APIError, CacheError: the first look failed; nothing was written.
    """
    wanted, digest = _wish(obj, field_manager)
    current = await look(client, wanted, read)
    if current is not None and _is_fulfilled(client, current, wanted, digest):
        return current, "unchanged"
    recreated = current is not None and _is_immutable(current, wanted, strings(recreate_on_immutable))
    if current is not None and recreated:
        await make_room(client, current)
    applied = await client.apply(_based_on(None if recreated else current, wanted), field_manager=field_manager)
    _answers.setdefault(client, LRUCache(REMEMBERED_ANSWERS))[applied.uid] = digest, applied.resource_version
    if current is None or recreated:
        return applied, "recreated" if recreated else "created"
    return applied, "unchanged" if applied.resource_version == current.resource_version else "updated"


def _wish(obj: Object | Mapping[str, Any], field_manager: str) -> tuple[Object, str]:
    """Return what is wanted, annotated with its own hash, and the hash."""
    given = obj.to_dict() if isinstance(obj, Object) else obj
    body: dict[str, Any] = json_copy({name: value for name, value in given.items() if name != "status"})
    if isinstance(obj, Object):
        body |= {"apiVersion": obj.api_version, "kind": obj.kind}
    texts = body.pop("stringData", None) if (body.get("apiVersion"), body.get("kind")) == ("v1", "Secret") else None
    if texts:  # the server keeps it so, and would never show us what we sent
        body["data"] = {**(body.get("data") or {}), **{name: _base64(text) for name, text in texts.items()}}
    digest = hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()[:HASH_CHARACTERS]
    metadata = body.setdefault("metadata", {})
    metadata["annotations"] = {**(metadata.get("annotations") or {}), _annotation(field_manager): digest}
    return Object.from_dict(body), digest


def _is_fulfilled(client: Client, current: Object, wanted: Object, digest: str) -> bool:
    if _answers.get(client, {}).get(current.uid) == (digest, current.resource_version):
        return True
    return contains(current.to_dict(), wanted.to_dict())


def _is_immutable(current: Object, wanted: Object, paths: Iterable[str]) -> bool:
    """Tell whether something that cannot be changed is wanted otherwise, or not any more."""
    for path in paths:
        here, there = current.at(*path.split(".")), wanted.at(*path.split("."))
        if not contains(here, [] if there is None else there):
            return True
    return False


def _based_on(current: Object | None, wanted: Object) -> Object:
    """Let an apply change what was looked at and nothing else: another object of the name is a conflict."""
    if current is None:
        return wanted
    wanted["metadata"]["uid"] = current.uid
    return wanted


def _annotation(field_manager: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", field_manager)[:NAME_CHARACTERS].strip("-_.")
    return f"{ANNOTATION_PREFIX}{name or 'unnamed'}"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
