"""Whether an API server leaves out of lists and watches what lies outside a shard (KEP-5866), and takes ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..errors import ScopedCacheError, ServerError
from ..hash_ranges import MALFORMED_SELECTOR
from ..kinds import Kind

if TYPE_CHECKING:
    from .client import Client

# What the server answers to a selector that it tries to read, and cannot.
_UNREADABLE: Final = 500
# Its Status has no reason, so only the words tell it from any other trouble of the server.
_REFUSAL: Final = "invalid shard selector"


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


def refuses_selector(error: ScopedCacheError) -> bool:
    """Tell whether an answer says that the shard selector which it was asked with is none."""
    return isinstance(error, ServerError) and error.status == _UNREADABLE and error.message.startswith(_REFUSAL)
