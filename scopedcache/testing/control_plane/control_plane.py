"""A real control plane as plain processes on loopback: started, used, harmed and ended by tests."""

from __future__ import annotations

import atexit
import contextlib
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from ...api.client import Client
from ...errors import NotFoundError, ScopedCacheError
from ..identities import Identity, kubeconfig, make_identity, service_account_groups, write_private
from ..keys import new_private_key, private_pem
from ..rbac import Rights
from ..resources import Resources, wait_for
from ..rest import JSON, Rest
from . import flags
from .audit_log import AuditLog, Source
from .binaries import find_binaries
from .flags import ADMIN, CONTROLLER_MANAGER, CONTROLLERS, KUBELET, MASTERS, NODE_KUBELET, Flags, Layout, Login
from .node import Images, Node, Parts, find_parts
from .node import node as real_node
from .node.files import NodeLayout
from .processes import Process, ProcessError, free_ports, stop_together

ATTEMPTS: Final = 3
NODE: Final = "fake-node"
NODE_READY_SECONDS: Final = 60.0


class ControlPlane(Resources, Rights):
    """etcd, one or two API servers, a controller manager and a fake kubelet.

    Use `ControlPlane.start(...)` in a `with`, or call `stop()`. Everything blocks (an async test calls it through
    `asyncio.to_thread`) and may be called from any thread. What reads and writes objects comes from `Resources`, what
    grants and reviews rights from `Rights`; both act as `admin`.

    Attributes:
        admin: a user in `system:masters`.
        audit: who asked what, exactly.
        etcd, apiservers, controller_manager, kubelet: the processes; the last two are None where left out.
        node: the node that runs containers; None where left out.
    """

    def __init__(
        self,
        layout: Layout,
        users: Mapping[str, Iterable[str]],
        *,
        kubelet: bool,
        controllers: Iterable[str],
        apiserver_flags: Flags,
        etcd_flags: Flags,
        controller_manager_flags: Flags,
        key: str,
        node: NodeLayout | None = None,
    ) -> None:
        """Write the files and describe the processes; `start` runs them."""
        Resources.__init__(self, self.request)
        Rights.__init__(self, self.request)
        self.layout = layout
        self._rests = [Rest(url, str(layout.ca_file)) for url in layout.urls]
        logins = [
            Login(ADMIN, secrets.token_urlsafe(24), (MASTERS,)),
            Login(KUBELET, secrets.token_urlsafe(24), (MASTERS,)),
            Login(NODE_KUBELET, secrets.token_urlsafe(24), (MASTERS,)),
            Login(CONTROLLER_MANAGER, secrets.token_urlsafe(24)),
            *(Login(name, secrets.token_urlsafe(24), tuple(groups)) for name, groups in users.items()),
        ]
        self._identities = {login.username: self._identity(login) for login in logins}
        self.admin = self._identities[ADMIN]
        write_private(layout.tokens_file, flags.tokens_csv(logins))
        write_private(layout.key_file, key)
        write_private(layout.policy_file, flags.audit_policy())

        self.etcd = Process("etcd", flags.etcd_command(layout, etcd_flags), layout.log("etcd"), ready=self._etcd_ready)
        if node is not None:
            apiserver_flags = {"service-cluster-ip-range": node.services, **apiserver_flags}
        self.node = None if node is None else self._node(node)
        self.apiservers = [self._apiserver(number, apiserver_flags) for number in range(len(layout.urls))]
        self.audit = AuditLog([Source(layout.audit_log(n), p.is_running) for n, p in enumerate(self.apiservers)])
        self._controllers = tuple(controllers)
        self.controller_manager = self._controller_manager(controller_manager_flags) if self._controllers else None
        self.kubelet = self._kubelet() if kubelet else None

    @classmethod
    def start(
        cls,
        *,
        kubelet: bool = True,
        node: bool = False,
        ha: bool = False,
        users: Iterable[str] | Mapping[str, Iterable[str]] = (),
        controllers: Iterable[str] = CONTROLLERS,
        apiserver_flags: Flags | None = None,
        etcd_flags: Flags | None = None,
        controller_manager_flags: Flags | None = None,
        folder: Path | None = None,
    ) -> ControlPlane:
        """Start a control plane and return it when it is ready for use.

        Args:
            kubelet: let pods become ready.
            node: run a node beside the fake one, with containers (Linux, as root). Pods of images that were loaded into
                it run there, and so do those that name it in `spec.nodeName`; all others are the fake kubelet's.
            ha: run a second API server on the same etcd, keys and certificate.
            users: names of users with fixed tokens, with their groups where it is a mapping. The token file is read
                at the start only: who is needed later is a `service_account`.
            controllers: the controllers to run; none at all where empty.
            apiserver_flags, etcd_flags, controller_manager_flags: flags without the dashes; they replace ours by
                name, and remove where the value is None.
            folder: where to keep data and logs, which stay then; a temporary folder by default.

        Raises:
            MissingBinariesError: etcd, kube-apiserver or kube-controller-manager is not there.
            MissingPartsError: a node is wanted, and parts of it are not there.
            ProcessError: one did not start; the message ends with its log.
            ScopedCacheError: the extra `scopedcache[testing]` is not installed.
        """
        named = users if isinstance(users, Mapping) else dict.fromkeys(users, ())
        names = tuple(controllers)
        binaries, key = find_binaries(), private_pem(new_private_key())
        parts = find_parts() if node else None
        for attempt in range(1, ATTEMPTS + 1):
            place = Path(tempfile.mkdtemp(prefix="control-plane-", dir=folder)).absolute()  # its files name each other
            etcd, peer, manager, *servers = free_ports(5 if ha else 4)
            control_plane = cls(
                Layout(place, binaries, etcd, peer, tuple(servers), manager, keep_files=folder is not None),
                named,
                kubelet=kubelet,
                controllers=names,
                apiserver_flags=apiserver_flags or {},
                etcd_flags=etcd_flags or {},
                controller_manager_flags=controller_manager_flags or {},
                key=key,
                node=None if parts is None else new_node_layout(place, parts),
            )
            try:
                control_plane._start()
            except ProcessError as error:
                if error.port_clash and attempt < ATTEMPTS:
                    continue
                raise
            return control_plane
        raise AssertionError("the loop above returns or raises")

    wait_for = staticmethod(wait_for)

    @property
    def apiserver(self) -> Process:
        """Return the first API server."""
        return self.apiservers[0]

    @property
    def url(self) -> str:
        """Return the address of the first API server."""
        return self.layout.urls[0]

    @property
    def urls(self) -> tuple[str, ...]:
        """Return the addresses of all API servers."""
        return self.layout.urls

    @property
    def ca_file(self) -> Path:
        """Return the CA file that fits all API servers."""
        return self.layout.ca_file

    @property
    def processes(self) -> list[Process]:
        """Return the processes in the order in which they start."""
        parts = [p for p in (self.etcd, *self.apiservers, self.controller_manager, self.kubelet) if p is not None]
        return parts + (self.node.processes if self.node is not None else [])

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
        server: int = 0,
        timeout: float = 10.0,
    ) -> dict[str, Any]:
        """Send one JSON request (as `admin` by default) and return the decoded answer.

        Raises:
            APIError: the server refused; the leaf of its status code, with the server's message.
            TransportError: nobody answered.
        """
        token = (user or self.admin).token
        rest = self._rests[server]
        types = {"content_type": content_type, "accept": accept}
        return rest.request(method, path, body, token=token, **types, query=query, timeout=timeout)

    def user(self, name: str) -> Identity:
        """Return a user that was named at the start. Raise ScopedCacheError for any other name."""
        if name not in self._identities:
            raise ScopedCacheError(f"user {name} is not in the token file: name it in ControlPlane.start(users=…)")
        return self._identities[name]

    def service_account(self, namespace: str, name: str, *, expiration_seconds: int = 3600) -> Identity:
        """Return a ServiceAccount with a newly requested token; it and its namespace are created where missing.

        `refresh()` of the result requests another token. The server allows no less than 600 seconds.
        """
        self.create_namespace(namespace)
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}"
        if self.get("serviceaccounts", name, namespace) is None:
            self.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}, namespace)

        def request_token() -> str:
            spec = {"expirationSeconds": expiration_seconds}
            body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
            return str(self.request("POST", path + "/token", body)["status"]["token"])

        login = Login(f"system:serviceaccount:{namespace}:{name}", request_token(), service_account_groups(namespace))
        return self._identity(login, kind="ServiceAccount", namespace=namespace, name=name, request_token=request_token)

    def client(self, identity: Identity | None = None, *, server: int = 0) -> Client:
        """Return a client that talks to an API server, as `admin` by default; it belongs to one loop.

            async with plane.client(account) as client, ScopedCache(client) as cache: …

        Its namespace is that of a ServiceAccount.
        """
        who = identity or self.admin
        client = Client.connect(kubeconfig=self.kubeconfig_for(who, server) if server else who.kubeconfig)
        client.namespace = client.namespace or who.namespace
        return client

    def kubeconfig_for(self, identity: Identity, server: int) -> Path:
        """Write and return a kubeconfig that names another API server of the pair, with today's token."""
        path = identity.kubeconfig.with_suffix(f".{server}.kubeconfig")
        write_private(path, kubeconfig(self.urls[server], self.ca_file, identity.username, identity.token))
        return path

    def trust_anew(self) -> None:
        """Read the CA file again: after the API servers got another certificate."""
        for rest in self._rests:
            rest.forget()

    def stop(self) -> None:
        """End every process (SIGTERM, after a second SIGKILL) and remove the files. May be called again."""
        atexit.unregister(self.stop)
        if self.node is not None:
            self.node.stop()
        stop_together(reversed(self.processes))
        for rest in self._rests:
            rest.close()
        if not self.layout.keep_files:
            shutil.rmtree(self.layout.folder, ignore_errors=True)

    def __enter__(self) -> ControlPlane:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<ControlPlane {self.url}: {', '.join(repr(p) for p in self.processes)}>"

    def _start(self) -> None:
        atexit.register(self.stop)
        try:
            self.etcd.start()
            for server in self.apiservers:  # in turn: the first one writes the certificate for all
                server.start(timeout=60.0)
            if self.node is not None:
                self.node.start()
            helpers = [p for p in (self.controller_manager, self.kubelet) if p is not None]
            for process in helpers:
                process.launch()
            for process in helpers:
                process.wait_ready()
            if self.controller_manager is not None and "serviceaccount-controller" in self._controllers:
                wait_for(lambda: self.get("serviceaccounts", "default", "default"), what="the controllers to work")
            if self.node is not None:
                self._await_node(self.node)
        except BaseException:
            self.stop()
            raise

    def _identity(self, login: Login, **service_account: Any) -> Identity:
        folder = self.layout.folder / "identities"
        return make_identity(
            folder, self.url, self.ca_file, login.username, login.groups, login.token, **service_account
        )

    def _apiserver(self, number: int, extra: Flags) -> Process:
        name = f"kube-apiserver-{number}"
        return Process(
            name,
            flags.apiserver_command(self.layout, number, extra),
            self.layout.log(name),
            ready=lambda: self.request("GET", "/readyz", server=number, timeout=2.0).get("text") == "ok",
            on_start=lambda: self.audit.restarted(number),
        )

    def _controller_manager(self, extra: Flags) -> Process:
        layout = self.layout
        config = self._identities[CONTROLLER_MANAGER].kubeconfig
        own = layout.folder / "controller-manager" / "kube-controller-manager.crt"
        rest = Rest(f"https://127.0.0.1:{layout.controller_manager_port}", str(own))
        return Process(
            "kube-controller-manager",
            flags.controller_manager_command(layout, config, self._controllers, extra),
            layout.log("kube-controller-manager"),
            ready=lambda: rest.request("GET", "/healthz", token="", timeout=2.0).get("text") == "ok",
        )

    def _node(self, layout: NodeLayout) -> Node:
        kubeconfig = self._identities[NODE_KUBELET].kubeconfig
        return Node(layout, Images(layout.parts), url=self.url, kubeconfig=kubeconfig)

    def _await_node(self, node: Node) -> None:
        def is_ready() -> bool:
            if not node.kubelet.running:
                raise ProcessError(f"the node's kubelet ended; the end of its log:\n{node.kubelet.tail()}")
            return real_node.ready(self.get("nodes", node.name) or {})

        wait_for(is_ready, what="the node to be ready", timeout=NODE_READY_SECONDS)

    def _kubelet(self) -> Process:
        config = str(self._identities[KUBELET].kubeconfig)
        module = "scopedcache.testing.control_plane.kubelet"
        others = [] if self.node is None else ["--other-node", self.node.name]
        return Process(
            "kubelet",
            [sys.executable, "-m", module, "--kubeconfig", config, "--node", NODE, *others],
            self.layout.log("kubelet"),
            ready=self._node_ready,
        )

    def _etcd_ready(self) -> bool:
        with contextlib.closing(HTTPConnection("127.0.0.1", self.layout.etcd_port, timeout=2.0)) as connection:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200

    def _node_ready(self) -> bool:
        try:
            node = self.request("GET", f"/api/v1/nodes/{NODE}")
        except NotFoundError:
            return False
        return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))


def new_node_layout(place: Path, parts: Parts) -> NodeLayout:
    """Return where a node keeps its files, and a part of the network that nobody has here."""
    folder = place / "node"
    folder.mkdir()
    (port,) = free_ports(1)
    return NodeLayout(folder, parts, real_node.free_network(parts), port)
