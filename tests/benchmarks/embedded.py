"""`python -m tests.benchmarks.embedded`: time the embedded cluster, several times, and print targets and medians.

Ends with status 0 when everything ran, every watch told exactly what was written, and (with `--acceptance`) every row
held; a missed target is only shown. Where the binaries of a real control plane are found, its kube-apiserver takes the
same writes in the same run.
"""

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, Literal

import scopedcache as sc
from scopedcache.testing import ControlPlane, MissingBinariesError
from tests.benchmarks import workloads
from tests.benchmarks.figures import Figures, Target, medians, table_of
from tests.benchmarks.workloads import WrongCountError, spent

EMBEDDED, REAL = "embedded", "kube-apiserver"
_ROOT: Final = Path(__file__).resolve().parent.parent.parent
_ACCEPTANCE_TIMEOUT: Final = 900.0
_WORK: tuple[Callable[[], dict[str, float]], ...] = (
    workloads.ready,
    workloads.embedded_writes,
    workloads.deliveries,
    workloads.operator_test,
)


class AcceptanceError(Exception):
    """The acceptance table did not hold, or did not run."""


def _row(
    name: str, key: str, unit: str, bound: float | None = None, better: Literal["more", "less"] = "less"
) -> Target:
    return Target(name, key, unit, bound, better, source=EMBEDDED)


def _rate(name: str, key: str, bound: float | None = None) -> tuple[Target, Target]:
    per_cpu = _row("  per CPU second", f"{key}_per_cpu_s", "/s", better="more")
    return _row(name, f"{key}_per_s", "/s", bound, "more"), per_cpu


def _time(name: str, key: str, bound: float) -> tuple[Target, Target]:
    return _row(name, f"{key}_ms", "ms", bound), _row("  of it CPU", f"{key}_cpu_ms", "ms")


TARGETS: Final = (
    *_time("ready, in process", "ready", 50),
    *_time("ready, first HTTPS answer", "ready_http", 50),
    *_rate("creates through a client", "creates", 5_000),
    Target("creates through a client", "creates_per_s", "/s", peer=REAL, source=EMBEDDED),
    *_rate("merge patches through a client", "patches", 5_000),
    Target("merge patches through a client", "patches_per_s", "/s", peer=REAL, source=EMBEDDED),
    *_rate("creates by `cluster.request`", "admin_creates"),
    *_rate("merge patches by `cluster.request`", "admin_patches"),
    *_rate(f"deliveries to {workloads.WATCHES} watches", "deliveries", 20_000),
    *_time("a test of an operator", "test", 100),
    _row("the acceptance table", "acceptance_s", "s", 20),
    _row("  of it CPU", "acceptance_cpu_s", "s"),
)


def main() -> int:
    """Run everything and return the exit status."""
    options = _parse()
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:4.0f} s] {text}", flush=True)

    try:
        results = {EMBEDDED: medians(_rounds(options.runs, say))}
        try:
            results[REAL] = medians(_real_writes(options.runs, say))
        except MissingBinariesError as missing:
            say(f"{REAL}: SKIPPED, {missing}")
        if options.acceptance:
            say("the acceptance table, on the embedded cluster")
            results[EMBEDDED] |= _acceptance()
        else:
            say("the acceptance table: SKIPPED, it wants --acceptance")
    except (WrongCountError, AcceptanceError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    print(f"\nmedians of {options.runs}; {workloads.WRITERS} requests under way at a time, {os.cpu_count()} cores\n")
    print(f"{table_of(TARGETS, results)}\n\nEvery watch told what was written. {time.monotonic() - began:.0f} s")
    return 0


def _rounds(runs: int, say: Callable[[str], None]) -> Iterator[Figures]:
    for number in range(runs):
        figures: dict[str, float] = {}
        for work in _WORK:
            figures |= work()
        say(f"embedded, run {number + 1} of {runs}: {_brief(figures)}")
        yield figures


def _real_writes(runs: int, say: Callable[[str], None]) -> Iterator[Figures]:
    with ControlPlane.start(kubelet=False, controllers=()) as plane:
        for number in range(runs):
            namespace = f"bench-{number}"
            plane.create_namespace(namespace)
            connect = partial(sc.Client.connect, kubeconfig=plane.admin.kubeconfig)
            figures = asyncio.run(workloads.client_writes(connect, namespace))
            say(f"{REAL}, run {number + 1} of {runs}: {_brief(figures)}")
            yield figures


def _brief(figures: Figures) -> str:
    names = ("ready_ms", "creates_per_s", "patches_per_s", "deliveries_per_s", "test_ms")
    return ", ".join(f"{name} {figures[name]:,.4g}" for name in names if name in figures)


def _acceptance() -> dict[str, float]:
    """Run the acceptance table as anybody would, and return its seconds.

    Raises:
        AcceptanceError: its exit status is not 0, or it never ended.
    """
    with tempfile.TemporaryDirectory(prefix="scopedcache-bench-") as folder:
        command = [sys.executable, "-m", "tests.acceptance", "--json", str(Path(folder) / "acceptance.json")]
        environment = os.environ | {"CLUSTER": "embedded"}
        try:
            with spent(_used_by_children) as took:
                done = subprocess.run(
                    command, cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=_ACCEPTANCE_TIMEOUT
                )
        except subprocess.TimeoutExpired as error:
            raise AcceptanceError(f"the acceptance table was not done after {_ACCEPTANCE_TIMEOUT:.0f} s") from error
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-10:])
        raise AcceptanceError(f"the acceptance table ended with status {done.returncode}:\n{last}")
    return {"acceptance_s": took.wall, "acceptance_cpu_s": took.cpu}


def _used_by_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _parse() -> argparse.Namespace:
    about = __doc__.splitlines()[0] if __doc__ else None
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.embedded", description=about)
    parser.add_argument("--runs", type=int, default=5, help="rounds to take the medians of (5)")
    parser.add_argument("--acceptance", action="store_true", help="run the acceptance table too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
