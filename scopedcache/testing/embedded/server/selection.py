"""Which objects a list or watch is about: a place, labels and fields, and a shard of them."""

from __future__ import annotations

from typing import Any, Final

import attrs

from ....selectors import LabelSelector
from ..kinds.kind import Kind
from ..storage.storage import Stored
from ..wire.messages import Request
from ..wire.request_attributes import Attributes
from ..wire.status_errors import bad_request
from .shard_selectors import ShardSelector, shard_selector

_EVERYTHING: Final = LabelSelector()


@attrs.frozen
class Selection:
    """A namespace, a label selector, fields that must (or must not) have a value, and a shard. None: all of them."""

    namespace: str | None = None
    labels: LabelSelector = _EVERYTHING
    fields: tuple[tuple[str, bool, str], ...] = ()
    shard: ShardSelector | None = None

    @property
    def is_plain(self) -> bool:
        """Tell whether only the place is chosen."""
        return self.shard is None and self.is_by_shard_alone

    @property
    def is_by_shard_alone(self) -> bool:
        """Tell whether a shard is all that is chosen, if there is one."""
        return not self.fields and not self.labels

    def matches(self, stored: Stored) -> bool:
        """Tell whether an object belongs to it, its namespace aside."""
        if self.shard is not None and not self.shard.matches(stored):
            return False
        return self.labels.matches(stored.metadata.get("labels") or {}) and all(
            (_value(stored.body, path) == value) is equal for path, equal, value in self.fields
        )


def selection_of(request: Request, kind: Kind, asked: Attributes) -> Selection:
    """Read the selectors of a request.

    Raises:
        StatusError: 400, a selector that cannot be read, or a field that nobody can select by; 500, no shard selector.
    """
    try:
        labels = LabelSelector.parse(request.asked("labelSelector"))
    except ValueError as error:
        raise bad_request(f"unable to parse requirement: {error}") from error
    terms = [_term(text, kind) for text in request.asked("fieldSelector").split(",") if text.strip()]
    namespace = (asked.namespace or None) if kind.namespaced else None
    shard = request.asked("shardSelector")
    return Selection(namespace, labels, tuple(terms), shard_selector(shard) if shard else None)


def _term(text: str, kind: Kind) -> tuple[str, bool, str]:
    for operator in ("!=", "==", "="):
        path, found, value = text.partition(operator)
        if found:
            path = path.strip()
            if path not in ("metadata.name", "metadata.namespace", *kind.selectable):
                known = 'is not a known field selector: only "metadata.name", "metadata.namespace"'
                selectable = kind.custom or kind.selectable
                raise bad_request(f"field label not supported: {path}" if selectable else f'"{path}" {known}')
            return path, operator != "!=", value.strip()
    raise bad_request(f"invalid selector: '{text}'; can't understand '{text}'")


def _value(body: Any, path: str) -> str:
    for field in path.split("."):
        body = body.get(field) if isinstance(body, dict) else None
    return "" if body is None else str(body).lower() if isinstance(body, bool) else str(body)
