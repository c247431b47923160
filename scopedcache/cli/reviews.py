"""Asks a server about rights: of who we are or act as, and, with the right to ask, of anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

import attrs

from ..access.review_timeout import ReviewTimeout
from ..access.reviewer import Reviewer
from ..api.client import Client
from ..api.permission import Permission
from ..clock import loop_time
from ..errors import ForbiddenError, NotFoundError, UnknownKindError
from ..kinds import GVK
from .permissions import Subject, split_subresource

T = TypeVar("T")
R = TypeVar("R")

# Reviews are cheap, and still requests: an API server gives one user some tens of seats.
REQUESTS_AT_ONCE: Final = 8
# No review is worth waiting longer for when a person sits there.
REVIEW_PERIOD_SECONDS: Final = 20.0
_AUTHORIZATION: Final = "authorization.k8s.io/v1"


@attrs.frozen
class User:
    """Who we are to the server."""

    name: str
    groups: tuple[str, ...] = ()


@attrs.frozen
class Review:
    """The answer about one right, with the server's words about it."""

    allowed: bool
    reason: str = ""


async def each(values: Iterable[T], ask: Callable[[T], Awaitable[R]]) -> list[R]:
    """Ask about each value, some at a time; return the answers in order. The first failure ends it."""
    gate = asyncio.Semaphore(REQUESTS_AT_ONCE)

    async def one(value: T) -> R:
        async with gate:
            return await ask(value)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(value)) for value in values]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


async def resolve_subjects(client: Client, kinds: Iterable[str]) -> list[Subject]:
    """Return what the kinds of a command line are; waits for discovery.

    Raises:
        UnknownKindError: one is not served.
    """
    subjects = []
    for text in kinds:
        kind, subresource = split_subresource(text)
        subjects.append(Subject(await client.discovery.resolve(kind), subresource))
    return subjects


async def review_places(client: Client, permissions: Iterable[Permission]) -> dict[Permission, bool]:
    """Return the answers about many rights: one request for each place, where its rules say all.

    Raises:
        ForbiddenError: reviews are refused.
    """
    by_place: dict[str | None, list[Permission]] = {}
    for permission in permissions:
        by_place.setdefault(permission.namespace, []).append(permission)
    answers: dict[Permission, bool] = {}
    reviewer = Reviewer(client, ReviewTimeout(REVIEW_PERIOD_SECONDS), timer=loop_time)
    for place, wanted in by_place.items():
        answers.update((await reviewer.review(place, wanted)).allowed)
    return answers


async def explain(client: Client, permission: Permission) -> Review:
    """Ask about one right, and what gives it."""
    spec = {"resourceAttributes": attributes(permission)}
    return await _review(client, "SelfSubjectAccessReview", spec)


async def review_of(client: Client, user: str, groups: Sequence[str], permission: dict[str, Any]) -> Review:
    """Ask whether somebody else has a right, which takes the right to ask.

    Args:
        permission: `resourceAttributes` or `nonResourceAttributes`, as a spec.
    """
    spec = {"user": user, "groups": list(groups), **permission}
    return await _review(client, "SubjectAccessReview", spec)


async def whoami(client: Client) -> User | None:
    """Return who we are to the server; None where it does not say (before 1.28), or not to us."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {}}
    try:
        answer = (await client.create(body)).to_dict()
    except (ForbiddenError, NotFoundError, UnknownKindError):
        return None
    info = answer.get("status", {}).get("userInfo", {})
    return User(info.get("username", ""), tuple(info.get("groups") or ()))


async def namespaces(client: Client) -> list[str] | None:
    """Return the names of all namespaces; None where we may not list them."""
    try:
        return sorted(namespace.name for namespace in await client.list(GVK("", "v1", "Namespace")))
    except ForbiddenError:
        return None


def attributes(permission: Permission) -> dict[str, str]:
    """Return a right as a review spells it."""
    fields = {
        "verb": permission.verb,
        "group": permission.group,
        "resource": permission.resource,
        "subresource": permission.subresource,
        "namespace": permission.namespace,
        "name": permission.name,
    }
    return {field: value for field, value in fields.items() if value}


async def _review(client: Client, kind: str, spec: dict[str, Any]) -> Review:
    answer = await client.create({"apiVersion": _AUTHORIZATION, "kind": kind, "metadata": {}, "spec": spec})
    status = answer.to_dict().get("status") or {}
    return Review(bool(status.get("allowed")) and not status.get("denied"), str(status.get("reason") or ""))
