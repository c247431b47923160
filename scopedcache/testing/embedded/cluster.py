"""A cluster in this process: started in milliseconds, used, harmed and ended by tests."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from ...api.client import Client
from ...errors import ScopedCacheError
from ..identities import Identity, make_identity, service_account_groups
from ..rbac import Rights
from ..resources import Resources, wait_for
from ..rest import JSON, read_answer
from .admission.hooks import Callback
from .auth.bootstrap_roles import bootstrap
from .auth.rbac_authorizer import MASTERS
from .clock import Clock
from .controllers.controller import Controller, chosen, standard
from .controllers.controller_rounds import ControllerRounds
from .doors.in_process_transport import EmbeddedTransport
from .faults import Fault, Faults
from .front_ends import FrontEnd, Meanwhile
from .kinds.kind_registry import Registry
from .server.api_server import FEATURE_GATES, Question, Server
from .server.audit_log import Audit
from .server.watches import Watch
from .storage.history import History
from .storage.replica import Replica
from .storage.storage import Storage
from .wire.messages import Answer, Request

ADMIN: Final = "admin"


class EmbeddedCluster(Resources, Rights):
    """An API server with its controllers, in process. The shape is that of `ControlPlane`.

    Use `EmbeddedCluster.start(...)` in a `with`. Plain methods (get, list, create, patch, delete, apply, grant, bind,
    allowed, request …) act as `admin`, answer at once, and may be called from any thread, also from a coroutine.

    Attributes:
        admin: a user in `system:masters`.
        lock: held while anything is read or changed.
        front_ends: its API servers; the first one is `server`, and `front_end()` adds others.
        storage, registry, server: the inside, for controllers and for the curious.
        faults: what goes wrong on purpose.
        audit: who asked what, exactly.
        clock: the time of this cluster; `client()` makes it follow the loop that the client runs on.
        url, ca_file: where the door on loopback is, and what its clients trust; empty without one.
    """

    wait_for = staticmethod(wait_for)

    def __init__(self, folder: Path | None, controllers: Iterable[str] | None, *, kubelet: bool, seed: int) -> None:
        """Put the parts together; `start` opens the doors."""
        Resources.__init__(self, self.request)
        Rights.__init__(self, self.request)
        self.clock = Clock()
        self.storage = Storage(seed=seed)
        self.registry = Registry()
        self.server = Server(self.storage, self.registry, seed=seed)
        self.faults = Faults(seed)
        self.audit = Audit()
        self.url = ""
        self.ca_file = Path()
        self.lock = threading.RLock()
        self._folder = folder
        self._kept = folder is not None
        self._doors = ExitStack()
        self._identities: dict[str, Identity] = {}
        self.front_ends = [FrontEnd(self, 0, self.server)]
        running = chosen(standard(self.storage, self.registry, self.server.admission), controllers, kubelet=kubelet)
        self._rounds = ControllerRounds(self.clock, self._run_due, [self.server.definitions, *running])
        self.storage.subscribe(self._rounds.observe)
        bootstrap(self.storage, self.registry, self.clock.now())
        self.admin = self.user(ADMIN, (MASTERS,))
        self.tick()
        # The watch caches of a server begin when it does: what was before is too old for every watch.
        self.storage.compact()

    @classmethod
    def start(
        cls,
        *,
        http: bool = False,
        users: Iterable[str] | Mapping[str, Iterable[str]] = (),
        kubelet: bool = True,
        controllers: Iterable[str] | None = None,
        feature_gates: Iterable[str] = (),
        seed: int = 0,
        folder: Path | None = None,
    ) -> EmbeddedCluster:
        """Start a cluster and return it when it is ready for use.

        Args:
            http: open the door on loopback as well; identities then have a kubeconfig.
            users: names of users to make, or names with their groups; `user()` makes others on demand.
            kubelet: let pods become ready.
            controllers: the names of those that run; all by default.
            feature_gates: what to switch on of what a server does not do by default: `ShardedListAndWatch`.
            seed: for names, uids and faults.
            folder: where kubeconfigs are kept; a temporary folder by default.

        Raises:
            ScopedCacheError: `http` needs a certificate, and the extra `scopedcache[testing]` is not installed.
            ValueError: a feature gate is not known here.
        """
        gates = frozenset(feature_gates)
        if unknown := gates - set(FEATURE_GATES):
            raise ValueError(f"no feature gates: {', '.join(sorted(unknown))}; known here: {', '.join(FEATURE_GATES)}")
        cluster = cls(folder, controllers, kubelet=kubelet, seed=seed)
        cluster.server.feature_gates |= gates
        try:
            if http:
                cluster._open_door()
            for name, groups in (users if isinstance(users, Mapping) else dict.fromkeys(users, ())).items():
                cluster.user(name, groups)
        except BaseException:
            cluster.stop()
            raise
        return cluster

    # -- who, and as whom ----------------------------------------------------------------------------------------

    def user(self, name: str, groups: Iterable[str] = ()) -> Identity:
        """Return a user; made where there is none of this name."""
        known = self._identities.get(name)
        if known is None:
            groups = tuple(groups)
            known = self._identities[name] = self._identity(name, groups, self.server.authenticator.add(name, groups))
        return known

    def service_account(self, namespace: str, name: str, *, expiration_seconds: int = 3600) -> Identity:
        """Return a ServiceAccount with a new token; it and its namespace are created where missing.

        `refresh()` of the result requests another token.
        """
        self.create_namespace(namespace)
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}"
        if self.get("serviceaccounts", name, namespace) is None:
            self.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}, namespace)

        def request_token() -> str:
            body = {"spec": {"expirationSeconds": expiration_seconds}}
            return str(self.request("POST", path + "/token", body)["status"]["token"])

        username, groups = f"system:serviceaccount:{namespace}:{name}", service_account_groups(namespace)
        about = {"kind": "ServiceAccount", "namespace": namespace, "name": name, "request_token": request_token}
        return self._identity(username, groups, request_token(), **about)

    def client(self, identity: Identity | None = None) -> Client:
        """Return a client that talks to this cluster in process, as `admin` by default; it belongs to one loop.

        `ScopedCache(cluster.client(identity))` is a cache on it; a loop with virtual time makes waiting cost nothing.
        """
        return self._client(identity, (0,))

    # -- several API servers -------------------------------------------------------------------------------------

    def front_end(self, *, lag: float = 0.0) -> FrontEnd:
        """Add an API server on the same storage, that hears of every change `lag` seconds after it was written.

        Its rights, its watches and its lists of any version are old; writes and lists of the newest state are not.
        """
        with self.lock:
            replica = Replica(self.storage, lag)
            self._rounds.controllers.append(replica)
            self.front_ends.append(FrontEnd(self, len(self.front_ends), self.server.beside(replica), replica))
            return self.front_ends[-1]

    def balanced_client(self, identity: Identity | None, front_ends: Sequence[FrontEnd]) -> Client:
        """Return a client behind a load balancer: each request and each watch goes to the next of the front ends."""
        return self._client(identity, [front_end.number for front_end in front_ends])

    @property
    def controllers(self) -> list[Controller]:
        """Return what runs in this cluster, the replicas of its front ends included."""
        return self._rounds.controllers

    # -- requests ------------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = JSON,
        accept: str = JSON,
        query: Mapping[str, str] | None = None,
        user: Identity | None = None,
    ) -> dict[str, Any]:
        """Send one JSON request (as `admin` by default) and return the decoded answer. Faults do not apply.

        Raises:
            APIError: the server refused; the leaf of its status code, with the server's message.
        """
        headers = {"authorization": f"Bearer {(user or self.admin).token}", "accept": accept}
        content = b"" if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
        if content:
            headers["content-type"] = content_type
        asked = Request(method, quote(path), tuple((query or {}).items()), headers, content)
        with self.lock:
            self._run_due()
            reply = self.finish(self.server.understand(asked, self.now()))
        if isinstance(reply, Watch):
            self.close(reply)
            raise ScopedCacheError("a watch is for a client: `cluster.client().watch(…)`")
        return read_answer(method, path, reply.code, reply.body)

    def begin(self, request: Request) -> tuple[Fault | None, Question]:
        """Understand a request, and find what goes wrong with it. For doors."""
        with self.lock:
            self._run_due()
            now = self.now()
            front_end = self.front_ends[request.server]
            question = front_end.server.understand(request, now)
            fault = self.faults.strike(question, now)
            if fault is not None and fault.code:
                self.audit.note(question, fault.code, now)
            elif fault is None or not fault.refuse:
                question.wait = front_end.wait(question, now)
            return fault, question

    def serves(self, question: Question) -> bool:
        """Tell whether the server that was asked is still there: it has not restarted since. For doors."""
        return question.starts == self.front_ends[question.request.server].server.starts

    def finish(self, question: Question) -> Answer | Watch:
        """Answer a request, then let the controllers see what it changed. For doors."""
        with self.lock:
            self._run_due()
            now = self.now()
            reply = self.front_ends[question.request.server].server.answer(question, now)
            if isinstance(reply, Answer):
                self.audit.note(question, reply.code, now)
            else:
                record = self.audit.note(question, 200, now, is_open=True)
                reply.closed.append(lambda: record.end(self.now()))
            if self._rounds.pending:
                self.tick()
            return reply

    def take(self, watch: Watch) -> list[bytes]:
        """Return what a watch has to send now. For doors."""
        with self.lock:
            now = self.now()
            if now >= watch.due:
                watch.tick(now)
            return watch.take()

    def close(self, watch: Watch) -> None:
        """Forget a watch whose client has gone, or has everything; not while another thread writes. For doors."""
        with self.lock:
            watch.close()

    # -- admission -----------------------------------------------------------------------------------------------

    @contextmanager
    def admission(
        self,
        resource: str,
        callback: Callback,
        *,
        name: str = "admission.example.com",
        operations: Iterable[str] = ("CREATE", "UPDATE", "DELETE"),
    ) -> Iterator[None]:
        """Let `callback` be asked about every write of a resource (`deployments.apps`, `pods/status`), in a `with`.

        It is given the `request` of an AdmissionReview and returns the `response`: `{"allowed": True}`, with `patch` a
        JSON patch (base64 or bytes), or `allowed` False and a `status`. It runs in the middle of a write, without a
        loop, and must not ask the cluster. Several are asked in the order in which they came; each sees what those
        before it have made.
        """
        with self.lock:
            hook = self.server.admission.add(resource, callback, name, frozenset(operations))
        try:
            yield
        finally:
            with self.lock:
                self.server.admission.remove(hook)

    # -- time ----------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Return the time of this cluster, in seconds since 1970."""
        return self.clock.now()

    def tick(self) -> float | None:
        """Run the controllers until nothing is left to do now; return when there is again, None: not by itself."""
        with self.lock:
            return self._rounds.run()

    def advance(self, seconds: float) -> None:
        """Let time pass at once, for a test that has no loop: everything due within it happens at its time."""
        with self.lock:
            self._rounds.advance(seconds)

    def go_by(self, loop: asyncio.AbstractEventLoop) -> None:
        """Go by the time of this loop, and run what is due on it."""
        if not self._rounds.knows(loop):
            with self.lock:
                self._rounds.go_by(loop)

    def compact(self) -> None:
        """Forget all history: old resource versions are 410 from now on."""
        with self.lock:
            self.storage.compact()
            self.tick()  # it is a version without a change: nothing else would show it to them
            for front_end in self.front_ends[1:]:
                front_end.seen.forget()

    def restart(self, *, down: float = 2.0, unready: float = 1.0, reviews: Meanwhile = "answered") -> None:
        """Restart the API server: lost watches, refused connections, false 403s. See `FrontEnd.restart`."""
        self.front_ends[0].restart(down=down, unready=unready, reviews=reviews)

    def back_up(self) -> History:
        """Return what is stored now, for `restore`."""
        with self.lock:
            return self.storage.copy()

    def restore(
        self, backup: History, *, down: float = 2.0, unready: float = 1.0, reviews: Meanwhile = "answered"
    ) -> None:
        """Put back what was stored, and restart the API servers: as an etcd that is restored from a snapshot.

        What was written since has never been, and resource versions go on from the older one. The rest is as for
        `FrontEnd.restart`.
        """
        with self.lock:
            for front_end in self.front_ends:
                front_end.restart(down=down, unready=unready, reviews=reviews)
            self.storage.restore(backup)
            for front_end in self.front_ends:
                front_end.start_over()
            self.tick()

    # -- end -----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End watches, close the doors, remove the files. May be called again."""
        atexit.unregister(self.stop)
        with self.lock:
            for watches in self.server.definitions.watches:
                watches.end_all()
            self._rounds.close()
        self._doors.close()
        if self._folder is not None and not self._kept:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> EmbeddedCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<EmbeddedCluster {self.url or 'in process'} at {self.storage.version}>"

    # -- inside --------------------------------------------------------------------------------------------------

    def _run_due(self) -> None:
        with self.lock:
            if self._rounds.due:
                self.tick()

    def _client(self, identity: Identity | None, servers: Sequence[int]) -> Client:
        loop = None
        with suppress(RuntimeError):  # outside of a loop: its first request says which one it belongs to
            loop = asyncio.get_running_loop()
        if loop is not None:
            self.go_by(loop)
        who = identity or self.admin
        return Client(EmbeddedTransport(self, lambda: who.token, servers), namespace=who.namespace)

    def _identity(self, username: str, groups: tuple[str, ...], token: str, **about: Any) -> Identity:
        folder = (self._folder or Path()) / "identities"
        return make_identity(folder, self.url, self.ca_file, username, groups, token, **about)

    def _open_door(self) -> None:
        from ...sync import Portal
        from .doors.http_door import HTTPDoor
        from .doors.server_certificate import server_context

        atexit.register(self.stop)
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="scopedcache-"))
        tls, self.ca_file = server_context(self._folder)
        door = HTTPDoor(self, tls)
        portal = self._doors.enter_context(Portal.start(timeout=10.0))
        self._doors.enter_context(portal.entered(door.serving))
        portal.call(lambda: self.go_by(asyncio.get_running_loop()))
        self.url = door.url
        self._doors.callback(self.server.watches.end_all)
        self._identities = {
            name: self._identity(name, known.groups, known.token) for name, known in self._identities.items()
        }
        self.admin = self._identities[ADMIN]
