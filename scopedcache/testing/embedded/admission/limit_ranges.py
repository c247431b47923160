"""What LimitRanges make of a Pod: defaults for its containers, and a refusal of what is outside their limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ..kinds.quantities import amount
from ..wire.status_errors import Body
from .pod_resources import containers_of, of_container, of_pod

ANNOTATION: Final = "kubernetes.io/limit-ranger"


def with_defaults(pod: Body, limit_ranges: Iterable[Body]) -> Body:
    """Return a Pod with the requests and limits that its containers lack; which these are is in an annotation."""
    for limit_range in limit_ranges:
        pod = _with_defaults_of(pod, limit_range)
    return pod


def violations(pod: Body, limit_ranges: Iterable[Body]) -> list[str]:
    """Return what is outside the limits, in the words of the server."""
    return [
        words
        for limit_range in limit_ranges
        for limit in (limit_range.get("spec") or {}).get("limits") or ()
        for requests, limits in _measured(pod, limit["type"])
        for words in _outside(limit, requests, limits)
    ]


def _with_defaults_of(pod: Body, limit_range: Body) -> Body:
    limits = [each for each in (limit_range.get("spec") or {}).get("limits") or () if each["type"] == "Container"]
    sides = {
        "requests": {name: text for limit in limits for name, text in (limit.get("defaultRequest") or {}).items()},
        "limits": {name: text for limit in limits for name, text in (limit.get("default") or {}).items()},
    }
    spec, told = dict(pod.get("spec") or {}), list[str]()
    for field, words in (("containers", "container"), ("initContainers", "init container")):
        if spec.get(field):
            spec[field] = [_completed(each, sides, words, told) for each in spec[field]]
    if not told:
        return pod
    metadata = pod["metadata"]
    annotations = {**(metadata.get("annotations") or {}), ANNOTATION: f"LimitRanger plugin set: {'; '.join(told)}"}
    return {**pod, "metadata": {**metadata, "annotations": annotations}, "spec": spec}


def _completed(container: Body, sides: dict[str, Body], words: str, told: list[str]) -> Body:
    resources = dict(container.get("resources") or {})
    for side, defaults in sides.items():
        missing = {name: text for name, text in defaults.items() if name not in (resources.get(side) or {})}
        if missing:
            resources[side] = {**(resources.get(side) or {}), **missing}
            told.append(f"{', '.join(sorted(missing))} {side.removesuffix('s')} for {words} {container['name']}")
    return {**container, "resources": resources}


def _measured(pod: Body, type_: str) -> Iterator[tuple[Body, Body]]:
    if type_ == "Container":
        for container in containers_of(pod):
            yield of_container(container, "requests"), of_container(container, "limits")
    elif type_ == "Pod":
        yield of_pod(pod, "requests"), of_pod(pod, "limits")


def _outside(limit: Body, requests: Body, limits: Body) -> Iterator[str]:
    per = limit["type"]
    for name, least in sorted((limit.get("min") or {}).items()):
        about = f"minimum {name} usage per {per} is {least}"
        if name not in requests:
            yield f"{about}.  No request is specified"
        elif amount(requests[name]) < amount(least):
            yield f"{about}, but request is {requests[name]}"
        elif name in limits and amount(limits[name]) < amount(least):
            yield f"{about}, but limit is {limits[name]}"
    for name, most in sorted((limit.get("max") or {}).items()):
        about = f"maximum {name} usage per {per} is {most}"
        if name not in limits:
            yield f"{about}.  No limit is specified"
        elif amount(limits[name]) > amount(most):
            yield f"{about}, but limit is {limits[name]}"
        elif name in requests and amount(requests[name]) > amount(most):
            yield f"{about}, but request is {requests[name]}"
    for name, ratio in sorted((limit.get("maxLimitRequestRatio") or {}).items()):
        about = f"{name} max limit to request ratio per {per} is {ratio}"
        if not amount(requests.get(name)):
            yield f"{about}, but no request is specified or request is 0"
        elif not amount(limits.get(name)):
            yield f"{about}, but no limit is specified or limit is 0"
        elif (found := amount(limits[name]) / amount(requests[name])) > amount(ratio):
            yield f"{about}, but provided ratio is {found:f}"
