"""What built-in kinds look like, as far as their schema is known here, and what their values must be."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from ..wire.builtin_types import FIELDS, check
from ..wire.status_errors import Body, Cause
from .kind import Kind
from .list_keys import merge_keys
from .quantities import amount
from .structural_schema import structural_causes

Key = tuple[str, str]
Check = Callable[[Body, Body | None], Iterator[Cause]]

_RBAC: Final = "rbac.authorization.k8s.io"
_SCOPES: Final = {
    "Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
}  # fmt: skip
_EXCLUSIVE: Final = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
# Of a LimitRange: what may not be larger than what, and which of the two is blamed.
_ORDERED: Final = (
    ("min", "max", "min"), ("min", "defaultRequest", "defaultRequest"), ("defaultRequest", "max", "defaultRequest"),
    ("defaultRequest", "default", "defaultRequest"), ("min", "default", "default"), ("default", "max", "default"),
)  # fmt: skip
_PERCENT: Final = re.compile(r"[0-9]+%")
# The size of the data of a ConfigMap or a Secret.
_DATA_LIMIT_BYTES: Final = 2**20


class BuiltinSchema:
    """A Validator of one built-in kind."""

    def __init__(self, kind: Kind) -> None:
        self._fields = FIELDS[kind.name]
        self._check = _CHECKS.get(kind.key)

    def complete(self, body: Body) -> list[str]:
        """Drop unknown fields of the first level. (What is written into a spec is kept as it is.)"""
        dropped = [field for field in body if field not in self._fields]
        for field in dropped:
            del body[field]
        return dropped

    def causes(self, body: Body, old: Body | None) -> list[Cause]:
        """Return what is wrong."""
        return list(self._check(body, old)) if self._check is not None else []

    def list_keys(self, path: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return how lists merge."""
        return merge_keys(path)


def _workload(body: Body, old: Body | None) -> Iterator[Cause]:
    spec = body.get("spec") or {}
    replicas, selector = spec.get("replicas") or 0, spec.get("selector") or {}
    labels = (((spec.get("template") or {}).get("metadata")) or {}).get("labels") or {}
    if replicas < 0:
        yield Cause.wrong("spec.replicas", str(replicas), "must be greater than or equal to 0")
    if not selector:
        yield Cause.required("spec.selector")
    elif any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        yield Cause.wrong("spec.template.metadata.labels", "null", "`selector` does not match template `labels`")
    yield from _pod_spec((spec.get("template") or {}).get("spec") or {}, "spec.template.spec")
    yield from _amounts((spec.get("strategy") or {}).get("rollingUpdate") or {})
    if old is not None and ((old.get("spec") or {}).get("selector") or {}) != selector:
        yield Cause.wrong("spec.selector", "null", "field is immutable")


def _pod(body: Body, _: Body | None) -> Iterator[Cause]:
    yield from _pod_spec(body.get("spec") or {}, "spec")


def _pod_spec(spec: Body, place: str) -> Iterator[Cause]:
    containers = spec.get("containers") or ()
    if not containers:
        yield Cause.required(f"{place}.containers")
    for number, container in enumerate(containers):
        for field in ("name", "image"):
            if not container.get(field):
                yield Cause.required(f"{place}.containers[{number}].{field}")


def _amounts(rolling: Body) -> Iterator[Cause]:
    for field in ("maxUnavailable", "maxSurge"):
        amount = rolling.get(field)
        if isinstance(amount, str) and not _PERCENT.fullmatch(amount):
            words = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%')"
            yield Cause.wrong(f"spec.strategy.rollingUpdate.{field}", f'"{amount}"', words)


def _data(body: Body, old: Body | None) -> Iterator[Cause]:
    size = sum(len(value) for field in ("data", "binaryData") for value in (body.get(field) or {}).values())
    if size > _DATA_LIMIT_BYTES:
        yield Cause("[]", "FieldValueTooLong", f"Too long: may not be more than {_DATA_LIMIT_BYTES} bytes")
    if old is None or not old.get("immutable"):
        return
    for field in ("immutable", "data", "binaryData"):
        if body.get(field) != old.get(field):
            yield Cause.forbidden(field, "field is immutable when `immutable` is set")


def _binding(body: Body, old: Body | None) -> Iterator[Cause]:
    role = body.get("roleRef") or {}
    if not role.get("name"):
        yield Cause.required("roleRef.name")
    if old is not None and old.get("roleRef") != role:
        yield Cause.wrong("roleRef", "null", "cannot change roleRef")


def _quota(body: Body, old: Body | None) -> Iterator[Cause]:
    spec = body.get("spec") or {}
    scopes = set(spec.get("scopes") or ())
    told = "[" + ",".join(f'"{scope}"' for scope in sorted(scopes)) + "]"
    for name, text in sorted((spec.get("hard") or {}).items()):
        if amount(text) < 0:
            yield Cause.wrong(f"spec.hard[{name}]", f'"{text}"', "must be greater than or equal to 0")
    if scopes - _SCOPES:
        yield Cause.wrong("spec.scopes", told, "unsupported scope")
    if any(pair <= scopes for pair in _EXCLUSIVE):
        yield Cause.wrong("spec.scopes", told, "conflicting scopes")
    if old is not None and set((old.get("spec") or {}).get("scopes") or ()) != scopes:
        yield Cause.wrong("spec.scopes", told if scopes else "null", "field is immutable")


