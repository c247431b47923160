"""Ask the server about the permissions of one place with as few requests as it takes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import TypeVar

import attrs

from ..api.client import Client
from ..api.permission import Permission
from ..api.ready_answer import ReadyAnswer
from ..errors import ForbiddenError, ScopedCacheError, TransportError
from ..kinds import GVR
from .review_timeout import ReviewTimeout
from .rule_matching import allows

T = TypeVar("T")


@attrs.frozen
class Answers:
    """What the reviews of one place said, what stayed unanswered, and how many requests it took.

    `complete`: the rules were all there is to know; no authoriser stands behind them that shows no rules.
    `ready`: what the same server said of itself then; None where it was not asked.
    """

    allowed: Mapping[Permission, bool]
    unanswered: tuple[Permission, ...]
    requests: int
    complete: bool
    ready: ReadyAnswer | None = None


class Reviewer:
    """One rules review per place; access reviews only for what an incomplete answer leaves open.

    Reviews share one connection, so they are sent one after the other, each with a time-out of its own; `/readyz` is
    asked before anybody else uses that connection again.
    """

    def __init__(self, client: Client, timeout: ReviewTimeout, *, timer: Callable[[], float]) -> None:
        self._client = client
        self._timeout = timeout
        self._timer = timer
        # Held across requests, on purpose: what waits for the connection must not use up its time-out meanwhile, and a
        # `/readyz` that comes after somebody else's review is not the next one.
        self._lane = asyncio.Lock()
        # Rules carry no origin: the rules of a namespace nobody uses are the cluster-wide ones alone (semantics 2.1).
        self._unused = f"scopedcache-{secrets.token_hex(8)}"

    async def review(
        self,
        place: str | None,
        permissions: Iterable[Permission],
        doubted: Collection[Permission] = (),
        *,
        ask_ready: Callable[[Answers], bool] = lambda answers: False,
    ) -> Answers:
        """Return the answers about permissions of a place (None: the whole cluster).

        `doubted` are those that were refused lately: where the rules are incomplete another authoriser may refuse what
        they allow, so that their presence is no proof for these. `ask_ready` tells of answers whether the server must
        say as well that it is ready.

        Raises:
            ForbiddenError: reviews are refused to us.
            ScopedCacheError: nobody answered, or not readably.
        """
        async with self._lane:
            answers = await self._review(place, permissions, doubted)
            return attrs.evolve(answers, ready=await self._ask_ready()) if ask_ready(answers) else answers

    async def ready(self) -> ReadyAnswer:
        """Ask the server that answers our reviews whether it is ready."""
        async with self._lane:
            return await self._ask_ready()

    async def _ask_ready(self) -> ReadyAnswer:
        return await self._client.ready(timeout=self._timeout.seconds)

    async def _review(
        self, place: str | None, permissions: Iterable[Permission], doubted: Collection[Permission]
    ) -> Answers:
        rules = await self._timed(lambda seconds: self._client.review_rules(place or self._unused, timeout=seconds))
        by_rules = {permission: allows(rules, permission) for permission in permissions}
        left = [p for p, allowed in by_rules.items() if allowed is None or (rules.incomplete and p in doubted)]
        answers = {p: allowed for p, allowed in by_rules.items() if allowed is not None and p not in left}
        requests = 1
        for permission in left:
            requests += 1
            try:
                answers[permission] = await self._timed(partial(self._access, permission))
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

    async def _access(self, permission: Permission, seconds: float) -> bool:
        return await self._client.review_access(permission, timeout=seconds)

    async def _timed(self, send: Callable[[float], Awaitable[T]]) -> T:
        """Send a review with the time-out that it is to have, and let that hear how long it took."""
        sent_at = self._timer()
        try:
            answer = await send(self._timeout.seconds)
        except TransportError as error:
            if isinstance(error.__cause__, TimeoutError):
                self._timeout.expired()
            raise
        self._timeout.answered(self._timer() - sent_at)
        return answer

    async def attempt(self, permission: Permission) -> None:
        """Try a list of at most one object, a watch that is closed once it is accepted, or a get.

        Who listens to the client hears how it ended; nothing is raised.
        """
        kind = GVR(permission.group, "", permission.resource)
        fields = f"metadata.name={permission.name}" if permission.name else None
        with suppress(ScopedCacheError):
            if permission.verb == "get":
                await self._client.get(kind, permission.name or "", namespace=permission.namespace)
                return
            if permission.verb == "watch":
                async with self._client.open_watch(
                    kind, namespace=permission.namespace, fields=fields, timeout=1.0, metadata_only=True
                ):
                    return
            async for _ in self._client.pages(kind, namespace=permission.namespace, fields=fields, page=1):
                return
