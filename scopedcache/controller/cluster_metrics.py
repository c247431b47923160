"""The numbers of one cluster among several: each carries the cluster's name."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ..metrics import NULL, Instrumentation, Span


class ClusterMetrics:
    """Hands every number on with a label `cluster`, once somebody says whom to."""

    def __init__(self, cluster: str, to: Instrumentation = NULL) -> None:
        self._cluster = cluster
        self.to = to

    def increment(self, name: str, amount: float = 1.0, /, **labels: str) -> None:
        self.to.increment(name, amount, **labels, cluster=self._cluster)

    def set(self, name: str, value: float, /, **labels: str) -> None:
        self.to.set(name, value, **labels, cluster=self._cluster)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        self.to.observe(name, value, **labels, cluster=self._cluster)

    def remove(self, name: str, /, **labels: str) -> None:
        self.to.remove(name, **labels, cluster=self._cluster)

    def span(self, name: str, /, **attributes: str) -> AbstractContextManager[Span]:
        return self.to.span(name, **attributes, **{"k8s.cluster.name": self._cluster})
