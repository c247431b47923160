"""The two servers that faults befall, in the same words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Protocol, TypeVar

import attrs

from scopedcache import Client
from scopedcache.testing import ControlPlane, EmbeddedCluster, Grant, Identity
from scopedcache.testing.embedded import FrontEnd

T = TypeVar("T")
OPERATOR: Final = "operator"


class Server(Protocol):
    """What a fault needs of a server."""

    name: str
    operator: Identity

    @property
    def admin(self) -> EmbeddedCluster | ControlPlane: ...

    def client(self) -> Client: ...

    async def act(self, action: Callable[[], T]) -> T:
        """Do something as the admin; on a real server, in a thread."""

    def grant(self, verbs: Iterable[str], resources: Iterable[str], namespace: str) -> Grant: ...

    async def away(self, seconds: float) -> None:
        """Be gone for so long: connections are lost, and refused."""

    async def forget(self) -> None:
        """Lose all watches, and the history they would be resumed from: 410."""

    async def end_watches(self) -> None:
        """End all watches in good order."""

    async def lose_watches(self) -> None:
        """Lose the connections of all watches."""


@attrs.define
class Embedded:
    """The embedded cluster, in virtual time; several API servers where a fault needs them."""

    cluster: EmbeddedCluster
    operator: Identity
    members: Sequence[FrontEnd]
    name: str = "embedded"

    @classmethod
    @contextmanager
    def running(cls, *, members: int = 1, seed: int = 0) -> Iterator[Embedded]:
        with EmbeddedCluster.start(seed=seed, users=(OPERATOR,), kubelet=False) as cluster:
            servers = [cluster.front_ends[0], *(cluster.front_end() for _ in range(members - 1))]
            yield cls(cluster, cluster.user(OPERATOR), servers)

    @property
    def admin(self) -> EmbeddedCluster:
        return self.cluster

    def client(self) -> Client:
        return self.cluster.balanced_client(self.operator, self.members)

    async def act(self, action: Callable[[], T]) -> T:
        return action()

    def grant(self, verbs: Iterable[str], resources: Iterable[str], namespace: str) -> Grant:
        return self.cluster.grant(self.operator, verbs, resources, namespace=namespace)

    async def away(self, seconds: float) -> None:
        self.cluster.restart(down=seconds, unready=0.5)
        await asyncio.sleep(seconds)

    async def forget(self) -> None:
        await self.lose_watches()
        self.cluster.compact()

    async def end_watches(self) -> None:
        self._end(lost=False)

    async def lose_watches(self) -> None:
        self._end(lost=True)

    def _end(self, *, lost: bool) -> None:
        with self.cluster.lock:
            for member in self.members:
                member.server.watches.end_all(lost=lost)


@attrs.define
class Real:
    """A real control plane, in real time."""

    plane: ControlPlane
    operator: Identity
    name: str = "real"

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Real]:
        with ControlPlane.start(users=(OPERATOR,), kubelet=False) as plane:
            yield cls(plane, plane.user(OPERATOR))

    @property
    def admin(self) -> ControlPlane:
        return self.plane

    def client(self) -> Client:
        return self.plane.client(self.operator)

    async def act(self, action: Callable[[], T]) -> T:
        return await asyncio.to_thread(action)

    def grant(self, verbs: Iterable[str], resources: Iterable[str], namespace: str) -> Grant:
        return self.plane.grant(self.operator, verbs, resources, namespace=namespace)

    async def away(self, seconds: float) -> None:
        async with self.without(self.plane.apiserver):
            await asyncio.sleep(seconds)

    async def forget(self) -> None:
        """Restart the API server: its history begins anew."""
        await asyncio.to_thread(self.plane.apiserver.restart)
        await asyncio.to_thread(self.comes_up)

    async def end_watches(self) -> None:
        raise NotImplementedError("a real server ends watches when it likes")

    async def lose_watches(self) -> None:
        raise NotImplementedError("see `away`")

    @asynccontextmanager
    async def without(self, process: Any) -> AsyncIterator[None]:
        """Stop a process for the length of a block."""
        await asyncio.to_thread(process.kill)
        try:
            yield
        finally:
            await asyncio.to_thread(process.start)
            await asyncio.to_thread(self.comes_up)

    def comes_up(self) -> None:
        """Wait until the admin is answered again."""
        self.plane.wait_for(self._answers, timeout=60.0)

    def _answers(self) -> bool:
        try:
            self.plane.list("namespaces")
        except Exception:  # whatever a server says while it starts
            return False
        return True
