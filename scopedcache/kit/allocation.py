"""Things of a pool, given to one at a time, written down before anybody is told.

The record is a ConfigMap: who has what. It is written only as it was read, so of two writers one is refused; and who
was told something finds it there after a crash.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from ..api import Client
from ..kinds import GVK, ObjectKey
from ..objects import Object
from .create_or_update import Read
from .new_object import new_object

CONFIG_MAP: Final = GVK("", "v1", "ConfigMap")


def claims_of(record: Object | None) -> dict[ObjectKey, str]:
    """Return who has what by a record; nobody has anything where there is none."""
    data: Mapping[str, str] = record.at("data", default={}) if record else {}
    return {_key(who): thing for who, thing in data.items()}


def assign(
    pool: Collection[str], claims: Mapping[ObjectKey, str], wanted: Collection[ObjectKey]
) -> dict[ObjectKey, str]:
    """Return who has what: a claim holds while its thing is in the pool; then first come, first served.

    Who gets nothing is not in the answer. No two have the same, whatever the claims say.
    """
    given: dict[ObjectKey, str] = {}
    for who in wanted:
        if (thing := claims.get(who)) in pool and thing not in given.values():
            given[who] = str(thing)
    taken = set(given.values())
    free = [thing for thing in dict.fromkeys(pool) if thing not in taken]
    return given | dict(zip((who for who in wanted if who not in given), free, strict=False))


async def allocate(
    client: Client,
    record: ObjectKey,
    pool: Collection[str] | None,
    wanted: Collection[ObjectKey],
    *,
    read: Read,
    keep: Callable[[ObjectKey], bool] = lambda who: False,
) -> dict[ObjectKey, str]:
    """Give things of a pool to the objects that want one; return who has what, as it is written down by then.

        given = await allocate(client, ObjectKey(home, "claims"), ["10.0.0.1"], [service.key], read=scope.get)

    Sends nothing where nothing changes. It takes `create` and `update` of ConfigMaps.

    Args:
        record: the ConfigMap that says so (`claims_of` reads it); made where there is none.
        pool: what there is; None where that is not known now: nobody loses or gets anything then.
        wanted: who wants one, the first ones first. Who does not want one any more loses it.
        read: looks the record up, e.g. `scope.get`.
        keep: tells who keeps what it has though it is not seen now.

    Raises:
        ConflictError, AlreadyExistsError: somebody else wrote meanwhile; reconcile again, and tell nobody before.
        APIError, CacheError: the record cannot be read or written.
    """
    found = read(CONFIG_MAP, record)
    claims = claims_of(found)
    unseen = [who for who in claims if who not in wanted and keep(who)]
    given = assign([*claims.values()] if pool is None else pool, claims, [*unseen, *wanted])
    if given != claims:
        draft = found or new_object(CONFIG_MAP, record.name, record.namespace)
        draft["data"] = {_text(who): thing for who, thing in given.items()}
        await (client.update(draft) if found else client.create(draft))
    return given


def _text(who: ObjectKey) -> str:
    """Return a key as a ConfigMap takes it: no namespace has a dot in its name."""
    return f"{who.namespace}.{who.name}"


def _key(text: str) -> ObjectKey:
    namespace, _, name = text.partition(".")
    return ObjectKey(namespace, name)
