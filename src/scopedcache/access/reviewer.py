"""Ask the server about the rights of one place with as few requests as it takes."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress

import attrs

from ..api.client import Client
from ..api.reviews import Right
from ..errors import ScopedCacheError
from ..objects import GVR
from .rules import allows


@attrs.frozen
class Answers:
    """What the reviews of one place said, and how many it took."""

    allowed: Mapping[Right, bool]
    requests: int


class Reviewer:
    """One rules review per place; access reviews only for what an incomplete answer leaves open."""

    def __init__(self, client: Client) -> None:
        self._client = client
        # Rules carry no origin: the rules of a namespace nobody uses are the cluster-wide ones alone (semantics 2.1).
        self._unused = f"scopedcache-{secrets.token_hex(8)}"

    async def review(self, place: str | None, rights: Iterable[Right]) -> Answers:
        """Return an answer for every right of a place (None: the whole cluster).

        Raises:
            ForbiddenError: reviews are refused to us.
            ScopedCacheError: nobody answered, or not readably.
        """
        rules = await self._client.review_rules(place or self._unused)
        requests = 1
        allowed: dict[Right, bool] = {}
        for right in rights:
            found = allows(rules, right)
            if found is None:
                found = await self._client.review_access(right)
                requests += 1
            allowed[right] = found
        return Answers(allowed, requests)

    async def attempt(self, right: Right) -> None:
        """Try a list of at most one object, or a watch that is closed once it is accepted.

        Who listens to the client hears how it ended; nothing is raised.
        """
        kind = GVR(right.group, "", right.resource)
        fields = f"metadata.name={right.name}" if right.name else None
        with suppress(ScopedCacheError):
            if right.verb == "watch":
                async with self._client.open_watch(
                    kind, namespace=right.namespace, fields=fields, timeout=1.0, metadata_only=True
                ):
                    return
            async for _ in self._client.pages(kind, namespace=right.namespace, fields=fields, page=1):
                return
