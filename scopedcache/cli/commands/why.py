"""`scopedcache why`: what is denied in a namespace, since when, and what would grant it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from ...api.client import Client
from ...errors import ForbiddenError
from ...kinds import GVK
from .. import options
from ..asking import finish
from ..connection import Login
from ..exit_status import CommandError, ExitStatus
from ..grant_advice import RBAC, Grantee, commands
from ..health_port import fetch_once
from ..operator_page import MissingRight
from ..options import listed
from ..permissions import CACHE_VERBS
from ..printing import Output
from ..report import Report, Table
from ..reviews import resolve_subjects, review_places, whoami

Namespace = Annotated[str, typer.Argument(metavar="NAMESPACE", help="Where something does not happen.")]
Kinds = Annotated[list[str] | None, typer.Argument(metavar="[KIND]...", help="What is to be seen there.")]
Verbs = Annotated[
    list[str] | None, typer.Option("--verbs", metavar="VERB,…", help="What is to be done; list and watch by default.")
]


def why(
    namespace: Namespace,
    kinds: Kinds = None,
    verbs: Verbs = None,
    address: options.Address = None,
    user: options.As = None,
    group: options.AsGroup = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    output: options.Format = Output.TABLE,
) -> None:
    """Say which rights are missing in a namespace, since when, and what would grant them, as commands to paste.

    With --address it asks a running operator what it lacks and since when; with KIND it asks the server.

    Exit status 4: something is missing.
    """
    login = Login(kubeconfig, context, user, listed(group))
    finish(_why(login, namespace, listed(kinds), listed(verbs), address), output)


async def _why(login: Login, namespace: str, kinds: Sequence[str], verbs: Sequence[str], address: str | None) -> Report:
    if not kinds and address is None:
        raise CommandError(
            "name a KIND to ask the server about, or the health port of the operator with --address, "
            "which knows what it lacks and since when"
        )
    notes: list[str] = []
    missing = (await fetch_once(address)).missing(namespace) if address is not None else []
    async with login.client() as client:
        if kinds:
            missing = await _reviewed(client, namespace, kinds, verbs, missing)
        elif verbs:
            missing = [right for right in missing if right.permission.verb in verbs]
        who = await whoami(client)
        name = login.user or (who.name if who else "")
    if address is not None and login.user is None and missing:
        notes.append(f"the commands grant to {name}: name the operator's account with --as, if that is another one")
    async with login.client(acting=False) as client:
        roles = await _cluster_roles(client) if missing else []
    advice = commands((right.permission for right in missing), Grantee(name or "NAME"), roles)
    return _report(namespace, name, missing, advice, notes)


async def _reviewed(
    client: Client, namespace: str, kinds: Sequence[str], verbs: Sequence[str], told: Sequence[MissingRight]
) -> list[MissingRight]:
    """Ask the server about kinds; what an operator told says since when."""
    subjects = await resolve_subjects(client, kinds)
    wanted = [subject.permission(verb, namespace) for subject in subjects for verb in verbs or CACHE_VERBS]
    answers = await review_places(client, wanted)
    if open_questions := [str(permission) for permission in wanted if permission not in answers]:
        raise CommandError(f"the server did not say who may {', '.join(open_questions)}", ExitStatus.UNANSWERED)
    since = {right.permission: right.since for right in told}
    return [MissingRight(permission, since.get(permission)) for permission in wanted if not answers[permission]]


async def _cluster_roles(client: Client) -> list[Mapping[str, Any]]:
    try:
        return [role.to_dict() for role in await client.list(GVK(RBAC, "v1", "ClusterRole"))]
    except ForbiddenError:
        return []


def _report(
    namespace: str, who: str, missing: Sequence[MissingRight], advice: Sequence[str], notes: Sequence[str]
) -> Report:
    data = {
        "namespace": namespace,
        "user": who,
        "missing": [
            {
                "verb": right.permission.verb,
                "kind": right.permission.subject,
                "namespace": right.permission.namespace,
                "since": right.since,
            }
            for right in missing
        ],
        "commands": list(advice),
    }
    if not missing:
        return Report(data, [f"nothing is missing in namespace {namespace}"], notes)
    rows: dict[tuple[str, str | None, str | None], list[str]] = {}
    for right in missing:
        key = (right.permission.subject, right.permission.namespace, right.since)
        rows.setdefault(key, []).append(right.permission.verb)
    table = Table(
        ("kind", "namespace", "missing verbs", "denied since"),
        [
            (kind, place or "(cluster)", ", ".join(verbs), since or "not known")
            for (kind, place, since), verbs in rows.items()
        ],
    )
    return Report(data, [table, "To grant it:\n\n" + "\n".join(advice)], notes, ExitStatus.FOUND)
