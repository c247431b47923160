"""The command: `python -m examples.memcached_operator --kubeconfig PATH`; in a Pod, without flags.

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
import logging
import os
import sys
from typing import Final, NoReturn

from scopedcache import (
    APIError,
    Client,
    ForbiddenError,
    ProtocolError,
    ScopedCache,
    ScopedCacheError,
    TransportError,
    UnauthorizedError,
)
from scopedcache.controller import Controller, LeaderElection, Manager, stop_signals
from scopedcache.controller.manager.bind_address import add_address_options
from scopedcache.kit import configure_logging

from .operand import MEMCACHED
from .reconciler import MemcachedReconciler
from .status import refusal_status

LEASE: Final = "86f835c3.example.com"
SYSTEM: Final = "scoped-memcached-operator-system"
# Together with releasing the Lease, 2 s at most, it ends within 5 s whatever the server does; the Deployment's grace
# period is longer.
STOP_TIMEOUT_SECONDS: Final = 2.0
# What to do where the error itself does not say so, by who must act.
ADVICE: Final[dict[type[ScopedCacheError], str]] = {
    UnauthorizedError: "these credentials are expired or unknown: put a new token or certificate into the kubeconfig",
    APIError: "the server is there and refuses: look at its log, or at the address in the kubeconfig",
    TransportError: "check that the server runs, and its address and CA in the kubeconfig",
    ProtocolError: "this is no Kubernetes API server: check the address in the kubeconfig",
}
LOGGER: Final = "memcached-operator"
logger = logging.getLogger(LOGGER)


def main() -> int:
    """Run until SIGTERM or SIGINT; return the exit status."""
    options = parser().parse_args()
    configure_logging(options.log_format, LOGGER, verbose=options.verbose)
    try:
        asyncio.run(_run(options))
    except ScopedCacheError as error:
        advice = next((words for kind, words in ADVICE.items() if isinstance(error, kind)), None)
        fields = {"error": str(error)} | ({"advice": advice} if advice else {})
        logger.critical("operator.failed", extra=fields, exc_info=options.verbose)
        return 3
    except KeyboardInterrupt:  # before anything was begun
        pass
    return 0


async def _run(options: argparse.Namespace) -> None:
    async with Client.connect(kubeconfig=options.kubeconfig, context=options.context) as client:
        try:
            cache, manager = assemble(client, options)
        except ValueError as error:
            parser().error(str(error))
        with stop_signals() as stop:
            if await _wait_answer(client, stop):
                async with cache:
                    logger.info("operator.starting", extra={"workers": options.workers, "bound": round(cache.bound, 1)})
                    await manager.run(stop)


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


def assemble(client: Client, options: argparse.Namespace) -> tuple[ScopedCache, Manager]:
    """Put the operator together: its cache, and what runs on it.

    Raises:
        ValueError: an option makes no sense.
    """
    cache = ScopedCache(client, detection_bound=options.detection_bound)
    reconciler = MemcachedReconciler(cache, client)
    manager = Manager(
        cache,
        controllers=[
            Controller(for_=MEMCACHED, reconcile=reconciler, on_forbidden=refusal_status, workers=options.workers)
        ],
        leader_election=LeaderElection(LEASE, namespace=SYSTEM) if options.leader_elect else None,
        health_address=options.health_address,
        metrics_address=options.metrics_address,
        metrics_cert_path=options.metrics_cert_path,
        rights_page=options.rights_page,
        stop_timeout=STOP_TIMEOUT_SECONDS,
        name="memcached-operator",
    )
    return cache, manager


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """End with one line instead of the usage and a line."""
        self.exit(2, f"{self.prog}: {message} (--help lists the options)\n")


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    result = _Parser(
        prog="python -m examples.memcached_operator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("--kubeconfig", help="the kubeconfig; without it KUBECONFIG, the Pod's account, ~/.kube/config")
    result.add_argument("--context", help="a context of the kubeconfig")
    result.add_argument("--leader-elect", action=argparse.BooleanOptionalAction, default=True)
    add_address_options(result, os.environ)
    result.add_argument(
        "--metrics-cert-path", help="a folder with tls.crt and tls.key: /metrics over TLS, for tokens that may get it"
    )
    result.add_argument("--rights-page", action="store_true", help="/debug/rights, for kubectl port-forward")
    result.add_argument("--detection-bound", type=float, default=10.0, help="seconds to notice a change of rights in")
    result.add_argument("--workers", type=int, default=4, help="custom resources reconciled at the same time")
    result.add_argument("--log-format", choices=("text", "json"), default="text")
    result.add_argument("-v", "--verbose", action="store_true", help="more lines, and tracebacks")
    return result


if __name__ == "__main__":
    sys.exit(main())
