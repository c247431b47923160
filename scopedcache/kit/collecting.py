"""Many to one: what is found in each of many namespaces, together in one ConfigMap, and told to an outside program.

What was found in a namespace that may not be seen now stays for a while, marked by an annotation that says since when.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Final

import attrs
import msgspec

from ..api import Client
from ..clock import wall_time
from ..objects import Object

UNSEEN: Final = "unseen.scopedcache.dev/"
TOLD: Final = "told.scopedcache.dev/hash"
# Between the namespace and the rest of a key: no namespace has it in its name, and every ConfigMap takes it.
SEPARATOR: Final = "_"


@attrs.frozen
class Collected:
    """What one ConfigMap is to hold.

    Attributes:
        data: by namespace and key: `app_settings`.
        unseen: since when each namespace is not seen whose part is kept all the same.
        left: seconds until the first of these is kept no longer; None where nothing is kept.
    """

    data: dict[str, str]
    unseen: dict[str, str] = attrs.field(factory=dict)
    left: float | None = None


def collected(
    held: Mapping[str, str],
    unseen: Mapping[str, str],
    found: Mapping[str, Mapping[str, str]],
    namespaces: Collection[str],
    *,
    keep: float,
    now: datetime,
) -> Collected:
    """Return what there is to hold: what was found, and what of the rest is kept still.

    Args:
        held, unseen: what is held now, and what of it was not seen before.
        found: by namespace, of those that could be seen.
        namespaces: all there are.
        keep: seconds for which the part of a namespace is kept that is not seen.
    """
    data = {f"{place}{SEPARATOR}{name}": text for place in sorted(found) for name, text in sorted(found[place].items())}
    since: dict[str, str] = {}
    left: list[float] = []
    for name, text in sorted(held.items()):
        place = name.partition(SEPARATOR)[0]
        if place in found or place not in namespaces:
            continue
        lost = _read(unseen.get(place), now)
        if (rest := keep - (now - lost).total_seconds()) > 0:
            data[name] = text
            since[place] = lost.isoformat(timespec="seconds")
            left.append(rest)
    return Collected(data, since, min(left, default=None))


async def collect(
    client: Client,
    output: Object,
    found: Mapping[str, Mapping[str, str]],
    namespaces: Collection[str],
    *,
    keep: float,
    now: datetime | None = None,
) -> tuple[Object, float | None]:
    """Write what was found in each namespace into one ConfigMap, where that changes it.

    Return the ConfigMap as it is then, and the seconds after which a part of it is kept no longer. Its keys are
    `NAMESPACE_KEY`; an annotation names each namespace that is not seen now, with the time since when.

    Args:
        output: the ConfigMap as it was read.
        found: by namespace; a namespace that could not be seen is left out.
        namespaces: all there are: the part of one that is gone goes at once.
        keep: seconds for which the part of a namespace is kept that is not seen.

    Raises:
        ConflictError: the ConfigMap changed since it was read; reconcile again.
        APIError: it was not written; what it holds is as before.
    """
    notes = dict(output.annotations)
    before = {name.removeprefix(UNSEEN): since for name, since in notes.items() if name.startswith(UNSEEN)}
    held = output.at("data", default={})
    wanted = collected(held, before, found, namespaces, keep=keep, now=now or wall_time())
    if (wanted.data, wanted.unseen) != (held, before):
        others = {name: value for name, value in notes.items() if not name.startswith(UNSEEN)}
        output["data"] = wanted.data
        _annotate(output, others | {UNSEEN + place: since for place, since in wanted.unseen.items()})
        output = await client.update(output)
    return output, wanted.left


async def tell_once(client: Client, obj: Object, tell: Callable[[], Awaitable[None]]) -> Object:
    """Tell somebody outside that an object's `data` changed; once for each content, also after a crash.

    An annotation says what was told last. While there is no data and nobody was ever told, nobody is.

    Raises:
        Exception: what `tell` raised; it is told again with the next call.
        ConflictError: the object changed since it was read; reconcile again.
    """
    data: Any = obj.at("data", default={})
    digest = hashlib.sha256(msgspec.json.encode(data, order="sorted")).hexdigest()[:16]
    if obj.annotations.get(TOLD) == digest or (TOLD not in obj.annotations and not data):
        return obj
    await tell()
    _annotate(obj, {**obj.annotations, TOLD: digest})
    return await client.update(obj)


def _annotate(obj: Object, annotations: dict[str, str]) -> None:
    obj["metadata"]["annotations"] = annotations


def _read(since: str | None, now: datetime) -> datetime:
    """Return a time as it was written; what is none, or lies ahead, counts from now."""
    try:
        return min(datetime.fromisoformat(since), now) if since else now
    except (ValueError, TypeError):
        return now
