"""Objects in other namespaces that belong to one here: `python -m examples.meteor --kubeconfig PATH`."""

from argparse import ArgumentParser

from scopedcache.kit import Program, Rights, Rule, crd

from .reconciler import ComaSpec, ComaStatus, MeteorSpec, MeteorStatus, ShowerSpec, assemble

GROUP, VERSION, COLUMNS = "meteor.zone", "v1alpha1", {"Phase": ".status.phase", "Url": ".spec.url"}
CRDS = [crd(GROUP, VERSION, "Shower", ShowerSpec),
        crd(GROUP, VERSION, "Meteor", MeteorSpec, status=MeteorStatus, columns=COLUMNS),
        crd(GROUP, VERSION, "Coma", ComaSpec, status=ComaStatus)]  # fmt: skip
RIGHTS = Rights(
    cluster=[Rule("namespaces showers.meteor.zone", "list watch"),
             Rule("meteors.meteor.zone", "delete list patch watch"),
             Rule("meteors.meteor.zone/status", "patch")],
    in_namespace=[Rule("comas.meteor.zone", "create delete list patch watch"),
                  Rule("comas.meteor.zone/status", "patch")],
)  # fmt: skip


def options(parser: ArgumentParser) -> None:
    words = "where Meteors are read; everywhere, if left out"
    parser.add_argument("--namespaces", type=lambda text: text.split(","), metavar="NAME,NAME", help=words)


PROGRAM = Program(assemble, name="meteor", options=options, crds=CRDS, rights=RIGHTS)

if __name__ == "__main__":
    PROGRAM.run()
