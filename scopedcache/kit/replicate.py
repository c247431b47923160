"""Copies of an object in other namespaces."""

from __future__ import annotations

from typing import Any, Final, Literal, Protocol

from ..api import Client
from ..cache import ResourceCache
from ..objects import Object
from .create_or_update import create_or_update
from .json_copy import json_copy

Copied = Literal["created", "updated", "unchanged", "foreign"]

# What belongs to the source alone: other tools' records of it.
OWN_ANNOTATIONS: Final = ("kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision")
OWN_ANNOTATION_PREFIXES: Final = ("applied.scopedcache.dev/",)
# What a server lets nobody change: of a Secret its type, and whether data may change at all.
IMMUTABLE: Final = ("type", "immutable", "roleRef")


class Mark(Protocol):
    """Makes an object ours, and tells whether it is: `LabelRoute` does both."""

    def mark(self, obj: Object, /) -> Object: ...
    def is_ours(self, obj: Object, /) -> bool: ...


async def replicate(
    client: Client, source: Object, scope: ResourceCache, *, ours: Mark, name: str | None = None
) -> Copied:
    """Have a copy of an object in the namespace of a scope; return what was done.

        await replicate(client, secret, scope, name="my-secret", ours=LabelRoute("example.com/copy-of", uid=owner.uid))

    The copy is what the source is, whole: fields that the source has no longer go. Its metadata are its own: the labels
    and annotations of the source are added to those that others gave it, owners and finalizers are not copied, nor is
    `status`. An object of the name that is not ours is `foreign`, and is left alone. A copy that may not be changed
    (another `type` of Secret, `immutable`) is deleted and made anew.

    The scope needs the kind, with the verbs `create`, `update`, and, for those copies, `delete`.

    Args:
        ours: marks a copy, and tells one of ours from what somebody else put there.
        name: of the copy; the source's, unless told otherwise.

    Raises:
        ValueError: the scope is not one of a namespace.
        ConflictError: the copy changed since it was read; reconcile again.
        APIError, CacheError: as `create_or_update`.
    """
    if not scope.namespace:
        raise ValueError(f"{scope!r} is not one of a namespace: there is no place for a copy")
    draft = _draft(source, scope.namespace, name or source.name)
    existing = scope.get(source.gvk, draft.key)
    if existing is not None and not ours.is_ours(existing):
        return "foreign"
    whole = {field: value for field, value in draft.to_dict().items() if field != "metadata"}
    metadata = draft["metadata"]

    def shape(target: Object) -> None:
        body = target.to_dict()
        kept = {field: value for field, value in body.items() if field in ("metadata", "status")}
        body.clear()
        body.update(json_copy(whole), **kept)
        for field in ("labels", "annotations"):
            if metadata.get(field):
                body["metadata"][field] = {**(body["metadata"].get(field) or {}), **metadata[field]}
        ours.mark(target)

    immutable = IMMUTABLE if existing is None or not existing.get("immutable") else (*IMMUTABLE, *whole)
    _, change = await create_or_update(client, draft, shape, read=scope.get, recreate_on_immutable=immutable)
    return "updated" if change == "recreated" else change


def _draft(source: Object, namespace: str, name: str) -> Object:
    body: dict[str, Any] = json_copy(source.to_dict())
    body.pop("status", None)
    given = body.get("metadata") or {}
    annotations = {
        key: text
        for key, text in (given.get("annotations") or {}).items()
        if key not in OWN_ANNOTATIONS and not key.startswith(OWN_ANNOTATION_PREFIXES)
    }
    kept = {"labels": given.get("labels"), "annotations": annotations}
    body["metadata"] = {"name": name, "namespace": namespace} | {field: value for field, value in kept.items() if value}
    return Object.from_dict(body)
