"""RBAC objects as they are and as they would be: what a file or a deletion changes, before anybody applies it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from ..kinds import GVK, ObjectKey
from .exit_status import CommandError

RBAC: Final = "rbac.authorization.k8s.io"
KINDS: Final = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
GVKS: Final = tuple(GVK(RBAC, "v1", kind) for kind in KINDS)
# What of an object says who may do what.
_CONTENT: Final = ("rules", "roleRef", "subjects", "aggregationRule")

Manifest = Mapping[str, Any]


@attrs.frozen(order=True)
class RBACKey:
    """Which object: its kind, its namespace (empty for cluster-scoped ones) and its name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {ObjectKey(self.namespace, self.name)}"


RBACObjects = Mapping[RBACKey, Manifest]


@attrs.frozen
class Change:
    """What would be put in place, and what would be deleted; `ignored` are objects that give no rights."""

    put: RBACObjects
    delete: tuple[RBACKey, ...] = ()
    ignored: tuple[str, ...] = ()


def by_key(manifests: Iterable[Manifest]) -> dict[RBACKey, Manifest]:
    """Return RBAC objects by their keys."""
    return {key_of(manifest): manifest for manifest in manifests}


def key_of(manifest: Manifest, default_namespace: str = "") -> RBACKey:
    """Return the key of an RBAC object; a namespaced one that names no namespace is in the default one."""
    metadata = manifest.get("metadata") or {}
    kind = str(manifest["kind"])
    namespaced = not kind.startswith("Cluster")
    namespace = str(metadata.get("namespace") or default_namespace) if namespaced else ""
    return RBACKey(kind, namespace, str(metadata.get("name") or ""))


def read_change(documents: Iterable[Any], deletions: Iterable[str], namespace: str) -> Change:
    """Return the change that manifests and `KIND/NAME`s describe.

    Raises:
        CommandError: something in it is no Kubernetes object, or no RBAC object is in it.
    """
    put: dict[RBACKey, Manifest] = {}
    ignored: list[str] = []
    for document in _unpacked(documents):
        kind, name = document.get("kind"), (document.get("metadata") or {}).get("name")
        if not kind or not name or not document.get("apiVersion"):
            raise CommandError("a document without apiVersion, kind or metadata.name is no Kubernetes object")
        if kind not in KINDS or not str(document["apiVersion"]).startswith(f"{RBAC}/"):
            ignored.append(f"{kind} {name}")
            continue
        key = key_of(document, namespace)
        _check_shape(document, key)
        metadata = {**document["metadata"]} | ({"namespace": key.namespace} if key.namespace else {})
        put[key] = {**document, "metadata": metadata}
    delete = tuple(_deletion(text, namespace) for text in deletions)
    if not put and not delete:
        raise CommandError("nothing to try: give RBAC objects with -f, or --delete KIND/NAME")
    return Change(put, delete, tuple(ignored))


def applied(objects: RBACObjects, change: Change) -> dict[RBACKey, Manifest]:
    """Return the objects as they would be.

    Raises:
        CommandError: what is to be deleted is not there, or the server would refuse the change.
    """
    result = dict(objects)
    for key in change.delete:
        if result.pop(key, None) is None:
            raise CommandError(f"{key} is not there; what is: {_similar(key, objects)}")
    for key, manifest in change.put.items():
        before = objects.get(key, {}).get("roleRef")
        if key not in change.delete and before is not None and not _same_role(before, manifest["roleRef"]):
            raise CommandError(f"the server would refuse it: the roleRef of {key} cannot be changed; delete it first")
        result[key] = manifest
    return result


def changed_keys(before: RBACObjects, after: RBACObjects) -> list[RBACKey]:
    """Return what differs in what it says about rights."""
    return sorted(key for key in {*before, *after} if _content(before.get(key)) != _content(after.get(key)))


def _unpacked(documents: Iterable[Any]) -> Iterable[Manifest]:
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, Mapping):
            raise CommandError("a document that is no mapping is no Kubernetes object")
        if document.get("kind") == "List":
            yield from _unpacked(document.get("items") or ())
        else:
            yield document


def _check_shape(manifest: Manifest, key: RBACKey) -> None:
    if key.kind.endswith("Binding"):
        reference, subjects = manifest.get("roleRef"), manifest.get("subjects") or ()
        if not isinstance(reference, Mapping) or not reference.get("kind") or not reference.get("name"):
            raise CommandError(f"{key} has no roleRef with kind and name")
        if not all(isinstance(one, Mapping) and one.get("kind") and one.get("name") for one in subjects):
            raise CommandError(f"a subject of {key} has no kind or no name")
    elif not all(isinstance(rule, Mapping) for rule in manifest.get("rules") or ()):
        raise CommandError(f"a rule of {key} is no mapping")


def _deletion(text: str, default_namespace: str) -> RBACKey:
    kind_text, _, name = text.partition("/")
    kind = _named_kind(kind_text)
    if kind is None or not name:
        raise CommandError(f"--delete takes KIND/NAME or KIND/NAMESPACE/NAME of {', '.join(KINDS)}, not {text!r}")
    namespace, slash, rest = name.partition("/")
    if kind.startswith("Cluster"):
        return RBACKey(kind, "", name)
    return RBACKey(kind, namespace, rest) if slash else RBACKey(kind, default_namespace, name)


def _named_kind(text: str) -> str | None:
    plain = text.partition(".")[0].lower()
    return next((kind for kind in KINDS if plain in (kind.lower(), f"{kind.lower()}s")), None)


def _similar(key: RBACKey, objects: RBACObjects) -> str:
    there = [str(other) for other in sorted(objects) if (other.kind, other.namespace) == (key.kind, key.namespace)]
    others = [str(other) for other in sorted(objects) if (other.kind, other.name) == (key.kind, key.name)]
    shown = others or there
    return ", ".join(shown[:5]) + (" …" if len(shown) > 5 else "") if shown else "nothing of this kind"


def _same_role(one: Manifest, other: Manifest) -> bool:
    return (one.get("kind"), one.get("name")) == (other.get("kind"), other.get("name"))


def _content(manifest: Manifest | None) -> dict[str, Any] | None:
    return None if manifest is None else {field: manifest.get(field) or None for field in _CONTENT}
