"""A program around controllers: its command line, logging, signals, exit statuses, and the way to the server.

    PROGRAM = Program(assemble, name="users")

    def assemble(setup: Setup) -> Iterable[Part]:
        return [Controller(for_=USER, reconcile=UserReconciler(setup.cache), workers=setup.options.workers)]

    if __name__ == "__main__":
        PROGRAM.run()

Where it cannot begin, it ends with one line that names the cause and what to do about it:

| Exit status | What happened | What to do |
|---|---|---|
| 0 | SIGTERM or SIGINT asked it to stop; its Lease is released | nothing |
| 1 | a defect: nobody expected this | report it, with its traceback |
| 2 | an option makes no sense | correct the command line |
| 3 | no way to the server (kubeconfig, context, address, CA, token), or a port is taken | what the line says |

Once it runs, none of that ends it: it says what is wrong, /readyz answers 503, and it goes on when that is over. The
same holds for a CRD that is not installed yet.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import attrs
import yaml

from ..api import Client
from ..cache import ScopedCache
from ..controller import (
    Clusters,
    ClusterSecrets,
    Controller,
    EventRecorder,
    LeaderElection,
    Manager,
    Mapper,
    Runnable,
    stop_signals,
)
from ..controller.manager.bind_address import add_address_options
from ..errors import (
    APIError,
    ConfigurationError,
    ForbiddenError,
    ProtocolError,
    ScopedCacheError,
    TransportError,
    UnauthorizedError,
)
from ..identity import SERVICE_ACCOUNT_PREFIX, As
from ..kinds import Kind
from ..objects import Object
from .logs import configure_logging
from .rights import Rights

# Together with releasing the Lease, 2 s at most, it ends within 5 s whatever the server does; a Deployment's grace
# period is longer.
STOP_TIMEOUT_SECONDS: Final = 2.0
# What to do where the error itself does not say so, by who must act.
ADVICE: Final[dict[type[ScopedCacheError], str]] = {
    UnauthorizedError: "these credentials are expired or unknown: put a new token or certificate into the kubeconfig",
    APIError: "the server is there and refuses: look at its log, or at the address in the kubeconfig",
    TransportError: "check that the server runs, and its address and CA in the kubeconfig",
    ProtocolError: "this is no Kubernetes API server: check the address in the kubeconfig",
}
# As whom an owner is served that names no creator.
NOBODY: Final = "system:anonymous"

Manifest = dict[str, Any]
# What a program is made of.
Part = Controller | Runnable | Callable[[], Awaitable[None]]
AddOptions = Callable[[argparse.ArgumentParser], None]


@attrs.define(eq=False)
class Setup:
    """What a program's parts are made with.

    Attributes:
        cache: not open yet.
        options: the command line.
        namespace: where the program has its own objects: the kubeconfig's, else that of its ServiceAccount.
        clusters: the other clusters, where the program was told of some.
    """

    cache: ScopedCache
    options: argparse.Namespace
    namespace: str
    clusters: Clusters | None = None
    _manager: Manager | None = attrs.field(default=None, init=False)

    @property
    def client(self) -> Client:
        """Return the client of the cache."""
        return self.cache.client

    @property
    def recorder(self) -> EventRecorder:
        """Return who records Kubernetes Events. There is one once the parts are made: ask for it when they run."""
        if self._manager is None:
            raise RuntimeError("the program is not put together yet: ask for its recorder when there is an Event")
        return self._manager.recorder

    def warn(self, regarding: Object, reason: str, note: str) -> None:
        """Record a Warning Event about an object, as `EventRecorder.record` does: at once, and never failing."""
        self.recorder.record(regarding, reason, note, type="Warning")

    def every(self, kind: Kind) -> Mapper:
        """Return a mapper to all objects of a kind that is watched for everybody: for what concerns each of them."""
        return lambda _: [obj.key for obj in self.cache.cluster.list(kind)]

    def beside(self, kind: Kind) -> Mapper:
        """Return a mapper to all objects of a kind in the namespace of what changed."""
        return lambda changed: [obj.key for obj in self.cache.cluster.in_namespace(changed.namespace).list(kind)]

    def is_put_together(self, manager: Manager) -> None:
        """Say what runs the parts."""
        self._manager = manager


@attrs.frozen(eq=False)
class Program:
    """A program that connects to a cluster and runs controllers until it is asked to stop.

    The text of the module that `assemble` stands in is what `--help` begins with.

    Attributes:
        assemble: makes the parts; a ValueError says that an option makes no sense.
        name: of its logger, of its account, and who speaks in Kubernetes Events.
        lease: the Lease it leads by; its name, unless told otherwise.
        namespace: where its own objects are; the kubeconfig's, else that of its ServiceAccount, unless told otherwise.
        options: adds options of its own to the command line.
        priority: whether there is an option `--priority`: of several replicas the one with the lowest leads.
        creator: an annotation that names who made an owner: adds an option `--as-creator`, with which the cache serves
            each owner as that one (`ScopedCache(identity=…)`), and one that names nobody as nobody.
        clusters: whether there is an option `--clusters`: further clusters, by Secrets in the program's namespace that
            carry a label.
        crds: manifests that the argument `crd` prints.
        rights: what its account needs; the argument `rbac` prints it as manifests.
    """

    assemble: Callable[[Setup], Iterable[Part]]
    name: str = attrs.field(kw_only=True)
    lease: str = attrs.field(default=attrs.Factory(lambda self: self.name, takes_self=True), kw_only=True)
    namespace: str | None = attrs.field(default=None, kw_only=True)
    options: AddOptions | None = attrs.field(default=None, kw_only=True)
    priority: bool = attrs.field(default=False, kw_only=True)
    creator: str | None = attrs.field(default=None, kw_only=True)
    clusters: bool = attrs.field(default=False, kw_only=True)
    crds: tuple[Manifest, ...] = attrs.field(default=(), kw_only=True, converter=tuple[Manifest, ...])
    rights: Rights | None = attrs.field(default=None, kw_only=True)

    def run(self) -> NoReturn:
        """Run as the command that this process is, and end the process.

        What was imported until now stays: the interpreter's own garbage collector looks at it no more, which takes
        away most of the longest pause of an operator (a full collection: 5 ms where it were 23, at 100,000 objects).
        """
        gc.freeze()
        sys.exit(self.main())

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Run until SIGTERM or SIGINT; return the exit status."""
        options = self.parser().parse_args(arguments)
        if getattr(options, "manifests", None):
            sys.stdout.write(as_yaml(self.manifests(options.manifests)))
            return 0
        configure_logging(options.log_format, self.name, verbose=options.verbose)
        try:
            asyncio.run(self._run(options))
        except ScopedCacheError as error:
            advice = next((words for kind, words in ADVICE.items() if isinstance(error, kind)), None)
            fields = {"error": str(error)} | ({"advice": advice} if advice else {})
            logging.getLogger(self.name).critical("operator.failed", extra=fields, exc_info=options.verbose)
            return 3
        except KeyboardInterrupt:  # before anything was begun
            pass
        return 0

    def manifests(self, which: str) -> list[Manifest]:
        """Return the manifests that are called `crd` or `rbac`."""
        if which == "crd":
            return list(self.crds)
        return [] if self.rights is None else self.rights.manifests(self.name, self.lease, self.namespace)

    def put_together(
        self, client: Client, options: argparse.Namespace, namespace: str | None = None
    ) -> tuple[ScopedCache, Manager]:
        """Return the program's cache, not open yet, and what runs on it.

        Raises:
            ValueError: an option makes no sense.
            ConfigurationError: no namespace is given, and neither the program nor the kubeconfig names one.
        """
        namespace = namespace or self.namespace or client.namespace
        if namespace is None:
            raise ConfigurationError("the kubeconfig's context names no namespace")
        identity = self._creator_of if getattr(options, "as_creator", False) else None
        cache_options: dict[str, Any] = {"detection_bound": options.detection_bound, "identity": identity}
        cache = ScopedCache(client, **cache_options)
        clusters = None
        if labels := getattr(options, "clusters", None):
            clusters = Clusters(secrets=ClusterSecrets(namespace, labels), cache_options=cache_options)
        setup = Setup(cache, options, namespace, clusters)
        parts = list(self.assemble(setup))
        manager = Manager(
            cache,
            controllers=[part for part in parts if isinstance(part, Controller)],
            runnables=[part for part in parts if not isinstance(part, Controller)],
            leader_election=self._election(options, namespace) if options.leader_elect else None,
            health_address=options.health_address,
            metrics_address=options.metrics_address,
            metrics_cert_path=options.metrics_cert_path,
            rights_page=options.rights_page,
            stop_timeout=STOP_TIMEOUT_SECONDS,
            name=self.name,
            clusters=clusters,
        )
        setup.is_put_together(manager)
        return cache, manager

    def _creator_of(self, owner: Object) -> As:
        return As((owner.annotations or {}).get(self.creator or "") or NOBODY)

    def _election(self, options: argparse.Namespace, namespace: str) -> LeaderElection:
        return LeaderElection(self.lease, namespace=namespace, priority=options.priority if self.priority else None)

    def parser(self) -> argparse.ArgumentParser:
        """Return the command line."""
        place = self.assemble.__globals__
        spec = place.get("__spec__")
        module = self.assemble.__module__ if spec is None else spec.name.removesuffix(".__main__")
        # A script has no name but that of its file.
        name = Path(place.get("__file__") or sys.argv[0]).name if module == "__main__" else f"-m {module}"
        result = _Parser(
            prog=f"python {name}",
            description=place.get("__doc__"),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if self.crds or self.rights:
            which = [name for name, there in (("crd", self.crds), ("rbac", self.rights)) if there]
            result.add_argument("manifests", nargs="?", choices=which, help="print these manifests and end")
        result.add_argument(
            "--kubeconfig", help="the kubeconfig; without it KUBECONFIG, the Pod's account, ~/.kube/config"
        )
        result.add_argument("--context", help="a context of the kubeconfig")
        result.add_argument("--leader-elect", action=argparse.BooleanOptionalAction, default=True)
        if self.priority:
            result.add_argument(
                "--priority", type=int, default=0, metavar="N", help="of several replicas the one with the lowest leads"
            )
        add_address_options(result, os.environ)
        result.add_argument(
            "--metrics-cert-path",
            help="a folder with tls.crt and tls.key: /metrics over TLS, for tokens that may get it",
        )
        result.add_argument("--rights-page", action="store_true", help="/debug/rights, for kubectl port-forward")
        result.add_argument(
            "--detection-bound",
            type=float,
            metavar="SECONDS",
            help="notice a change of rights within so many seconds; without it 7.5, as the cache does",
        )
        result.add_argument(
            "--record", metavar="FILE", help="keep what is asked and answered in this new file; secrets are left out"
        )
        result.add_argument(
            "--record-bodies", action="store_true", help="keep whole objects there, too, but those of Secrets"
        )
        result.add_argument("--workers", type=int, default=4, help="custom resources reconciled at the same time")
        result.add_argument("--log-format", choices=("text", "json"), default="text")
        result.add_argument("-v", "--verbose", action="store_true", help="more lines, and tracebacks")
        if self.creator is not None:
            words = f"serve each object as whom its annotation {self.creator} names, by impersonation"
            result.add_argument("--as-creator", action="store_true", help=words)
        if self.clusters:
            words = "also in the clusters whose kubeconfigs are in the program's namespace, in Secrets with this label"
            result.add_argument("--clusters", metavar="KEY=VALUE", help=words)
        if self.options is not None:
            self.options(result)
        return result

    async def find_namespace(self, client: Client) -> str:
        """Return where the program has its own objects. Asks the server only where nothing else says so.

        Raises:
            ConfigurationError: we are no ServiceAccount.
        """
        if known := self.namespace or client.namespace:
            return known
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        user = str((await client.create(review)).at("status", "userInfo", "username", default=""))
        if not user.startswith(SERVICE_ACCOUNT_PREFIX):
            raise ConfigurationError(
                f"the kubeconfig's context names no namespace, and {user!r} is no ServiceAccount: name the namespace "
                f"for the Lease (kubectl config set-context --current --namespace={self.name}-system)"
            )
        return user.removeprefix(SERVICE_ACCOUNT_PREFIX).partition(":")[0]

    async def _run(self, options: argparse.Namespace) -> None:
        async with Client.connect(kubeconfig=options.kubeconfig, context=options.context) as client:
            if options.record:
                client.record(options.record, bodies=options.record_bodies)
            # Options that make no sense are told before anything is asked, where that can be.
            operator = self._checked(client, options) if self.namespace or client.namespace else None
            with stop_signals() as stop:
                if not await _wait_answer(client, stop):
                    return
                cache, manager = operator or self._checked(client, options, await self.find_namespace(client))
                async with cache:
                    logging.getLogger(self.name).info(
                        "operator.starting", extra={"workers": options.workers, "bound": round(cache.bound, 1)}
                    )
                    await manager.run(stop)

    def _checked(self, client: Client, options: argparse.Namespace, *namespace: str) -> tuple[ScopedCache, Manager]:
        try:
            return self.put_together(client, options, *namespace)
        except ValueError as error:
            self.parser().error(str(error))


def as_yaml(manifests: Iterable[Manifest]) -> str:
    """Return manifests as a YAML file."""
    plain = [json.loads(json.dumps(one)) for one in manifests]  # without what YAML would write as a reference
    return str(yaml.dump_all(plain, Dumper=_Dumper, sort_keys=False, width=120))


async def _wait_answer(client: Client, stop: asyncio.Event) -> bool:
    """Ask whether the server is there and knows us; False where we are asked to stop before it answered."""
    asking, stopping = asyncio.create_task(client.version()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({asking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if asking.done():
            asking.result()
    except ForbiddenError:
        pass  # an answer all the same
    finally:
        asking.cancel()
        stopping.cancel()
    return not stop.is_set()


class _Dumper(yaml.SafeDumper):
    """Writes lists of words in one line, as people do, and the items of other lists below their name."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        words = all(not isinstance(one, list | dict) for one in sequence)
        return super().represent_sequence(tag, sequence, flow_style=words)

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """End with one line instead of the usage and a line."""
        self.exit(2, f"{self.prog}: {message} (--help lists the options)\n")
