"""A Namespace for each User, and what a User's groups may do in it: `python -m examples.users --kubeconfig PATH`."""

from scopedcache.kit import Program, Rights, Rule, crd

from .reconciler import GROUPS, UserSpec, assemble

RBAC = "rbac.authorization.k8s.io"

PROGRAM = Program(
    assemble,
    name="users",
    crds=[crd("example.com", "v1", "User", UserSpec, scope="Cluster", short_names=["usr"],
              columns={"Name": ".spec.display_name", "Age": ".metadata.creationTimestamp"})],
    rights=Rights(
        cluster=[Rule("users.example.com", "list watch"), Rule("namespaces", "create list watch")],
        in_namespace=[Rule(f"rolebindings.{RBAC}", "create delete list patch watch"),
                      Rule(f"clusterroles.{RBAC}", "bind", ["view", "edit"])],
        home=[Rule("configmaps", "list watch")],
        default=[Rule("events.events.k8s.io", "create patch")],
    ),
)  # fmt: skip

if __name__ == "__main__":
    PROGRAM.run()
