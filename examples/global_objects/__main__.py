"""Copies of an object of namespace admin in many: `python -m examples.global_objects --kubeconfig PATH`."""

from scopedcache.kit import Program, Rights, Rule, crd

from .reconciler import ADMIN, GlobalObjectSpec, GlobalObjectStatus, assemble

COLUMNS = {"Object Type": ".spec.type", "Object Name": ".spec.name", "Object Target Name": ".spec.targetName"}
CRD = crd("infra.einstein.ai", "v1beta", "GlobalObject", GlobalObjectSpec, status=GlobalObjectStatus,
          short_names=["go"], columns=COLUMNS)  # fmt: skip
RIGHTS = Rights(cluster=[Rule("namespaces", "list watch")],
                in_namespace=[Rule("configmaps secrets", "create delete list update watch")],
                home=[Rule("globalobjects.infra.einstein.ai", "list patch watch"),
                      Rule("globalobjects.infra.einstein.ai/status", "patch"),
                      Rule("configmaps secrets", "list watch"), Rule("events.events.k8s.io", "create")],
                namespace=ADMIN)  # fmt: skip
PROGRAM = Program(assemble, name="global-objects", priority=True, crds=[CRD], rights=RIGHTS,
                  creator="infra.einstein.ai/creator", clusters=True)  # fmt: skip

if __name__ == "__main__":
    PROGRAM.run()
