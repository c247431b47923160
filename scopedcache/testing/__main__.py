"""`python -m scopedcache.testing`: a cluster in the foreground, recordings played, and the build of the real one."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from typing import Final, NoReturn

from ..errors import ScopedCacheError
from .control_plane import ControlPlane, builder
from .control_plane.build_targets import TARGETS
from .embedded import EmbeddedCluster
from .replay_command import replay

PEOPLE: Final = ("alice", "bob")
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
BINARIES: Final = ", ".join(target.name for target in TARGETS)
HELP: Final = """\
{ready}

  export KUBECONFIG={kubeconfig}
  kubectl get namespaces
  kubectl create deployment web --image=web --replicas=3    {pods}
  kubectl --kubeconfig={alice} auth can-i --list

Identities (a kubeconfig each; alice and bob have no rights until you grant some):
{identities}

{logs}Ctrl-C ends it and removes its files.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run until Ctrl-C or SIGTERM, or build. Return 0, or 1 after having said why it did not start."""
    options = parse(arguments)
    for number in SIGNALS:
        signal.signal(number, interrupt)
    if options.command == "build":
        return builder.main(names=options.names)
    try:
        if options.command == "replay":
            for line in replay(options.file, options.program, options.arguments):
                print(line, flush=True)
            return 0
        if options.command == "cluster":
            embedded(options)
        else:
            control_plane(options)
    except KeyboardInterrupt:
        return 0
    except ScopedCacheError as error:
        print(error, file=sys.stderr)
        return 1


def embedded(options: argparse.Namespace) -> NoReturn:
    """Run an embedded cluster until somebody ends it."""
    with EmbeddedCluster.start(http=True, kubelet=options.kubelet, users=PEOPLE) as cluster:
        print(instructions(cluster, f"An embedded cluster is ready: {cluster.url}", options), flush=True)
        while True:
            time.sleep(3600.0)


def control_plane(options: argparse.Namespace) -> NoReturn:
    """Run a real control plane until somebody ends it."""
    print("starting a control plane (a few seconds)", file=sys.stderr, flush=True)
    with ControlPlane.start(kubelet=options.kubelet, ha=options.ha, users=PEOPLE) as running:
        version = running.request("GET", "/version")["gitVersion"]
        pair = "".join(f"; another API server: {url}" for url in running.urls[1:])
        logs = f"Logs and the audit log: {running.layout.folder}\n"
        print(instructions(running, f"Kubernetes {version} is ready{pair}.", options, logs), flush=True)
        watch_over(running)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m scopedcache.testing")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    cluster = commands.add_parser("cluster", help="run an embedded cluster on loopback: no binaries, ready at once")
    command = commands.add_parser("control-plane", help="run etcd, kube-apiserver and controllers on loopback")
    for each in (cluster, command):
        each.add_argument(
            "--kubelet", action=argparse.BooleanOptionalAction, default=True, help="let pods become ready (the default)"
        )
    command.add_argument("--ha", action="store_true", help="run two API servers on the same etcd")
    build = commands.add_parser(
        "build", help="build the binaries of the control plane with Go, once; the last line names their folder"
    )
    build.add_argument(
        "names", nargs="*", metavar="BINARY", type=binary, help=f"only these, of {BINARIES}; by default all but kubelet"
    )
    again = commands.add_parser("replay", help="tell what a recording holds, or play it to a program in virtual time")
    again.add_argument("file", metavar="FILE", help="what --record, or ScopedCache(record=…), wrote")
    again.add_argument("--program", metavar="MODULE", help="a module that holds a Program, as in python -m")
    again.epilog = "What stands behind -- is the command line of the program."
    given = sys.argv[1:] if arguments is None else arguments
    end = given.index("--") if "--" in given else len(given)
    options = parser.parse_args(given[:end])
    options.arguments = given[end + 1 :]
    return options


def binary(name: str) -> str:
    """Return the name of a binary that can be built; refuse any other."""
    if name not in [target.name for target in TARGETS]:
        raise argparse.ArgumentTypeError(f"{name} is none of {BINARIES}")
    return name


def interrupt(*_: object) -> NoReturn:
    """Leave the way Ctrl-C does, once: later signals do not disturb the clean-up."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def watch_over(running: ControlPlane) -> NoReturn:
    """Say so once when a process ends by itself; never return."""
    told: set[str] = set()
    while True:
        time.sleep(1.0)
        for process in running.processes:
            if not process.running and process.name not in told:
                told.add(process.name)
                print(f"{process.name} ended; the end of its log:\n{process.tail()}", file=sys.stderr)


def instructions(
    cluster: ControlPlane | EmbeddedCluster, ready: str, options: argparse.Namespace, logs: str = ""
) -> str:
    """Return what a person does next."""
    people = [cluster.admin, *map(cluster.user, PEOPLE)]
    return HELP.format(
        ready=ready,
        kubeconfig=cluster.admin.kubeconfig,
        pods="# its pods become Ready" if options.kubelet else "# without a kubelet, its pods stay Pending",
        alice=people[1].kubeconfig,
        identities="\n".join(f"  {who.username:8} {who.kubeconfig}" for who in people),
        logs=logs,
    )


if __name__ == "__main__":
    sys.exit(main())
