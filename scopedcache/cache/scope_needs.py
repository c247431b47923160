"""What a scope needs, which of it has its informer, and what verdicts say about it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import TypeVar

import attrs

from ..access.verdict import Verdict
from ..api.permission import Permission
from ..errors import ForbiddenError
from ..kinds import Kind, Resource, denotes
from .bound_need import BoundNeed
from .owner import Denial, Obstacle
from .unserved_need import UnservedNeed

AnyObstacle = TypeVar("AnyObstacle", bound=Obstacle)
Verdicts = Mapping[Permission, Verdict]


@attrs.frozen
class Refusal:
    """What stands against opening; `certain`: it is not only suspected."""

    error: Obstacle
    certain: bool


class ScopeNeeds:
    """Reads the needs of a scope; `Scope` alone changes them.

    Args:
        needs: the needs, by resource.
        unserved: those whose kind is not known to be served, by kind.
        bound: those of the needs that have their informer.
    """

    def __init__(
        self,
        needs: Mapping[Resource, BoundNeed],
        unserved: Mapping[Kind, UnservedNeed],
        bound: AbstractSet[BoundNeed],
    ) -> None:
        self._needs = needs
        self._unserved = unserved
        self._bound = bound

    def __iter__(self) -> Iterator[BoundNeed]:
        return iter(self._needs.values())

    def __len__(self) -> int:
        return len(self._needs)

    def find(self, kind: Kind) -> BoundNeed | None:
        """Return the need of a kind."""
        return next((need for need in self if denotes(kind, need.resource)), None)

    def find_unserved(self, kind: Kind) -> UnservedNeed | None:
        """Return the need of a kind that is not known to be served."""
        return self._unserved.get(kind)

    def find_lost(self, kind: Kind) -> UnservedNeed | None:
        """Return the need of a kind that is not served, whichever of the names it had is used."""
        lost = (one for one in self.unserved if one.before is not None and denotes(kind, one.before.resource))
        return self._unserved.get(kind) or next(lost, None)

    @property
    def unserved(self) -> Collection[UnservedNeed]:
        """Return the needs whose kind is not known to be served."""
        return self._unserved.values()

    @property
    def unresolved(self) -> list[Kind]:
        """Return the kinds of required needs about which discovery has not answered."""
        return [
            kind for kind, unserved in self._unserved.items() if unserved.error is None and not unserved.need.optional
        ]

    @property
    def of_resource(self) -> Mapping[Resource, BoundNeed]:
        """Return the needs by resource."""
        return self._needs

    @property
    def required_needs(self) -> list[BoundNeed]:
        """Return the needs that nothing is shown without, as far as they are served."""
        return [need for need in self._needs.values() if not need.need.optional]

    @property
    def optional_needs(self) -> list[BoundNeed]:
        """Return the needs that close alone, as far as they are served."""
        return [need for need in self._needs.values() if need.need.optional]

    def of(self, permission: Permission) -> list[BoundNeed]:
        """Return the needs a permission belongs to."""
        return [need for need in self if permission in need.permissions]

    def has(self, need: BoundNeed) -> bool:
        """Tell whether a need was neither released nor replaced."""
        return self._needs.get(need.resource) is need

    def is_bound(self, need: BoundNeed) -> bool:
        """Tell whether a need has its informer."""
        return need in self._bound

    @property
    def permissions(self) -> list[Permission]:
        """Return everything that is tracked for them."""
        return [permission for need in self for permission in need.permissions]

    @property
    def required(self) -> list[Permission]:
        """Return what nothing is shown without."""
        needs = self._needs.values()
        return [right for need in needs if not need.need.optional for right in need.informer_key.permissions]

    # -- what verdicts say about them ----------------------------------------------------------------------------

    def refusal(self, verdicts: Verdicts) -> Refusal | None:
        """Return what stands against opening; what is certain goes before what is only suspected."""
        lost = [verdict for right in self.required if (verdict := verdicts.get(right)) is not None and verdict.lost]
        verdict = min(lost, key=lambda verdict: not verdict.denying) if lost else None
        if verdict is None or not verdict.denying:
            for unserved in self._unserved.values():
                if unserved.error is not None and not unserved.need.optional:
                    return Refusal(unserved.error, certain=True)
        return None if verdict is None else Refusal(verdict.error(), verdict.denying)

    def denial(self, verdicts: Verdicts) -> Obstacle | None:
        """Return what is raised for what stands against opening; it names every right that is missing."""
        refusal = self.refusal(verdicts)
        return None if refusal is None else self.with_missing(refusal.error, verdicts)

    def with_missing(self, error: AnyObstacle, verdicts: Verdicts) -> AnyObstacle:
        """Let an error name every right that is missing; return it."""
        if isinstance(error, ForbiddenError):
            error.missing = tuple(other for other in self.missing(verdicts) if isinstance(other, ForbiddenError))
        return error

    def missing(self, verdicts: Verdicts) -> list[Denial]:
        """Return every right that is missing for certain, what nothing is shown without first."""
        needs = sorted(self, key=lambda need: need.need.optional)
        rights = [right for need in needs for right in need.informer_key.permissions]
        rights += [right for need in needs for right in need.verbs]
        known = (verdicts.get(right) for right in dict.fromkeys(rights))
        return [verdict.error() for verdict in known if verdict is not None and verdict.denying]

    @property
    def is_complete(self) -> bool:
        """Tell whether every required need has its informer."""
        served = all(unserved.need.optional for unserved in self._unserved.values())
        return served and all(need.need.optional or need in self._bound for need in self)

    def is_reviewed(self, need: BoundNeed, verdicts: Verdicts) -> bool:
        """Tell whether there is a verdict about every right that it takes to see a need."""
        for right in need.informer_key.permissions:
            verdict = verdicts.get(right)
            if verdict is None or verdict.unreviewed:
                return False
        return True

    def missing_permissions(self, verdicts: Verdicts) -> list[Denial]:
        """Return what is missing for certain of the verbs that they declare beyond list and watch."""
        declared = (verdicts.get(permission) for need in self for permission in need.verbs)
        denied = [verdict for verdict in declared if verdict is not None and verdict.state == "denied"]
        return [self.with_missing(verdict.error(), verdicts) for verdict in denied]

    def __repr__(self) -> str:
        return f"<ScopeNeeds {','.join(str(resource) for resource in self._needs)} bound={len(self._bound)}>"


def lost_verdict(need: BoundNeed, verdicts: Verdicts) -> Verdict | None:
    """Return the verdict for which a need may not be seen, None where nothing is known against it."""
    rights = need.informer_key.permissions
    return next((verdict for right in rights if (verdict := verdicts.get(right)) is not None and verdict.lost), None)
