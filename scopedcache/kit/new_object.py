"""An object as a reconciler wants it, before the server has seen it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..kinds import GVK
from ..objects import Object
from .json_copy import json_copy
from .owners import set_controller_reference


def new_object(
    kind: GVK,
    name: str,
    namespace: str | None = None,
    *,
    owner: Object | None = None,
    labels: Mapping[str, str] | None = None,
    finalizers: Iterable[str] = (),
    **content: Any,
) -> Object:
    """Return an object of a kind, for `client.create`, `create_or_update` or `apply`.

        new_object(CONFIG_MAP, "settings", "app", owner=app, data={"colour": "red"})

    Args:
        owner: becomes its controller.
        content: its other fields: `spec`, `data`, `roleRef`.

    Raises:
        ValueError: the owner lies in another namespace, or in one where the object lies in none.
    """
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = dict(labels)
    if finalizers := list(finalizers):
        metadata["finalizers"] = finalizers
    head = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
    result = Object.from_dict({**head, **json_copy(content)})
    if owner is not None:
        set_controller_reference(owner, result)
    return result
