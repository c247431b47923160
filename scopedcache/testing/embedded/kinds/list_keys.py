"""How lists of built-in kinds merge: by the keys of their items, as sets, or not at all."""

from __future__ import annotations

from typing import Final

# By the name of the field, and where that is not enough, of the field that holds it.
_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
    "containerStatuses": ("name",),
    "volumeMounts": ("mountPath",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
    "webhooks": ("name",),
    "finalizers": (),
}
_PORTS: Final = {"containers": ("containerPort", "protocol"), "spec": ("port", "protocol")}
# What stands for a key that is left out.
DEFAULTS: Final = {"protocol": "TCP"}


def merge_keys(path: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the keys of the list at a path of field names: `()` for a set of scalars, None: replaced as a whole."""
    if path[-1] == "ports":
        return _PORTS.get(path[-2] if len(path) > 1 else "")
    return _KEYS.get(path[-1])


def is_atomic(path: tuple[str, ...]) -> bool:
    """Tell whether the map at a path is owned as a whole."""
    return path[-1] in (
        "selector",
        "labelSelector",
        "podSelector",
        "namespaceSelector",
        "objectSelector",
        "nodeSelector",
        "resourceFieldRef",
        "secretKeyRef",
        "configMapKeyRef",
        "fieldRef",
    )
