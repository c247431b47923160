"""A Namespace for each User, and what a User's groups may do in it: `python -m examples.users --kubeconfig PATH`."""

from scopedcache.kit import Program, Rights, Rule, crd

from .reconciler import UserSpec, assemble

COLUMNS = {"Name": ".spec.display_name", "Age": ".metadata.creationTimestamp"}
CRD = crd("example.com", "v1", "User", UserSpec, scope="Cluster", short_names=["usr"], columns=COLUMNS)
RIGHTS = Rights(
    cluster=[Rule("users.example.com", "list watch"), Rule("namespaces", "create list watch")],
    in_namespace=[Rule("rolebindings.rbac.authorization.k8s.io", "create delete list patch watch"),
                  Rule("clusterroles.rbac.authorization.k8s.io", "bind", ["view", "edit"])],
    home=[Rule("configmaps", "list watch")],
    default=[Rule("events.events.k8s.io", "create patch")],
)  # fmt: skip
PROGRAM = Program(assemble, name="users", crds=[CRD], rights=RIGHTS)

if __name__ == "__main__":
    PROGRAM.run()
