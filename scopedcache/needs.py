"""What an owner needs of a kind: to see it, and the verbs it will use on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final, Literal

import attrs
from attrs.validators import in_

from .kinds import Kind, ObjectKey, strings
from .objects import Object
from .predicates import Predicate
from .selectors import LabelSelector

# How an object names the owner it belongs to, where no owner reference does: the owner's key, its UID, several of them
# in a list or a set, or None.
Route = Callable[[Object], ObjectKey | str | Iterable[ObjectKey | str] | None]


def _predicates(values: Iterable[Predicate]) -> tuple[Predicate, ...]:
    return tuple(values)


# Of the API server's requests, and the special ones of RBAC. A cluster may know others.
KNOWN_VERBS: Final = (
    "get", "list", "watch", "create", "update", "patch", "delete", "deletecollection",
    "bind", "escalate", "impersonate", "approve", "sign", "attest", "use", "proxy", "connect", "*",
)  # fmt: skip


def _check_verbs(need: Need, attribute: attrs.Attribute[Any], verbs: tuple[str, ...]) -> None:
    for verb in verbs:
        if verb in KNOWN_VERBS:
            continue
        close = get_close_matches(verb.lower(), KNOWN_VERBS, n=1, cutoff=0.75)
        if close:
            raise ValueError(f"{verb!r} of {need.kind} is no verb; did you mean {close[0]!r}?")
        if not verb or verb.split() != [verb] or "," in verb:
            raise ValueError(f"{verb!r} of {need.kind} is no verb; write several as ('create', 'update')")


def _selector(value: str | Mapping[str, str] | LabelSelector | None) -> LabelSelector:
    return LabelSelector.parse(value)


@attrs.frozen
class Need:
    """What an owner needs of a kind: to see it (list and watch, always), and the verbs it will use on it.

    Attributes:
        kind: what is needed.
        verbs: further verbs, tracked exactly as declared; losing one keeps the cache and requeues the owner.
        optional: a denial closes this kind alone, not the whole ResourceCache.
        name: only the object of this name (for rights given by `resourceNames`). Whoever opens it is told of its
            changes, whoever owns it.
        selector: labels, filtered in memory.
        metadata_only: keep no bytes: the objects carry metadata alone.
        route: names the owner, or the owners, of an object that carries no owner reference to it.
        predicates: which changes the owner is told of; all must pass. What may be read is not theirs to say.
        told_of: a name: the owner is told of that object too, whoever's it is. For a name that may be taken.
        identity: as whom it is seen where the cache was told of identities: as the owner's, or, None, as the program's
            own user, whatever the owner's is.

    Raises:
        ValueError: a verb is mistyped.
    """

    kind: Kind
    verbs: tuple[str, ...] = attrs.field(default=(), converter=strings, validator=_check_verbs)
    optional: bool = attrs.field(default=False, kw_only=True)
    name: str | None = attrs.field(default=None, kw_only=True)
    selector: LabelSelector = attrs.field(default=None, kw_only=True, converter=_selector)
    metadata_only: bool = attrs.field(default=False, kw_only=True)
    route: Route | None = attrs.field(default=None, kw_only=True)
    predicates: tuple[Predicate, ...] = attrs.field(default=(), kw_only=True, converter=_predicates)
    told_of: str | None = attrs.field(default=None, kw_only=True)
    identity: Literal["owner"] | None = attrs.field(default="owner", kw_only=True, validator=in_(("owner", None)))

    @property
    def all_verbs(self) -> tuple[str, ...]:
        """Return the verbs to track: list and watch first, then what was declared."""
        return ("list", "watch", *(verb for verb in self.verbs if verb not in ("list", "watch")))

    def join(self, other: Need) -> Need:
        """Return what serves both needs of one kind: the wider of each; a plain kind asks for nothing new."""
        if other == Need(other.kind):
            return self
        return Need(
            self.kind,
            self.verbs + tuple(verb for verb in other.verbs if verb not in self.verbs),
            optional=self.optional and other.optional,
            name=self.name if self.name == other.name else None,
            selector=other.selector or self.selector,
            metadata_only=self.metadata_only and other.metadata_only,
            route=other.route or self.route,
            predicates=other.predicates or self.predicates,
            told_of=other.told_of or self.told_of,
            identity=self.identity,
        )

    @classmethod
    def of(cls, wanted: Kind | Need) -> Need:
        """Accept a kind wherever a Need is accepted."""
        return wanted if isinstance(wanted, Need) else cls(wanted)
