"""The two servers that faults befall, in the same words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol, TypeVar

import attrs
import yaml

from scopedcache import Client
from scopedcache.testing import ControlPlane, EmbeddedCluster, Grant, Identity
from scopedcache.testing.embedded import FrontEnd
from scopedcache.testing.embedded.storage.history import History

from .credentials import ClientAuthority
from .gate import Gate

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

    def back_up(self) -> None:
        """Keep what is stored now."""

    def restore(self) -> None:
        """Put back what was kept: versions go backward."""

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
    backup: History | None = None

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

    def back_up(self) -> None:
        self.backup = self.cluster.back_up()

    def restore(self) -> None:
        assert self.backup is not None
        self.cluster.restore(self.backup)

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
    """A real control plane, in real time. The operator is a ServiceAccount with its token in a file, as in a Pod.

    Attributes:
        authority: issues client certificates; the operator shows one instead of its token where `by_certificate`.
        gate: what it connects to instead of the first API server.
    """

    plane: ControlPlane
    operator: Identity
    authority: ClientAuthority
    by_certificate: bool = False
    gate: Gate | None = None
    name: str = "real"

    @classmethod
    @contextmanager
    def running(cls, *, members: int = 1, by_certificate: bool = False) -> Iterator[Real]:
        with TemporaryDirectory(prefix="faults-") as folder:
            authority = ClientAuthority(Path(folder))
            trusted = {"client-ca-file": str(authority.certificate)}
            with ControlPlane.start(kubelet=False, ha=members > 1, apiserver_flags=trusted) as plane:
                operator = plane.service_account(OPERATOR, OPERATOR)
                authority.issue(operator.username)
                yield cls(plane, operator, authority, by_certificate)

    @property
    def folder(self) -> Path:
        return self.authority.folder

    def kubeconfig(self) -> Path:
        """Write and return the operator's kubeconfig: files are named in it, and read again when they change."""
        certificate, key = map(str, self.authority.shown)
        config = yaml.safe_load(self.operator.kubeconfig.read_text(encoding="utf-8"))
        if self.gate is not None:
            config["clusters"][0]["cluster"]["server"] = self.gate.url
        config["users"][0]["user"] = (
            {"client-certificate": certificate, "client-key": key}
            if self.by_certificate
            else {"tokenFile": str(self.operator.token_file)}
        )
        path = self.folder / "kubeconfig"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        return path

    @property
    def admin(self) -> ControlPlane:
        return self.plane

    def client(self) -> Client:
        return Client.connect(kubeconfig=self.kubeconfig())

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

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the servers for the length of a block, etcd too: what is done to its data is there afterwards. Blocks.

        What the controllers wrote of a future that is none is not repeated: they start anew too.
        """
        plane = self.plane
        stopped = [one for one in (plane.controller_manager, *plane.apiservers, plane.etcd) if one is not None]
        for process in stopped:
            process.kill()
        try:
            yield
        finally:
            for process in reversed(stopped):
                process.start(timeout=60.0)
            self.comes_up()

    def operator_again(self) -> None:
        """Make the operator's ServiceAccount again, and put a token of it into the old place."""
        self.plane.service_account(OPERATOR, OPERATOR)
        self.operator.refresh()

    def back_up(self) -> None:
        with self.stopped():
            copytree(self.plane.layout.folder / "etcd", self.folder / "etcd")

    def restore(self) -> None:
        with self.stopped():
            rmtree(self.plane.layout.folder / "etcd")
            copytree(self.folder / "etcd", self.plane.layout.folder / "etcd")

    def new_certificate(self) -> None:
        """Restart the API server with a new certificate, which is its CA: the CA file is replaced by it."""
        process, layout = self.plane.apiserver, self.plane.layout
        process.kill()
        layout.ca_file.unlink()
        layout.ca_file.with_suffix(".key").unlink()
        process.launch()
        self.plane.wait_for(layout.ca_file.exists, what="the new certificate", timeout=60.0)
        self.plane.trust_anew()
        process.wait_ready(timeout=60.0)
        self.comes_up()

    def comes_up(self) -> None:
        """Wait until the admin is answered again."""
        self.plane.wait_for(self._answers, timeout=60.0)

    def _answers(self) -> bool:
        try:
            self.plane.list("namespaces")
        except Exception:  # whatever a server says while it starts
            return False
        return True
