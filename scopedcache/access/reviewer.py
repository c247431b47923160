"""Ask the server about the permissions of one place with as few requests as it takes."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress

import attrs

from ..api.client import Client
from ..api.permission import Permission
from ..errors import ForbiddenError, ScopedCacheError
from ..kinds import GVR
from .rule_matching import allows


@attrs.frozen
class Answers:
    """What the reviews of one place said, what stayed unanswered, and how many requests it took.

    `complete`: the rules were all there is to know; no authoriser stands behind them that shows no rules.
    """

    allowed: Mapping[Permission, bool]
    unanswered: tuple[Permission, ...]
    requests: int
    complete: bool


class Reviewer:
    """One rules review per place; access reviews only for what an incomplete answer leaves open."""

    def __init__(self, client: Client) -> None:
        self._client = client
        # Rules carry no origin: the rules of a namespace nobody uses are the cluster-wide ones alone (semantics 2.1).
        self._unused = f"scopedcache-{secrets.token_hex(8)}"

    async def review(
        self, place: str | None, permissions: Iterable[Permission], doubted: Collection[Permission] = ()
    ) -> Answers:
        """Return the answers about permissions of a place (None: the whole cluster).

        `doubted` are those that were refused lately: where the rules are incomplete another authoriser may refuse what
        they allow, so that their presence is no proof for these.

        Raises:
            ForbiddenError: reviews are refused to us.
            ScopedCacheError: nobody answered, or not readably.
        """
        rules = await self._client.review_rules(place or self._unused)
        by_rules = {permission: allows(rules, permission) for permission in permissions}
        left = [p for p, allowed in by_rules.items() if allowed is None or (rules.incomplete and p in doubted)]
        answers = {p: allowed for p, allowed in by_rules.items() if allowed is not None and p not in left}
        requests = 1
        for permission in left:
            requests += 1
            try:
                answers[permission] = await self._client.review_access(permission)
            except ForbiddenError:
                raise
            except ScopedCacheError:  # what is known already is not lost with it
                break
        return Answers(
            answers,
            tuple(permission for permission in left if permission not in answers),
            requests,
            not rules.incomplete,
        )

    async def attempt(self, permission: Permission) -> None:
        """Try a list of at most one object, or a watch that is closed once it is accepted.

        Who listens to the client hears how it ended; nothing is raised.
        """
        kind = GVR(permission.group, "", permission.resource)
        fields = f"metadata.name={permission.name}" if permission.name else None
        with suppress(ScopedCacheError):
            if permission.verb == "watch":
                async with self._client.open_watch(
                    kind, namespace=permission.namespace, fields=fields, timeout=1.0, metadata_only=True
                ):
                    return
            async for _ in self._client.pages(kind, namespace=permission.namespace, fields=fields, page=1):
                return
