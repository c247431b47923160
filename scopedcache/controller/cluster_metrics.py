"""The numbers of one cluster among several: each carries the cluster's name."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ..metrics import NULL, Instrumentation, Span


class ClusterMetrics:
    """Hands every number on with a label `cluster`, once somebody says whom to.

    What was set last is taken back by `forget`: a cluster that left has no state any more.
    """

    def __init__(self, cluster: str, to: Instrumentation = NULL) -> None:
        self._cluster = cluster
        self.to = to
        self._set: set[tuple[str, tuple[tuple[str, str], ...]]] = set()

    def increment(self, name: str, amount: float = 1.0, /, **labels: str) -> None:
        self.to.increment(name, amount, **labels, cluster=self._cluster)

    def set(self, name: str, value: float, /, **labels: str) -> None:
        self._set.add((name, tuple(labels.items())))
        self.to.set(name, value, **labels, cluster=self._cluster)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        self.to.observe(name, value, **labels, cluster=self._cluster)

    def remove(self, name: str, /, **labels: str) -> None:
        self._set.discard((name, tuple(labels.items())))
        self.to.remove(name, **labels, cluster=self._cluster)

    def forget(self) -> None:
        """Remove what was set and not removed since; what was counted stays."""
        while self._set:
            name, labels = self._set.pop()
            self.to.remove(name, **dict(labels), cluster=self._cluster)

    def span(self, name: str, /, **attributes: str) -> AbstractContextManager[Span]:
        return self.to.span(name, **attributes, **{"k8s.cluster.name": self._cluster})
