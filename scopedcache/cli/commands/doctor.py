"""`scopedcache doctor`: what the cache will find between here and the server, and what it will fall back to."""

from __future__ import annotations

import asyncio
import os
import platform
import resource
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal

from ...access.rule_matching import allows
from ...api.client import Client
from ...api.identity.in_cluster import is_in_cluster
from ...api.identity.redaction import without_password
from ...api.permission import Permission
from ...api.shard_support import filters_shards
from ...cache.rbac_watch import RBAC_RESOURCES
from ...clock import loop_time, wall_time
from ...errors import APIError, CacheError, ForbiddenError, ScopedCacheError, TransportError
from ...kinds import GVK, GVR, Resource
from .. import diagnosis, options
from ..asking import finish
from ..connection import Login
from ..diagnosis import Facts
from ..options import listed
from ..permissions import CACHE_VERBS, Subject
from ..printing import Output
from ..report import Report
from ..reviews import review_places, whoami

STREAMING_SECONDS: Final = 5.0
_INITIAL_EVENTS_END: Final = b"k8s.io/initial-events-end"
_NAMESPACES: Final = Resource(GVR("", "v1", "namespaces"), GVK("", "v1", "Namespace"), namespaced=False)
# Kinds that every cluster has; the first that may be listed and watched is tried.
_TRIED: Final = (
    _NAMESPACES,
    *(
        Resource(GVR("", "v1", plural), GVK("", "v1", kind), namespaced=True)
        for plural, kind in (("configmaps", "ConfigMap"), ("pods", "Pod"), ("services", "Service"))
    ),
)


def doctor(
    user: options.As = None,
    group: options.AsGroup = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    output: options.Format = Output.TABLE,
) -> None:
    """Look at the way to the server, and say what the cache will use there and what it will fall back to.

    Exit status 4: something is in the way of a healthy operator.
    """
    finish(_doctor(Login(kubeconfig, context, user, listed(group))), output)


async def _doctor(login: Login) -> Report:
    async with login.client() as client:
        facts = await _gather(client, login)
    return diagnosis.report(diagnosis.checks(facts))


async def _gather(client: Client, login: Login) -> Facts:
    began = loop_time()
    server_version = await _version(client)
    seconds = loop_time() - began
    who = await whoami(client)
    date, local = await _date(client)
    namespace = client.namespace or "default"
    rules = await _rules(client, namespace)
    watched = [Subject(kind).permission(verb, None) for kind in RBAC_RESOURCES for verb in CACHE_VERBS]
    namespaces = [Subject(_NAMESPACES).permission(verb, None) for verb in CACHE_VERBS]
    answers = await review_places(client, [*watched, *namespaces]) if rules else {}
    streaming, tried = await _streaming(client, namespace)
    return Facts(
        origin=_origin(login),
        host=without_password(login.host()),
        namespace=client.namespace,
        version=server_version,
        seconds=seconds,
        user=who.name if who else None,
        date=date,
        local=local,
        rules=rules,
        watches_rbac=all(answers.get(permission) for permission in watched),
        lists_namespaces=all(answers.get(permission) for permission in namespaces),
        streaming=streaming,
        streaming_tried=tried,
        filters_shards=await _filters_shards(client, namespace),
        files=_file_limit(),
        python=platform.python_version(),
        library=version("scopedcache"),
    )


async def _version(client: Client) -> str:
    try:
        return await client.version()
    except ForbiddenError:
        return "of a version that it does not tell us"


async def _date(client: Client) -> tuple[datetime | None, datetime]:
    answer = await client.transport.request("GET", "/version")
    headers = {name.lower(): value for name, value in answer.headers.items()}
    with suppress(ValueError):
        return parsedate_to_datetime(headers.get("date", "")), wall_time()
    return None, wall_time()


async def _rules(client: Client, namespace: str) -> Literal["complete", "incomplete"] | None:
    try:
        rules = await client.review_rules(namespace)
    except ForbiddenError:
        return None
    probe = Permission("scopedcache-doctor", "", "nothing", namespace)
    return "incomplete" if rules.incomplete and allows(rules, probe) is None else "complete"


async def _streaming(client: Client, namespace: str) -> tuple[bool | None, str]:
    """Try a streaming list of the first kind that may be listed and watched."""
    for kind in _TRIED:
        subject, place = Subject(kind), namespace if kind.namespaced else None
        with suppress(ScopedCacheError):
            answers = await review_places(client, [subject.permission(verb, place) for verb in CACHE_VERBS])
            if len(answers) == len(CACHE_VERBS) and all(answers.values()):
                return await _try_streaming(client, kind, place), f"tried with {subject}"
    return None, ""


async def _filters_shards(client: Client, namespace: str) -> bool | None:
    for kind in _TRIED:
        with suppress(APIError, CacheError):
            return await filters_shards(client, kind, namespace=namespace if kind.namespaced else None)
    return None


async def _try_streaming(client: Client, kind: Resource, place: str | None) -> bool:
    seen = b""
    try:
        async with asyncio.timeout(STREAMING_SECONDS):
            opened = client.open_watch(kind, namespace=place, initial_events=True, timeout=STREAMING_SECONDS)
            async with opened as stream:
                async for chunk in stream.chunks():
                    seen = seen[-len(_INITIAL_EVENTS_END) :] + chunk
                    if _INITIAL_EVENTS_END in seen:
                        return True
    except TransportError:
        raise
    except (ScopedCacheError, TimeoutError):
        return False
    return False


def _origin(login: Login) -> str:
    if login.kubeconfig:
        return f"kubeconfig {login.kubeconfig}"
    if path := os.environ.get("KUBECONFIG"):
        return f"kubeconfig {path} (KUBECONFIG)"
    if not login.context and is_in_cluster(os.environ):
        return "the account of this Pod"
    return f"kubeconfig {Path.home() / '.kube' / 'config'}"


def _file_limit() -> int | None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if hard == resource.RLIM_INFINITY else hard
