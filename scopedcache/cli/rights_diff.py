"""What a change of RBAC objects takes and gives: for whom, where, which verbs. Plain values in, plain values out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Final, Literal

import attrs

from .exit_status import ExitStatus
from .grant_advice import ACCOUNT_PREFIX
from .permissions import verbs_in_order
from .rbac_authority import Asked, RBACAuthority, Somebody
from .rbac_objects import Manifest, RBACKey, RBACObjects, changed_keys
from .report import Report, Table

AUTHENTICATED: Final = "system:authenticated"
UNAUTHENTICATED: Final = "system:unauthenticated"
# How many custom resources a line names.
NAMED_AT_MOST: Final = 5

Direction = Literal["lost", "gained"]


@attrs.frozen(order=True)
class Subject:
    """Whom a binding names."""

    kind: str
    namespace: str
    name: str

    @property
    def somebody(self) -> Somebody:
        """Return the subject as the server sees it; which groups a user is in besides, nobody can know."""
        match self.kind:
            case "ServiceAccount":
                groups = ("system:serviceaccounts", f"system:serviceaccounts:{self.namespace}", AUTHENTICATED)
                return Somebody(f"{ACCOUNT_PREFIX}{self.namespace}:{self.name}", groups)
            case "Group":
                return Somebody("", tuple({self.name: None} | self._of_everybody))
            case _:
                return Somebody(self.name, (AUTHENTICATED,))

    @property
    def _of_everybody(self) -> dict[str, None]:
        return {} if self.name == UNAUTHENTICATED else {AUTHENTICATED: None}

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@attrs.frozen(order=True)
class Question:
    """One thing that somebody may do somewhere; the empty namespace is the whole cluster."""

    subject: Subject
    namespace: str
    asked: Asked

    def __str__(self) -> str:
        where = f"in namespace {self.namespace}" if self.namespace else "in the whole cluster"
        return f"may {self.subject} {self.asked.verb} {self.asked.subject} {where}"


@attrs.frozen
class Difference:
    """One right that would be lost or gained; `elsewhere` are namespaces where it stays as it is all the same."""

    question: Question
    direction: Direction
    elsewhere: tuple[str, ...] = ()


def questions(before: RBACObjects, after: RBACObjects) -> list[Question]:
    """Return all that may change: everything that a changed binding, or one of a changed role, gives or gave."""
    changed = set(changed_keys(before, after))
    found: set[Question] = set()
    for objects in (before, after):
        for key, binding in objects.items():
            if not key.kind.endswith("Binding"):
                continue
            role = role_key(key, binding)
            if key not in changed and role not in changed:
                continue
            rules = [*_rules(before.get(role)), *_rules(after.get(role))]
            for subject in subjects(key, binding):
                found |= {Question(subject, key.namespace, asked) for rule in rules for asked in atoms(rule)}
    return sorted(found)


def differences(
    asked: Iterable[Question], before: RBACAuthority, after: RBACAuthority, bindings: RBACObjects
) -> list[Difference]:
    """Return what changes of it. What a cluster-wide change leaves as it was in a namespace is named."""
    result = []
    for question in asked:
        who = question.subject.somebody
        had = before.allows(who, question.asked, question.namespace)
        has = after.allows(who, question.asked, question.namespace)
        if had == has:
            continue
        elsewhere = () if question.namespace else _unchanged_in(question, before, after, bindings)
        result.append(Difference(question, "lost" if had else "gained", elsewhere))
    return result


def contradictions(
    asked: Sequence[Question], before: RBACAuthority, answers: Sequence[bool]
) -> list[tuple[Question, bool]]:
    """Return where the server says otherwise than the RBAC objects do, with what it says."""
    return [
        (question, answer)
        for question, answer in zip(asked, answers, strict=True)
        if before.allows(question.subject.somebody, question.asked, question.namespace) != answer
    ]


def atoms(rule: Manifest) -> Iterator[Asked]:
    """Return all that a rule gives, one by one; a wildcard stands for itself: nobody has it but by a wildcard."""
    verbs = rule.get("verbs") or ()
    for verb, path in product(verbs, rule.get("nonResourceURLs") or ()):
        yield Asked(verb, path=path)
    names = rule.get("resourceNames") or ("",)
    for verb, group, whole, name in product(verbs, rule.get("apiGroups") or (), rule.get("resources") or (), names):
        resource, _, subresource = whole.partition("/")
        yield Asked(verb, group, resource, subresource, name)


def subjects(key: RBACKey, binding: Manifest) -> Iterator[Subject]:
    """Return whom a binding names; an account without a namespace is in that of the binding."""
    for entry in binding.get("subjects") or ():
        namespace = str(entry.get("namespace") or key.namespace) if entry["kind"] == "ServiceAccount" else ""
        yield Subject(str(entry["kind"]), namespace, str(entry["name"]))


def role_key(key: RBACKey, binding: Manifest) -> RBACKey:
    """Return the role that a binding refers to."""
    reference = binding["roleRef"]
    namespace = key.namespace if reference["kind"] == "Role" else ""
    return RBACKey(str(reference["kind"]), namespace, str(reference["name"]))


def report(
    found: Sequence[Difference],
    custom_resources: Callable[[Subject, str], Sequence[str]],
    changed: Sequence[RBACKey],
    notes: Sequence[str],
) -> Report:
    """Return what to print: who loses and gains what, and whose custom resources that is about."""
    groups: dict[tuple[Subject, str, Direction], list[Difference]] = {}
    for difference in found:
        key = (difference.question.subject, difference.question.namespace, difference.direction)
        groups.setdefault(key, []).append(difference)
    rows, data, touched = [], [], {}
    for (subject, namespace, direction), members in groups.items():
        resources = custom_resources(subject, namespace)
        if resources:
            touched[subject, namespace] = resources
        kinds: dict[tuple[str, tuple[str, ...]], set[str]] = {}
        for member in members:
            kinds.setdefault((member.question.asked.subject, member.elsewhere), set()).add(member.question.asked.verb)
        for (kind, elsewhere), verbs in kinds.items():
            ordered, exempt = verbs_in_order(verbs), f"not in {', '.join(elsewhere)}" if elsewhere else ""
            rows.append((str(subject), namespace or "(cluster)", direction, ", ".join(ordered), kind, exempt))
            data.append(
                {
                    "subject": {"kind": subject.kind, "namespace": subject.namespace or None, "name": subject.name},
                    "namespace": namespace or None,
                    "change": direction,
                    "verbs": ordered,
                    "kind": kind,
                    "unchangedIn": list(elsewhere),
                    "customResources": list(resources),
                }
            )
    whole = {"changedObjects": [str(key) for key in changed], "differences": data}
    if not rows:
        return Report(whole, ["nobody would lose or gain a right"], notes)
    columns = ("who", "namespace", "change", "verbs", "kind", "except")
    shown = [row if any(r[-1] for r in rows) else row[:-1] for row in rows]
    blocks: list[Table | str] = [Table(columns[: len(shown[0])], shown)]
    if touched:
        lines = [
            (str(subject), namespace or "(cluster)", str(len(names)), _few(names))
            for (subject, namespace), names in touched.items()
        ]
        blocks.append(Table(("who", "namespace", "custom resources", "which"), lines))
    return Report(whole, [*blocks, "Nothing was applied."], notes, ExitStatus.FOUND)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED_AT_MOST]) + (" …" if len(names) > NAMED_AT_MOST else "")


def _unchanged_in(
    question: Question, before: RBACAuthority, after: RBACAuthority, bindings: RBACObjects
) -> tuple[str, ...]:
    """Return the namespaces where the subject's own bindings there make a cluster-wide change of no account."""
    places = {
        key.namespace
        for key, binding in bindings.items()
        if key.kind == "RoleBinding" and question.subject in subjects(key, binding)
    }
    who, asked = question.subject.somebody, question.asked
    return tuple(
        sorted(place for place in places if before.allows(who, asked, place) == after.allows(who, asked, place))
    )


def _rules(role: Manifest | None) -> Sequence[Mapping[str, Any]]:
    return (role or {}).get("rules") or ()
