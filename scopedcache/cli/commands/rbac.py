"""`scopedcache rbac`: the least rights of an operator, and how those that it has differ."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final

import attrs
import typer

from ...api.client import Client
from ...errors import UnknownKindError
from ...kinds import Resource
from ...testing import EmbeddedCluster
from .. import least_rights, options, rights_lint
from ..asking import finish, show_report, wait
from ..connection import Login
from ..exit_status import ExitStatus
from ..least_rights import Account, Right, Scope
from ..operator_sources import load_manifests, load_sources, read_manifests
from ..options import listed
from ..printing import Output, manifests_text
from ..rbac_objects import RBAC
from ..recorded_run import DEFINITION, Recording, record
from ..report import Report
from ..reviews import whoami
from ..source_declarations import Declared, Place, read_declarations

rbac: Final = typer.Typer(no_args_is_help=True, help="The least rights of an operator; what is missing, and idle.")

Module = Annotated[str, typer.Argument(metavar="MODULE", help="The operator: a package or a module that imports.")]
Arguments = Annotated[
    list[str] | None, typer.Argument(metavar="[-- ARGUMENT...]", help="What a recorded run is started with.")
]
Record = Annotated[bool, typer.Option("--record", help="Run it against an embedded cluster, and see what it asks for.")]
Files = Annotated[
    list[str] | None,
    typer.Option("-f", "--filename", metavar="PATH", help="CRDs and custom resources; by default those beside MODULE."),
]
Namespaces = Annotated[
    list[str] | None, typer.Option("--namespaces", metavar="NS,…", help="Where to let it work: a RoleBinding in each.")
]
Name = Annotated[str | None, typer.Option("--name", help="What Roles and bindings are called; as MODULE by default.")]
AccountOption = Annotated[
    str | None, typer.Option("--account", metavar="NAMESPACE:NAME", help="The ServiceAccount it runs as.")
]
Compare = Annotated[
    str | None, typer.Option("--compare", metavar="PATH", help="Show how these manifests differ instead.")
]
RightsFile = Annotated[
    list[str] | None,
    typer.Option("-f", "--filename", metavar="PATH", help="RBAC manifests that say what is declared, besides MODULE."),
]


@attrs.frozen
class _Needed:
    """What an operator needs, and what could not be seen of that."""

    rights: set[Right]
    declared: set[Right]
    used: set[Right]
    unseen: list[str]
    recording: Recording | None


@rbac.command()
def generate(
    module: Module,
    arguments: Arguments = None,
    record_run: Record = False,
    filename: Files = None,
    namespaces: Namespaces = None,
    name: Name = None,
    account: AccountOption = None,
    compare: Compare = None,
    output: options.Format = Output.TABLE,
) -> None:
    """Print the least Roles and bindings of an operator: what its source declares, and what a recorded run asked for.

    Needs are made at run time, so that the source alone does not say all: what it could not see is listed.

    Exit status 4: with --compare, the manifests differ.
    """
    name = name or module.rpartition(".")[2].replace("_", "-")
    owner = _account(account, name)

    async def work() -> Report:
        manifests = [document for file in filename or () for document in read_manifests(file)]
        manifests = manifests or load_manifests(module)
        needed = await _needed(module, manifests, owner, arguments or [] if record_run else None)
        if compare is not None:
            return _comparison(needed, read_manifests(compare), compare)
        return _generated(needed, name, owner, listed(namespaces))

    show_report(wait(work()), output)


@rbac.command()
def lint(
    module: Module,
    filename: RightsFile = None,
    namespace: options.Namespaces = None,
    user: options.As = None,
    group: options.AsGroup = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    output: options.Format = Output.TABLE,
) -> None:
    """Compare what an operator declares with what its account may do: what is missing, and what nobody needs.

    Exit status 4: something is missing, or idle.
    """
    finish(_lint(Login(kubeconfig, context, user, listed(group)), module, filename or [], listed(namespace)), output)


async def _lint(login: Login, module: str, files: Sequence[str], namespaces: Sequence[str]) -> Report:
    found = read_declarations(load_sources(module))
    documents = [document for file in files for document in read_manifests(file)]
    async with login.client() as client:
        certain, undecided, unseen = await _resolved(client, found.declared)
        rights = least_rights.joined(certain | undecided, least_rights.rights_of_manifests(documents))
        places = list(namespaces) or [client.namespace or "default"]
        wanted = {place for right in rights for place in rights_lint.places_of(right, places)} | {"", *places}
        # Rules carry no origin: those of a namespace that nobody uses are the cluster-wide ones alone.
        unused = f"scopedcache-{secrets.token_hex(8)}"
        live = {place: await client.review_rules(place or unused) for place in sorted(wanted)}
        who = await whoami(client)
    notes = []
    if any(rules.incomplete for rules in live.values()):
        notes.append("another authoriser stands behind RBAC: what it allows besides is not seen here")
    findings = rights_lint.missing(rights, live, places) + rights_lint.idle(rights, live, places)
    return rights_lint.report(who.name if who else "you", findings, [*found.unseen, *unseen], notes)


async def _needed(
    module: str, manifests: Sequence[dict[str, Any]], account: Account, arguments: Sequence[str] | None
) -> _Needed:
    found = read_declarations(load_sources(module))
    with EmbeddedCluster.start() as cluster:
        for definition in (one for one in manifests if one.get("kind") == DEFINITION):
            cluster.apply(definition)
        async with cluster.client() as client:
            certain, undecided, unseen = await _resolved(client, found.declared)
    recording = None
    used: set[Right] = set()
    if arguments is not None:
        recording = await asyncio.to_thread(record, module, arguments, manifests, account)
        used = least_rights.rights_of_uses(recording.uses, account.namespace)
    declared = certain | least_rights.settled(undecided, used)
    return _Needed(least_rights.joined(declared, used), declared, used, [*found.unseen, *unseen], recording)


async def _resolved(client: Client, declared: Iterable[Declared]) -> tuple[set[Right], set[Right], list[str]]:
    """Return the rights that are declared, those whose place is not decided, and what is not known of the kinds."""
    certain: set[Right] = set()
    undecided: set[Right] = set()
    unseen: list[str] = []
    for one in declared:
        try:
            resource = await client.discovery.resolve(one.kind)
        except UnknownKindError:
            unseen.append(f"{one.kind}: no CRD of it is here; give it with -f")
            continue
        if one.subresource == "status" and "status" not in resource.subresources:
            certain |= _events(resource)
            continue
        plural = f"{resource.gvr.resource}/{one.subresource}" if one.subresource else resource.gvr.resource
        scope = _SCOPES[one.place] if resource.namespaced else "cluster"
        right = Right(scope, resource.gvr.group, plural, one.verb, one.name or "", one.namespace or "")
        (undecided if one.place == "somewhere" and resource.namespaced else certain).add(right)
    return certain, undecided, list(dict.fromkeys(unseen))


_SCOPES: Final[dict[Place, Scope]] = {
    "cluster": "cluster",
    "namespace": "namespaces",
    "home": "home",
    "somewhere": "namespaces",
}


def _events(resource: Resource) -> set[Right]:
    """Return the rights to report about an object that has no status; cluster-scoped ones are told of in `default`."""
    scope: Scope = "namespaces" if resource.namespaced else "home"
    place = "" if resource.namespaced else "default"
    return {Right(scope, "events.k8s.io", "events", verb, "", place) for verb in ("create", "patch")}


def _generated(needed: _Needed, name: str, account: Account, namespaces: Sequence[str]) -> Report:
    places = list(namespaces) or (list(needed.recording.namespaces) if needed.recording else [])
    manifests = least_rights.manifests(needed.rights, name, account, places)
    text = manifests_text(manifests)
    data = {"apiVersion": "v1", "kind": "List", "items": manifests}
    return Report(data, [text.rstrip()], _notes(needed), yaml=text)


def _notes(needed: _Needed) -> list[str]:
    notes = [f"not seen: {line}" for line in needed.unseen]
    recording = needed.recording
    if recording is None:
        notes.append(
            "only the source was read; --record runs it against an embedded cluster, and sees what it asks for"
        )
        return notes
    notes.append(f"recorded run: {', '.join(recording.steps)}")
    if recording.watches_rbac:
        notes.append("it would watch RBAC objects, where it may: a change of rights is then noticed at once (optional)")
    if recording.blocking_owners:
        owners = ", ".join(f"{owner}/finalizers" for owner in recording.blocking_owners)
        notes.append(f"where owner references are guarded (OpenShift does that), it needs to update {owners} too")
    if any(use.group == RBAC and use.verb in ("create", "update", "patch") for use in recording.uses):
        notes.append(
            "it writes RBAC objects: the server lets it give only rights that it has itself, or roles that it may bind"
        )
    _, idle = least_rights.differing(needed.used, needed.declared)
    for _, _, kind, verbs in least_rights.grouped(idle):
        notes.append(f"declared, and not used in the recorded run: {', '.join(verbs)} {kind}")
    return notes


def _comparison(needed: _Needed, documents: Sequence[Mapping[str, Any]], path: str) -> Report:
    lacking, idle = least_rights.differing(needed.rights, least_rights.rights_of_manifests(documents))
    rows = [
        (words, scope, kind, ", ".join(verbs))
        for words, rights in (("missing", lacking), ("idle", idle))
        for scope, _, kind, verbs in least_rights.grouped(rights)
    ]
    data = [{"state": state, "where": scope, "kind": kind, "verbs": verbs} for state, scope, kind, verbs in rows]
    lines = [f"{state}: {verbs} {kind} ({_WHERE[scope]})" for state, scope, kind, verbs in rows]
    text = "\n".join(lines) or f"{path} gives what is needed, and nothing besides"
    status = ExitStatus.FOUND if rows else ExitStatus.DONE
    return Report({"differences": data}, [text], _notes(needed), status)


_WHERE: Final = {"cluster": "in the whole cluster", "namespaces": "where it works", "home": "in a namespace of its own"}


def _account(text: str | None, name: str) -> Account:
    if text is None:
        return Account(f"{name}-system", name)
    namespace, colon, account = text.partition(":")
    if not colon or not namespace or not account:
        raise typer.BadParameter("it is NAMESPACE:NAME", param_hint="--account")
    return Account(namespace, account)
