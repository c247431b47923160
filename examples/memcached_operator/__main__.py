"""The command: `python -m examples.memcached_operator --kubeconfig PATH`; in a Pod, without flags.

Exit status: 0 it was asked to stop; 1 something unexpected; 2 the command line; 3 the kubeconfig, the server or an
address is not usable.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from contextlib import suppress

from scopedcache import Client, ForbiddenError, ScopedCache, ScopedCacheError
from scopedcache.controller import Controller, LeaderElection, Manager, stop_signals
from scopedcache.instrumentation import Counters
from scopedcache.kit import configure_logging

from .operand import MEMCACHED
from .reconciler import MemcachedReconciler
from .status import refused

LEASE = "86f835c3.example.com"
SYSTEM = "scoped-memcached-operator-system"
_log = logging.getLogger("memcached-operator")


def main() -> int:
    """Run until SIGTERM or SIGINT; return the exit status."""
    options = _parser().parse_args()
    configure_logging(options.log_format, "memcached-operator", verbose=options.verbose)
    try:
        asyncio.run(_run(options))
    except (ScopedCacheError, ValueError) as error:
        _log.critical("operator.failed", extra={"error": str(error)}, exc_info=options.verbose)
        return 3
    return 0


async def _run(options: argparse.Namespace) -> None:
    counters = Counters()
    async with Client.connect(kubeconfig=options.kubeconfig, context=options.context) as client:
        with suppress(ForbiddenError):  # an answer all the same: the server is there and knows us
            await client.version()
        async with ScopedCache(client, detection_bound=options.detection_bound, instrumentation=counters) as cache:
            reconciler = MemcachedReconciler(cache, client)
            manager = Manager(
                cache,
                controllers=[
                    Controller(for_=MEMCACHED, reconcile=reconciler, on_forbidden=refused, workers=options.workers)
                ],
                leader_election=LeaderElection(LEASE, namespace=SYSTEM) if options.leader_elect else None,
                health_address=options.health_address,
                metrics_address=options.metrics_address,
                stop_timeout=3.0,
                instrumentation=counters,
                name="memcached-operator",
            )
            _log.info("operator.ready", extra={"workers": options.workers, "bound": round(cache.bound, 1)})
            with stop_signals() as stop:
                await manager.run(stop)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.memcached_operator", description=__doc__)
    parser.add_argument("--kubeconfig", help="the kubeconfig; without it KUBECONFIG, the Pod's account, ~/.kube/config")
    parser.add_argument("--context", help="a context of the kubeconfig")
    parser.add_argument("--leader-elect", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--health-address", default="127.0.0.1:8081", help="for /healthz and /readyz")
    parser.add_argument("--metrics-address", default="127.0.0.1:8080", help="for /metrics")
    parser.add_argument("--detection-bound", type=float, default=10.0, help="seconds to notice a change of rights in")
    parser.add_argument("--workers", type=int, default=4, help="custom resources reconciled at the same time")
    parser.add_argument("--log-format", choices=("text", "json"), default="text")
    parser.add_argument("-v", "--verbose", action="store_true", help="more lines, and tracebacks")
    return parser


if __name__ == "__main__":
    sys.exit(main())
