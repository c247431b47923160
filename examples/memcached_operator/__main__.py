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

from typing import Final

from scopedcache.controller import Controller
from scopedcache.kit import Program, Setup

from .operand import MEMCACHED
from .reconciler import MemcachedReconciler
from .status import refusal_status

LEASE: Final = "86f835c3.example.com"
SYSTEM: Final = "scoped-memcached-operator-system"


def assemble(setup: Setup) -> list[Controller]:
    """Return what the operator runs."""
    reconciler = MemcachedReconciler(setup.cache, setup.client)
    return [
        Controller(for_=MEMCACHED, reconcile=reconciler, on_forbidden=refusal_status, workers=setup.options.workers)
    ]


PROGRAM: Final = Program(assemble, name="memcached-operator", lease=LEASE, namespace=SYSTEM)

if __name__ == "__main__":
    PROGRAM.run()
