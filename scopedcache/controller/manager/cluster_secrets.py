"""Clusters that are found in labelled Secrets, as Cluster API, Argo CD and multicluster-runtime write them.

A Secret is somebody's word, and may be anybody's: a kubeconfig in one runs no program, reads no file of this machine,
and names nobody to act as. Where it changes, what runs in its cluster begins anew; where it cannot be used, that is
said, and what it said before goes on. Where Secrets may not be seen any more, the clusters that are known stay.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs

from ...errors import ConfigurationError
from ...event_logger import event_logger
from ...informer import EventHandler
from ...kinds import GVK
from ...needs import Need
from ...objects import Object
from ...selectors import Labels, LabelSelector
from ..request import HOME

if TYPE_CHECKING:
    from ...api.client import Client
    from ...cache import ScopedCache

logger: Final = event_logger("scopedcache.controller")

SECRET: Final = GVK("", "v1", "Secret")
# By which label each of them marks its Secrets. The first names the cluster as well.
CLUSTER_API: Final = "cluster.x-k8s.io/cluster-name"
ARGO_CD: Final = "argocd.argoproj.io/secret-type=cluster"
MULTICLUSTER_RUNTIME: Final = "sigs.k8s.io/multicluster-runtime-kubeconfig=true"


def _selector(labels: Labels) -> LabelSelector:
    return LabelSelector.parse(labels)


def check_cluster_name(name: str) -> None:
    """Raise ValueError where a cluster cannot be called so: the manager's own is the one without a name."""
    if name == HOME or "/" in name:
        raise ValueError(f"{name!r} is no name of a cluster")


class ClusterTable(Protocol):
    """Where clusters are added and removed."""

    def add(self, name: str, client: Client) -> Any: ...
    def get(self, name: str, /) -> Any: ...
    def remove(self, name: str) -> None: ...


@attrs.define
class _Found:
    secret: str
    content: str
    client: Client
    cluster: Any


@attrs.frozen(eq=False)
class ClusterSecrets:
    """Where Secrets of clusters are, and how they are marked.

    Attributes:
        namespace: where they are.
        labels: marks them. `CLUSTER_API`, `ARGO_CD` and `MULTICLUSTER_RUNTIME` are those of others.
    """

    namespace: str
    labels: LabelSelector = attrs.field(converter=_selector)
    _found: dict[str, _Found] = attrs.field(factory=dict, init=False)
    # Those whose cluster has another one by that name: it is their turn when that goes.
    _second: dict[str, Object] = attrs.field(factory=dict, init=False)
    _closing: set[asyncio.Task[None]] = attrs.field(factory=set, init=False)

    async def follow(self, cache: ScopedCache, clusters: ClusterTable) -> None:
        """Add and remove clusters as their Secrets come, change and go, until cancelled."""
        changes: asyncio.Queue[tuple[Object, bool]] = asyncio.Queue()
        handler = EventHandler(
            on_add=lambda secret, initial: changes.put_nowait((secret, True)),
            on_update=lambda old, secret: changes.put_nowait((secret, True)),
            on_delete=lambda secret, unknown: changes.put_nowait((secret, False)),
        )
        async with cache.informer(Need(SECRET), namespace=self.namespace) as handle:
            remove = handle.add_handler(handler)
            try:
                while True:
                    secret, there = await changes.get()
                    await self._take(secret, there and self.labels.matches(dict(secret.labels or {})), clusters)
            finally:
                remove()
                for name in list(self._found):
                    self._remove(name, clusters)
                if self._closing:
                    await asyncio.wait(self._closing)

    async def _take(self, secret: Object, there: bool, clusters: ClusterTable) -> None:
        before = next((name for name, one in self._found.items() if one.secret == secret.name), None)
        self._second.pop(secret.name, None)
        if not there:
            if before is not None:
                self._remove(before, clusters)
                await self._take_second(clusters)
            return
        content = hashlib.sha256(repr(sorted((secret.get("data") or {}).items())).encode()).hexdigest()
        if before is not None and self._found[before].content == content:
            return
        try:
            name, config = await asyncio.to_thread(_read, secret)
            check_cluster_name(name)
            self._check_free(name, secret, clusters)
            client = _client(config)
        except (ConfigurationError, ValueError) as error:
            about = {"secret": f"{self.namespace}/{secret.name}", "error": str(error)}
            logger.warning("cluster.unusable", extra=about)
            return
        if before is not None:
            self._remove(before, clusters)
        self._found[name] = _Found(secret.name, content, client, clusters.add(name, client))
        if before not in (None, name):
            await self._take_second(clusters)

    def _check_free(self, name: str, secret: Object, clusters: ClusterTable) -> None:
        found = self._found.get(name)
        if found is not None and found.secret != secret.name:
            self._second[secret.name] = secret
            raise ConfigurationError(f"cluster {name!r} is named by the Secret {found.secret!r} already")
        if found is None and clusters.get(name) is not None:
            raise ConfigurationError(f"cluster {name!r} is one that the program was given")

    async def _take_second(self, clusters: ClusterTable) -> None:
        """Take those whose turn it may be: a name is free."""
        for secret in list(self._second.values()):
            await self._take(secret, True, clusters)

    def _remove(self, name: str, clusters: ClusterTable) -> None:
        found = self._found.pop(name)
        if clusters.get(name) is found.cluster:  # nobody has put another one into its place
            clusters.remove(name)
        closing = asyncio.create_task(_close_when_idle(found), name=f"close the client of cluster {name}")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


async def _close_when_idle(found: _Found) -> None:
    """Close a client once nothing is under way by it any more."""
    await found.cluster.idle.wait()
    await found.client.close()


def _client(config: Any) -> Client:
    from ...api.client import Client
    from ...api.configuration import Configuration

    return Client.configured(Configuration(lambda: config))


def _read(secret: Object) -> tuple[str, Any]:
    """Return the name of a cluster and the way to it.

    Raises:
        ConfigurationError: there is none, or none that may be used.
    """
    from ...api.identity.cluster_secret import config_of

    labels = dict(secret.labels or {})
    return config_of(secret.name, labels.get(CLUSTER_API), secret.get("data") or {})
