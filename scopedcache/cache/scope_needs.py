"""What a scope needs, which of it has its informer, and what verdicts say about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from ..access.verdict import Verdict
from ..api.permission import Permission
from ..errors import ForbiddenError
from ..kinds import Kind, Resource, denotes
from .bound_need import BoundNeed
from .owner import Denial

Verdicts = Mapping[Permission, Verdict]


class ScopeNeeds:
    """Reads the needs of a scope; `Scope` alone changes them.

    Args:
        needs: the needs, by resource.
        bound: those of them that have their informer.
    """

    def __init__(self, needs: Mapping[Resource, BoundNeed], bound: AbstractSet[BoundNeed]) -> None:
        self._needs = needs
        self._bound = bound

    def __iter__(self) -> Iterator[BoundNeed]:
        return iter(self._needs.values())

    def __len__(self) -> int:
        return len(self._needs)

    def find(self, kind: Kind) -> BoundNeed | None:
        """Return the need of a kind."""
        return next((need for need in self if denotes(kind, need.resource)), None)

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
        return [right for need in self if not need.need.optional for right in need.informer_key.permissions]

    # -- what verdicts say about them ----------------------------------------------------------------------------

    def refusal(self, verdicts: Verdicts) -> Verdict | None:
        """Return what stands against opening; what is certain goes before what is only suspected."""
        lost = [verdict for right in self.required if (verdict := verdicts.get(right)) is not None and verdict.lost]
        return min(lost, key=lambda verdict: not verdict.denying, default=None)

    def denial(self, verdicts: Verdicts) -> Denial | None:
        """Return what is raised for what stands against opening; it names everything that is missing."""
        refusal = self.refusal(verdicts)
        return None if refusal is None else self.with_missing(refusal, verdicts)

    def with_missing(self, verdict: Verdict, verdicts: Verdicts) -> Denial:
        """Return the error of a verdict; it names everything that is missing."""
        error = verdict.error()
        if isinstance(error, ForbiddenError):
            error.missing = tuple(other for other in self.missing(verdicts) if isinstance(other, ForbiddenError))
        return error

    def missing(self, verdicts: Verdicts) -> list[Denial]:
        """Return everything that is missing for certain, what nothing is shown without first."""
        needs = sorted(self, key=lambda need: need.need.optional)
        rights = [right for need in needs for right in need.informer_key.permissions]
        rights += [right for need in needs for right in need.verbs]
        known = (verdicts.get(right) for right in dict.fromkeys(rights))
        return [verdict.error() for verdict in known if verdict is not None and verdict.denying]

    def visible(self, verdicts: Verdicts) -> list[BoundNeed]:
        """Return the needs that may have their informers: all but optional ones whose permissions are lost."""
        return [need for need in self if not (need.need.optional and lost_verdict(need, verdicts))]

    def is_complete(self, verdicts: Verdicts) -> bool:
        """Tell whether everything that may be seen has its informer."""
        return all(need in self._bound for need in self.visible(verdicts))

    def missing_permissions(self, verdicts: Verdicts) -> list[Denial]:
        """Return what is missing for certain of the verbs that they declare beyond list and watch."""
        declared = (verdicts.get(permission) for need in self for permission in need.verbs)
        denied = [verdict for verdict in declared if verdict is not None and verdict.state == "denied"]
        return [self.with_missing(verdict, verdicts) for verdict in denied]

    def __repr__(self) -> str:
        return f"<ScopeNeeds {','.join(str(resource) for resource in self._needs)} bound={len(self._bound)}>"


def lost_verdict(need: BoundNeed, verdicts: Verdicts) -> Verdict | None:
    """Return the verdict for which a need may not be seen, None where nothing is known against it."""
    rights = need.informer_key.permissions
    return next((verdict for right in rights if (verdict := verdicts.get(right)) is not None and verdict.lost), None)
