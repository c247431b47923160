"""A set of Namespaces for each Tenant, and what keeps it in bounds: `python -m examples.tenants --kubeconfig PATH`."""

from argparse import ArgumentParser

from scopedcache.kit import Part, Program, Rights, Rule, Setup, crd

from .reconciler import ROLES, TenantSpec, TenantStatus, controller
from .web import servers

COLUMNS = {"Quota": ".spec.namespaceQuota", "Count": ".status.size", "Owner name": ".spec.owner.name",
           "Owner kind": ".spec.owner.kind", "Age": ".metadata.creationTimestamp"}  # fmt: skip
CRD = crd("capsule.clastix.io", "v1alpha1", "Tenant", TenantSpec, status=TenantStatus, scope="Cluster",
          short_names=["tnt"], columns=COLUMNS)  # fmt: skip
KINDS = "limitranges resourcequotas networkpolicies.networking.k8s.io rolebindings.rbac.authorization.k8s.io"
RIGHTS = Rights(
    cluster=[Rule("tenants.capsule.clastix.io", "list watch"), Rule("tenants.capsule.clastix.io/status", "patch"),
             Rule("namespaces", "list watch"),
             Rule("mutatingwebhookconfigurations.admissionregistration.k8s.io", "get list update watch", ["tenants"])],
    in_namespace=[Rule(KINDS, "create delete list patch watch"),
                  Rule("clusterroles.rbac.authorization.k8s.io", "bind", ROLES.values())],
    home=[Rule("secrets", "create"), Rule("secrets", "get list update watch", ["tenants-ca", "tenants-tls"])],
)  # fmt: skip


def assemble(setup: Setup) -> list[Part]:
    return [controller(setup), *servers(setup)]


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--webhook-address", help="where to answer the webhook (:9443); nowhere by default")
    parser.add_argument("--filter-address", help="where to list users their Namespaces (:9001); nowhere by default")
    parser.add_argument("--tls-hosts", help="names of the two, with commas; by default that of a Service `tenants`")
    parser.add_argument("--user-group", default="capsule.clastix.io", help="the group of those who use Tenants")


PROGRAM = Program(assemble, name="tenants", crds=[CRD], rights=RIGHTS, options=options)

if __name__ == "__main__":
    PROGRAM.run()
