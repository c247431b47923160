"""`python -m tests.faults.memory [CYCLES] [--page]`: what stays of the memory of watches that were all revoked.

An operator in a process of its own, on a real control plane, opens five kinds in sixty namespaces; then everything is
taken in one call, and given back, over and over. Resident memory is read when everything is open, and when everything
is closed and has been for a while.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Final

from .memory_operator import KINDS, PLACES
from .page import write_memory
from .servers import Real
from .storms import RBAC, ROLES, binding, role

RULE: Final = {
    "apiGroups": ["", "apps"],
    "resources": [kind.partition(".")[0] for kind in KINDS],
    "verbs": ["list", "watch"],
}
# Some objects that are not small.
OBJECTS: Final = 5
OBJECT_BYTES: Final = 4_000


def measure(cycles: int) -> tuple[float, list[tuple[float, float]]]:
    """Return resident memory in MiB at the start; then, for each cycle, with everything open and with nothing."""
    with Real.running() as server:
        furnish(server)
        command = [sys.executable, "-m", "tests.faults.memory_operator", str(server.kubeconfig())]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as operator:
            assert operator.stdout is not None
            said = (float(line) for line in operator.stdout)
            start, found = next(said), []
            for _ in range(cycles):
                full = next(said)
                server.admin.patch(ROLES, "memory", {"rules": []})
                found.append((full, next(said)))
                server.admin.patch(ROLES, "memory", {"rules": [RULE]})
            operator.kill()
        return start, found


def furnish(server: Real) -> None:
    server.admin.create(role("memory", [RULE]))
    subject = {"kind": "User", "apiGroup": RBAC, "name": server.operator.username}
    for place in PLACES:
        server.admin.create_namespace(place)
        for number in range(OBJECTS):
            server.admin.create(config_map(place, number))
        server.admin.create(binding(place, "memory", subject))


def config_map(namespace: str, number: int) -> dict[str, Any]:
    metadata = {"name": f"large-{number}", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"x": "x" * OBJECT_BYTES}}


def table_rows(start: float, found: Sequence[tuple[float, float]]) -> list[str]:
    """Return the lines of the table."""
    return [
        f"| {number} | {start:.1f} MiB | {full:.1f} MiB | {empty:.1f} MiB | {(empty / start - 1) * 100:.0f} % |"
        for number, (full, empty) in enumerate(found, 1)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cycles", type=int, nargs="?", default=5)
    parser.add_argument("--page", action="store_true", help="write what came of it into docs/faults.md")
    options = parser.parse_args()
    rows = table_rows(*measure(options.cycles))
    sys.stdout.write("\n".join(rows) + "\n")
    if options.page:
        write_memory(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