def _limit_range(body: Body, _: Body | None) -> Iterator[Cause]:
    seen: set[str] = set()
    for number, limit in enumerate((body.get("spec") or {}).get("limits") or ()):
        place, type_ = f"spec.limits[{number}]", limit.get("type") or ""
        if type_ in seen:
            yield Cause(f"{place}.type", "FieldValueDuplicate", f'Duplicate value: "{type_}"')
        seen.add(type_)
        if type_ == "Pod":
            for field in ("default", "defaultRequest"):
                if limit.get(field):
                    yield Cause.forbidden(f"{place}.{field}", "may not be specified when `type` is 'Pod'")
        if type_ == "PersistentVolumeClaim" and not any("storage" in (limit.get(f) or {}) for f in ("min", "max")):
            words = "either minimum or maximum storage value is required, but neither was provided"
            yield Cause.required(f"{place}.limits", words)
        yield from _order(limit, place)


def _order(limit: Body, place: str) -> Iterator[Cause]:
    """Yield what is larger than it may be: min ≤ default request ≤ default ≤ max."""
    spelled = {"min": "min", "defaultRequest": "default request", "default": "default", "max": "max"}
    for low, high, blamed in _ORDERED:
        lows, highs = limit.get(low) or {}, limit.get(high) or {}
        for name in sorted(lows.keys() & highs.keys()):
            if amount(lows[name]) > amount(highs[name]):
                value = (limit.get(blamed) or {})[name]
                words = f"{spelled[low]} value {lows[name]} is greater than {spelled[high]} value {highs[name]}"
                yield Cause.wrong(f"{place}.{blamed}[{name}]", f'"{value}"', words)


def _network_policy(body: Body, _: Body | None) -> Iterator[Cause]:
    spec = body.get("spec") or {}
    for way, peers in (("ingress", "from"), ("egress", "to")):
        for i, rule in enumerate(spec.get(way) or ()):
            for j, peer in enumerate(rule.get(peers) or ()):
                block, place = peer.get("ipBlock"), f"spec.{way}[{i}].{peers}[{j}].ipBlock"
                if block:
                    yield from _cidr(f"{place}.cidr", block.get("cidr") or "")
                    for k, cidr in enumerate(block.get("except") or ()):
                        yield from _cidr(f"{place}.except[{k}]", cidr)


def _cidr(place: str, cidr: str) -> Iterator[Cause]:
    try:
        fits = "/" in cidr and bool(ipaddress.ip_network(cidr))
    except ValueError:
        fits = False
    if not fits:
        words = "must be a valid CIDR value (e.g. 10.9.8.0/24 or 2001:db8::/64), without bits of a host"
        yield Cause.wrong(place, f'"{cidr}"', words)


def _webhooks(body: Body, _: Body | None) -> Iterator[Cause]:
    for number, hook in enumerate(body.get("webhooks") or ()):
        place = f"webhooks[{number}]"
        if not hook.get("admissionReviewVersions"):
            yield Cause.required(f"{place}.admissionReviewVersions", "must specify one of v1, v1beta1")
        if hook.get("sideEffects") not in ("None", "NoneOnDryRun"):
            yield Cause.required(f"{place}.sideEffects", "must specify one of None, NoneOnDryRun")
        client = hook.get("clientConfig") or {}
        if bool(client.get("url")) == bool(client.get("service")):
            yield Cause.required(f"{place}.clientConfig", "exactly one of url or service is required")


def _definition(body: Body, _: Body | None) -> Iterator[Cause]:
    """Yield what stands in the way of serving a custom kind."""
    spec = body["spec"]
    names, versions = spec["names"], spec.get("versions") or ()
    for path, value in (("group", spec.get("group")), *((f"names.{f}", names.get(f)) for f in ("plural", "kind"))):
        if not value:
            yield Cause.required(f"spec.{path}")
    name = body["metadata"].get("name") or ""
    if name != f"{names.get('plural')}.{spec.get('group')}":
        yield Cause.wrong("metadata.name", f'"{name}"', 'must be spec.names.plural+"."+spec.group')
    if sum(bool(version.get("storage")) for version in versions) != 1:
        words = "Invalid value: must have exactly one version marked as storage version"
        yield Cause("spec.versions", "FieldValueInvalid", words)
    for number, version in enumerate(versions):
        yield from _version(version, f"spec.versions[{number}]")


def _version(version: Body, place: str) -> Iterator[Cause]:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if schema is None:
        yield Cause.required(f"{place}.schema.openAPIV3Schema", "schemas are required")
    else:
        yield from structural_causes(schema)
    for field in ("additionalPrinterColumns", "selectableFields"):
        for at, column in enumerate(version.get(field) or ()):
            if not column.get("jsonPath"):
                yield Cause.required(f"{place}.{field}[{at}].jsonPath")


_CHECKS: Final[dict[Key, Check]] = {
    ("", "pods"): _pod,
    ("", "configmaps"): _data,
    ("", "secrets"): _data,
    ("", "resourcequotas"): _quota,
    ("", "limitranges"): _limit_range,
    ("networking.k8s.io", "networkpolicies"): _network_policy,
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): _webhooks,
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): _webhooks,
    ("apps", "deployments"): _workload,
    ("apps", "replicasets"): _workload,
    (_RBAC, "rolebindings"): _binding,
    (_RBAC, "clusterrolebindings"): _binding,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _definition,
}


def check_types(body: Any, kind: Kind) -> None:
    """Refuse (400) a body whose fields are of other types than those of its kind; of a custom one: its metadata."""
    check(body, "Object" if kind.custom else kind.name, kind.name, kind.version)
