"""Whether an API server leaves out of lists and watches what lies outside a shard (KEP-5866)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..errors import ServerError
from ..hash_ranges import MALFORMED_SELECTOR
from ..kinds import Kind

if TYPE_CHECKING:
    from .client import Client

# What the server answers to a selector that it tries to read, and cannot.
_UNREADABLE: Final = 500


async def filters_shards(client: Client, kind: Kind, *, namespace: str | None = None) -> bool:
    """Ask for one object by a malformed shard selector: who knows shards refuses it, who does not takes no notice.

    Nothing else tells the two apart for every kind. It says something of the API server that answered alone.

    Raises:
        APIError, CacheError, TransportError: the kind may not be listed, or it was not answered.
    """
    try:
        async for _ in client.pages(kind, namespace=namespace, page=1, shard=MALFORMED_SELECTOR):
            break
    except ServerError as error:
        if error.status == _UNREADABLE:
            return True
        raise
    return False
