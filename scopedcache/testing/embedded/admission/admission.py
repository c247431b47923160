"""Admission, in the order of a real server: limits fill in, hooks change and refuse, quotas are last."""

from __future__ import annotations

from typing import Final

import attrs

from ..kinds.kind import Kind
from ..kinds.kind_registry import Registry
from ..kinds.quantities import spelled
from ..storage.storage import Storage
from ..wire.status_errors import Body
from . import quota_usage
from .admitted_write import AdmittedWrite
from .hooks import Callback, Hook
from .limit_ranges import violations, with_defaults

_OPERATIONS: Final = frozenset({"CREATE", "UPDATE", "DELETE"})


class Admission:
    """What every write has to pass, those of controllers too."""

    def __init__(self, storage: Storage, registry: Registry) -> None:
        self._storage = storage
        self._quotas = registry["resourcequotas"]
        self._limit_ranges = registry["limitranges"]
        self._hooks: list[Hook] = []

    def add(self, resource: str, callback: Callback, name: str, operations: frozenset[str] = _OPERATIONS) -> Hook:
        """Let a hook be asked from now on, after those that are there."""
        hook = Hook(resource, callback, name, operations)
        self._hooks.append(hook)
        return hook

    def remove(self, hook: Hook) -> None:
        """Ask a hook no more."""
        if hook in self._hooks:
            self._hooks.remove(hook)

    def changed(self, write: AdmittedWrite) -> Body | None:
        """Return the body as limits and hooks make it.

        Raises:
            StatusError: a hook refuses.
        """
        body = write.body
        if body is not None and _is_new_pod(write):
            body = with_defaults(body, self._in_place(self._limit_ranges, write.namespace))
        for hook in self._hooks:
            if hook.is_for(write):
                body = hook.answered(attrs.evolve(write, body=body))
        return body

    def check(self, write: AdmittedWrite, now: float) -> None:
        """Refuse what is outside the limits of its namespace or exceeds a quota; what is admitted is counted.

        Raises:
            StatusError: 403.
        """
        if write.body is None or not write.kind.namespaced or write.subresource:
            return
        if _is_new_pod(write):
            outside = violations(write.body, self._in_place(self._limit_ranges, write.namespace))
            if outside:
                raise write.refused(outside[0] if len(outside) == 1 else f"[{', '.join(outside)}]")
        if write.old is None:  # what is there has been counted
            self._check_quotas(write, write.body, now)

    def _check_quotas(self, write: AdmittedWrite, body: Body, now: float) -> None:
        cost = quota_usage.usage(write.kind, body)
        charged = []
        for quota in self._in_place(self._quotas, write.namespace):
            if not quota_usage.matches(quota, write.kind, body):
                continue
            name = quota["metadata"]["name"]
            if write.kind.key == quota_usage.PODS and (unsaid := quota_usage.unsaid(quota, body)):
                raise write.refused(f"failed quota: {name}: must specify {unsaid}")
            asked, used, limited = (spelled(part) for part in quota_usage.excess(quota, cost))
            if asked:
                raise write.refused(f"exceeded quota: {name}, requested: {asked}, used: {used}, limited: {limited}")
            if (fresh := quota_usage.charged(quota, cost)) != quota:
                charged.append(fresh)
        for quota in charged:
            self._storage.update(self._quotas, quota, now, part="status")

    def _in_place(self, kind: Kind, namespace: str) -> list[Body]:
        return [stored.body for stored in self._storage.list(kind, namespace)] if namespace else []


def _is_new_pod(write: AdmittedWrite) -> bool:
    return write.kind.key == quota_usage.PODS and write.old is None and not write.subresource
