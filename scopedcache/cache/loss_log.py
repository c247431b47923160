"""How loud to say what a scope lost: a lost right is a warning once, however many owners lose it with it."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final

from ..api.permission import Permission, permission_of
from ..errors import ForbiddenError
from .owner import Obstacle

# What nobody tracks any more is forgotten when so much has come together.
REMEMBERED_BEYOND_MISSING: Final = 64


class LossLog:
    """Remembers which lost rights were said, until they are there again."""

    def __init__(self) -> None:
        self._said: dict[Permission, None] = {}

    def level(self, error: Obstacle | None, missing: Collection[Permission]) -> int:
        """Return how loud to say that a scope closed, or could not open; `missing`: every right that is missing now.

        A kind that is not served, and credentials that were refused, are told by who noticed.
        """
        if not isinstance(error, ForbiddenError):
            return logging.INFO
        permission = permission_of(error)
        if permission in self._said:
            return logging.INFO
        if len(self._said) > len(missing) + REMEMBERED_BEYOND_MISSING:
            self._said = {said: None for said in self._said if said in missing}
        self._said[permission] = None
        return logging.WARNING

    def granted(self, permission: Permission) -> None:
        """The right is there: its next loss is news."""
        self._said.pop(permission, None)

    def __len__(self) -> int:
        return len(self._said)
