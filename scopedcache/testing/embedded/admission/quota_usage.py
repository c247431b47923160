"""What an object costs of a ResourceQuota, and which quotas it is counted by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from ..kinds.kind import Kind
from ..kinds.quantities import amount, total
from ..wire.status_errors import Body
from .pod_resources import containers_of, of_container, of_pod

# Kinds that are counted under their own name too.
_COUNTED: Final = ("configmaps", "secrets", "services", "resourcequotas")
# What every container has to say of itself, where a quota limits it.
_SAID: Final = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
_MEASURED: Final = ("cpu", "memory", "ephemeral-storage")
PODS: Final = ("", "pods")


def usage(kind: Kind, body: Body) -> Body:
    """Return what one object costs, by the names that a quota has for it."""
    counted: Body = {f"count/{kind}": "1"}
    if kind.key == PODS:
        return counted if _has_ended(body) else counted | _of_pod(of_pod(body, "requests"), of_pod(body, "limits"))
    if kind.group == "" and kind.resource in _COUNTED:
        counted[kind.resource] = "1"
    if kind.key == ("", "services"):
        type_ = (body.get("spec") or {}).get("type")
        counted |= {"services.loadbalancers": "1"} if type_ == "LoadBalancer" else {}
        ports = (body.get("spec") or {}).get("ports") or ()
        counted |= {"services.nodeports": str(len(ports))} if type_ in ("LoadBalancer", "NodePort") else {}
    return counted


def matches(quota: Body, kind: Kind, body: Body) -> bool:
    """Tell whether an object is in the scopes of a quota: only Pods are in any."""
    scopes = (quota.get("spec") or {}).get("scopes") or ()
    return not scopes or (kind.key == PODS and all(_SCOPES[scope](body) for scope in scopes if scope in _SCOPES))


def used(quota: Body, objects: Iterable[tuple[Kind, Body]]) -> Body:
    """Return what these objects use of a quota."""
    hard = (quota.get("spec") or {}).get("hard") or {}
    costs = [usage(kind, body) for kind, body in objects if matches(quota, kind, body)]
    return {name: total(cost[name] for cost in costs if name in cost) for name in sorted(hard)}


def unsaid(quota: Body, pod: Body) -> str:
    """Return what a quota limits and a container does not say of itself, as the server words it; empty: nothing."""
    wanted = _SAID & ((quota.get("status") or {}).get("hard") or {}).keys()
    missing = {
        name: [
            container["name"]
            for container in containers_of(pod)
            if name not in _of_pod(of_container(container, "requests"), of_container(container, "limits"))
        ]
        for name in sorted(wanted)
    }
    return "; ".join(f"{name} for: {','.join(sorted(names))}" for name, names in missing.items() if names)


def excess(quota: Body, cost: Body) -> tuple[Body, Body, Body]:
    """Return what is asked for, used and allowed of all that would be exceeded."""
    status = quota.get("status") or {}
    hard, now = status.get("hard") or {}, status.get("used") or {}
    over = [n for n in cost if n in hard and amount(cost[n]) and amount(cost[n]) + amount(now.get(n)) > amount(hard[n])]
    return {n: cost[n] for n in over}, {n: now.get(n, "0") for n in over}, {n: hard[n] for n in over}


def charged(quota: Body, cost: Body) -> Body:
    """Return a quota of which this is used too."""
    status = quota.get("status") or {}
    hard, now = status.get("hard") or {}, status.get("used") or {}
    fresh = {name: total([now.get(name, "0"), cost[name]]) if name in cost else now.get(name, "0") for name in hard}
    return {**quota, "status": {**status, "used": fresh}} if fresh != now else quota


def _of_pod(requests: Body, limits: Body) -> Body:
    cost: Body = {"pods": "1"}
    for name in _MEASURED:
        if name in requests:
            cost |= {name: requests[name], f"requests.{name}": requests[name]}
        if name in limits:
            cost[f"limits.{name}"] = limits[name]
    cost |= {f"requests.{name}": text for name, text in requests.items() if "/" in name}
    return cost


def _has_ended(pod: Body) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _is_terminating(pod: Body) -> bool:
    return ((pod.get("spec") or {}).get("activeDeadlineSeconds") or -1) >= 0


def _is_best_effort(pod: Body) -> bool:
    return not any(of_container(each, side) for each in containers_of(pod) for side in ("requests", "limits"))


_SCOPES: Final[dict[str, Callable[[Body], bool]]] = {
    "Terminating": _is_terminating,
    "NotTerminating": lambda pod: not _is_terminating(pod),
    "BestEffort": _is_best_effort,
    "NotBestEffort": lambda pod: not _is_best_effort(pod),
}
