"""An address of a pool for each Service of type LoadBalancer: `python -m examples.leifur --kubeconfig PATH`."""

from scopedcache.kit import Program, Rights, Rule

from .reconciler import assemble

EVENTS = Rule("events.events.k8s.io", "create patch")
RIGHTS = Rights(
    cluster=[Rule("namespaces", "list watch")],
    in_namespace=[Rule("services", "list watch"), Rule("services/status", "patch"), EVENTS],
    home=[Rule("configmaps", "create list update watch"), EVENTS],
)
PROGRAM = Program(assemble, name="leifur", rights=RIGHTS)

if __name__ == "__main__":
    PROGRAM.run()
