"""`scopedcache what-if`: who would lose or gain which verb by a change of RBAC objects that is not applied."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml

from ...api.client import Client
from ...errors import ForbiddenError, ScopedCacheError
from ...kinds import GVK
from .. import options, rights_diff
from ..asking import finish
from ..connection import Login
from ..exit_status import CommandError, ExitStatus
from ..printing import Output
from ..rbac_authority import Asked, RBACAuthority
from ..rbac_objects import GVKS, RBACKey, RBACObjects, applied, by_key, changed_keys, read_change
from ..report import Report
from ..reviews import each, review_of
from ..rights_diff import Question, Subject

# Every answer is compared with the server's; beyond this a person would wait too long.
COMPARED_AT_MOST: Final = 3000
# The server's own caches of RBAC objects may be a moment behind what it stores.
AGAIN_SECONDS: Final = 1.0
SHOWN_CONTRADICTIONS: Final = 3
_DEFINITIONS: Final = GVK("apiextensions.k8s.io", "v1", "CustomResourceDefinition")

Files = Annotated[
    list[str] | None, typer.Option("-f", "--filename", metavar="FILE", help="RBAC objects to try; - is standard input.")
]
Deletions = Annotated[
    list[str] | None, typer.Option("--delete", metavar="KIND/NAME", help="An RBAC object to try without.")
]
Namespace = Annotated[
    str | None, typer.Option("-n", "--namespace", metavar="NS", help="Where objects belong that name no namespace.")
]


def what_if(
    filename: Files = None,
    delete: Deletions = None,
    namespace: Namespace = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    output: options.Format = Output.TABLE,
) -> None:
    """Say who would lose or gain which verb, where, and whose custom resources that is about. Nothing is applied.

    It reads all RBAC objects, and refuses where the server's own answers differ from what they say.

    Exit status 4: somebody would lose or gain a right. 5: it cannot be told.
    """
    finish(_what_if(Login(kubeconfig, context), filename or [], delete or [], namespace), output)


async def _what_if(login: Login, files: Sequence[str], deletions: Sequence[str], namespace: str | None) -> Report:
    documents = [document for file in files for document in read_documents(file)]
    async with login.client() as client:
        change = read_change(documents, deletions, namespace or client.namespace or "default")
        before = await _live(client)
        asked, authorities, after = _tried(before, applied(before, change))
        if wrong := await _compare(client, asked, authorities[0]):
            await asyncio.sleep(AGAIN_SECONDS)
            before = await _live(client)
            asked, authorities, after = _tried(before, applied(before, change))
            wrong = await _compare(client, asked, authorities[0])
        if wrong:
            raise CommandError(_words(wrong), ExitStatus.UNANSWERED)
        notes = [f"left out, for it gives no rights: {', '.join(change.ignored)}"] if change.ignored else []
        found = rights_diff.differences(asked, *authorities, {**before, **after})
        if any(difference.question.subject.kind == "User" for difference in found):
            notes.append("which groups a user is in is not known here: what these give is not counted")
        resources = await _custom_resources(client, found, authorities, notes)
        return rights_diff.report(found, lambda *place: resources.get(place, ()), changed_keys(before, after), notes)


def read_documents(file: str) -> list[Any]:
    """Return the documents of a YAML or JSON file.

    Raises:
        CommandError: it cannot be read.
    """
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        return list(yaml.safe_load_all(text))
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"cannot read {file}: {getattr(error, 'strerror', None) or error}") from None
    except yaml.YAMLError as error:
        raise CommandError(f"{file} is not YAML: {error}") from None


async def _live(client: Client) -> dict[RBACKey, Mapping[str, Any]]:
    try:
        lists = await each(GVKS, client.list)
    except ForbiddenError as error:
        words = f"it takes the right to read all RBAC objects: {error}"
        raise CommandError(words, ExitStatus.UNANSWERED) from None
    return by_key(
        {"kind": gvk.kind, **obj.to_dict()} for gvk, objects in zip(GVKS, lists, strict=True) for obj in objects
    )


def _tried(
    before: RBACObjects, after: RBACObjects
) -> tuple[list[Question], tuple[RBACAuthority, RBACAuthority], RBACObjects]:
    authorities = RBACAuthority(before, aggregate=False), RBACAuthority(after, aggregate=True)
    collected = authorities[1].objects()
    return rights_diff.questions(before, collected), authorities, collected


async def _compare(client: Client, asked: Sequence[Question], before: RBACAuthority) -> list[tuple[Question, bool]]:
    """Return where the server's own answers differ.

    Raises:
        CommandError: the server may not be asked, or not about so much.
    """
    if len(asked) > COMPARED_AT_MOST:
        words = f"the change touches {len(asked)} rights, more than can be compared with the server's answers"
        raise CommandError(f"{words} ({COMPARED_AT_MOST}): try a part of it", ExitStatus.UNANSWERED)

    async def ask(question: Question) -> bool:
        who = question.subject.somebody
        return (await review_of(client, who.user, who.groups, question.asked.spec(question.namespace))).allowed

    try:
        return rights_diff.contradictions(asked, before, await each(asked, ask))
    except ForbiddenError as error:
        words = f"what RBAC objects say cannot be compared with the server's own answers: {error}"
        raise CommandError(words, ExitStatus.UNANSWERED) from None


def _words(wrong: Sequence[tuple[Question, bool]]) -> str:
    shown = "; ".join(
        f"{question}? RBAC objects: {_yes(not answer)}, the server: {_yes(answer)}"
        for question, answer in wrong[:SHOWN_CONTRADICTIONS]
    )
    more = f" (and {len(wrong) - SHOWN_CONTRADICTIONS} more)" if len(wrong) > SHOWN_CONTRADICTIONS else ""
    return f"RBAC is not all that decides here, so nothing is told: {shown}{more}"


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"


async def _custom_resources(
    client: Client,
    found: Sequence[rights_diff.Difference],
    authorities: tuple[RBACAuthority, RBACAuthority],
    notes: list[str],
) -> dict[tuple[Subject, str], list[str]]:
    """Return the custom resources that each subject works on, where something changes for it."""
    places = sorted({(difference.question.subject, difference.question.namespace) for difference in found})
    if not places:
        return {}
    try:
        definitions = [definition.to_dict()["spec"] for definition in await client.list(_DEFINITIONS)]
    except ScopedCacheError as error:
        notes.append(f"which custom resources that is about is not known: {error}")
        return {}
    result: dict[tuple[Subject, str], list[str]] = {}
    unread: set[str] = set()
    for subject, namespace in places:
        for spec in definitions:
            if not _works_on(subject, spec, namespace, authorities):
                continue
            kind = GVK(spec["group"], "", spec["names"]["kind"])
            try:
                objects = await client.list(kind, namespace=namespace or None)
            except ScopedCacheError:
                unread.add(spec["names"]["plural"])
                continue
            result.setdefault((subject, namespace), []).extend(f"{kind.kind} {one.key}" for one in objects)
    if unread:
        notes.append(f"custom resources that could not be read: {', '.join(sorted(unread))}")
    return result


def _works_on(subject: Subject, spec: Mapping[str, Any], namespace: str, authorities: Sequence[RBACAuthority]) -> bool:
    """Tell whether somebody is an operator of a kind: sees its objects, and writes them or their status."""
    who, group, plural = subject.somebody, spec["group"], spec["names"]["plural"]
    writes = [Asked(verb, group, plural, part) for verb in ("update", "patch") for part in ("", "status")]
    return any(
        authority.allows(who, Asked("watch", group, plural), namespace)
        and any(authority.allows(who, write, namespace) for write in writes)
        for authority in authorities
    )
