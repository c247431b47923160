"""`scopedcache rights`: the matrix of verbs, what is missing, and what gives each right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from ...api.client import Client
from ...api.permission import Permission
from ...errors import ScopedCacheError
from .. import options, rights_matrix
from ..asking import finish
from ..connection import Login
from ..exit_status import CommandError
from ..options import listed
from ..permissions import CACHE_VERBS, VERBS
from ..printing import Output
from ..report import Report
from ..reviews import each, explain, namespaces, resolve_subjects, review_places, whoami
from ..rights_matrix import Row

# What gives a right takes a request for each; beyond this a person would not read it anyway.
EXPLAINED_AT_MOST: Final = 300

Kinds = Annotated[list[str], typer.Argument(metavar="KIND...", help="pods, deployments.apps, deployments.apps/scale …")]
Verbs = Annotated[
    list[str] | None,
    typer.Option("--verbs", metavar="VERB,…", help="Only these; each that is missing then counts for the exit status."),
]
Explain = Annotated[bool, typer.Option("--bindings/--no-bindings", help="Ask which binding gives each right.")]


def rights(
    kinds: Kinds,
    namespace: options.Namespaces = None,
    all_namespaces: options.AllNamespaces = False,
    verbs: Verbs = None,
    bindings: Explain = True,
    user: options.As = None,
    group: options.AsGroup = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    output: options.Format = Output.TABLE,
) -> None:
    """Show who may do what, where: verbs by kind and namespace, what is missing, and what gives each right.

    Exit status 4: list or watch is missing somewhere (or one of --verbs).
    """
    login = Login(kubeconfig, context, user, listed(group))
    finish(_rights(login, listed(kinds), listed(namespace), all_namespaces, listed(verbs), bindings), output)


async def _rights(
    login: Login, kinds: list[str], named: list[str], everywhere: bool, verbs: list[str], bindings: bool
) -> Report:
    if named and everywhere:
        raise CommandError("-n names namespaces and -A means all of them: give one of the two")
    notes: list[str] = []
    async with login.client() as client:
        subjects = await resolve_subjects(client, kinds)
        who = await whoami(client)
        places: list[str | None] = [*named] or [client.namespace or "default"]
        if everywhere:
            places = [None, *await _all_places(login, notes)]
        rows = rights_matrix.rows_of(subjects, places, verbs or VERBS)
        answers = await review_places(client, [cell.permission for row in rows for cell in row.cells.values()])
        given = await _givers(client, answers, notes) if bindings else {}
        rows = rights_matrix.filled(rows, answers, given)
        name = who.name if who else login.user or "you"
        return rights_matrix.report(name, _shown(rows) if everywhere else rows, verbs or CACHE_VERBS, notes)


async def _all_places(login: Login, notes: list[str]) -> list[str]:
    """Return all namespaces, as who runs the command sees them: whom they ask about may not list any."""
    async with login.client(acting=False) as client:
        found = await namespaces(client)
    if found is None:
        notes.append("you may not list namespaces: only rights in the whole cluster are shown; name others with -n")
    return found or []


async def _givers(client: Client, answers: dict[Permission, bool], notes: list[str]) -> dict[Permission, str]:
    allowed = [permission for permission, yes in answers.items() if yes]
    if len(allowed) > EXPLAINED_AT_MOST:
        notes.append(f"what gives {len(allowed)} rights was not asked: name fewer kinds or namespaces to see it")
        return {}
    try:
        reviews = await each(allowed, lambda permission: explain(client, permission))
    except ScopedCacheError as error:
        notes.append(f"what gives each right could not be asked: {error}")
        return {}
    return dict(zip(allowed, (rights_matrix.given_by(review.reason) for review in reviews), strict=True))


def _shown(rows: Sequence[Row]) -> list[Row]:
    """Leave out namespaces in which a kind may be used exactly as everywhere: the row of the cluster says so."""
    wide = {row.subject: [cell.allowed for cell in row.cells.values()] for row in rows if row.place is None}
    return [
        row
        for row in rows
        if row.place is None or [cell.allowed for cell in row.cells.values()] != wide.get(row.subject)
    ]
