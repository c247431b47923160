"""Prometheus rules out of ConfigMaps of many namespaces: `python -m examples.rule_loader --kubeconfig PATH`."""

from argparse import ArgumentParser

from scopedcache.kit import Program, Rights, Rule

from .reconciler import assemble

EVENTS = Rule("events.events.k8s.io", "create patch")
RIGHTS = Rights(
    cluster=[Rule("namespaces", "list watch")],
    in_namespace=[Rule("configmaps", "list watch"), EVENTS],
    home=[Rule("configmaps", "create list update watch"), EVENTS],
)


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--promtool", default="promtool", help="judges rules")
    parser.add_argument("--reload-url", help="where Prometheus is told of new rules; without it, it is not")
    parser.add_argument("--keep-revoked", type=float, default=3600.0, help="seconds to keep what may not be seen now")


PROGRAM = Program(assemble, name="rule-loader", options=options, rights=RIGHTS)

if __name__ == "__main__":
    PROGRAM.run()
