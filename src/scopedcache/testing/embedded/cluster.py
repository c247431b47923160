"""A cluster in this process: started in milliseconds, used, harmed and ended by tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ...api.client import Client
from ..audit import AuditRequest
from ..identities import Identity
from ..rbac import Rights
from ..resources import Resources
from ..rest import JSON
from .clock import Clock
from .controllers import Controller
from .faults import Faults
from .registry import Registry
from .storage import Storage


class EmbeddedCluster(Resources, Rights):
    """An API server with its controllers, in process. The shape is that of `ControlPlane`.

    Use `EmbeddedCluster.start(...)` in a `with`. Plain methods (get, list, create, patch, delete, apply, grant, bind,
    allowed, request …) act as `admin`, answer at once, and may be called from any thread, also from a coroutine.

    Attributes:
        admin: a user in `system:masters`.
        storage, registry, controllers: the inside, for controllers and for the curious.
        faults: what goes wrong on purpose.
        audit: who asked what, exactly.
        clock: the time of this cluster; `client()` makes it follow the loop that the client runs on.
    """

    storage: Storage
    registry: Registry
    controllers: list[Controller]
    faults: Faults
    clock: Clock
    admin: Identity

    @classmethod
    def start(
        cls,
        *,
        http: bool = False,
        users: Iterable[str] | Mapping[str, Iterable[str]] = (),
        kubelet: bool = True,
        controllers: Iterable[str] | None = None,
        seed: int = 0,
        folder: Path | None = None,
    ) -> EmbeddedCluster:
        """Start a cluster.

        Args:
            http: open the door on loopback as well; identities then have a kubeconfig.
            users: names of users to make, or names with their groups; `user()` makes others on demand.
            kubelet: let pods become ready.
            controllers: the names of those that run; all by default.
            seed: for names, uids and faults.
            folder: where kubeconfigs are kept; a temporary folder by default.
        """
        raise NotImplementedError

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = JSON,
        query: Mapping[str, str] | None = None,
        user: Identity | None = None,
    ) -> dict[str, Any]:
        """Send one JSON request (as `admin` by default) and return the decoded answer; raise as `ControlPlane` does."""
        raise NotImplementedError

    def user(self, name: str, groups: Iterable[str] = ()) -> Identity:
        """Return a user; made where there is none of this name."""
        raise NotImplementedError

    def service_account(self, namespace: str, name: str) -> Identity:
        """Return a ServiceAccount with a new token; it and its namespace are created where missing."""
        raise NotImplementedError

    def client(self, identity: Identity | None = None) -> Client:
        """Return a client that talks to this cluster in process; belongs to the running loop."""
        raise NotImplementedError

    def tick(self) -> float | None:
        """Run the controllers that are due; return when the next one is."""
        raise NotImplementedError

    def compact(self) -> None:
        """Forget all history: old resource versions are 410 from now on."""
        self.storage.compact()

    def requests(self) -> list[AuditRequest]:
        raise NotImplementedError

    def stop(self) -> None:
        """End watches, close the doors, remove the files. May be called again."""

    def __enter__(self) -> EmbeddedCluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
