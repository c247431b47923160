"""A GlobalObject keeps copies of one object of namespace `admin` in the namespaces that it names or selects by labels.

Where copies may be is written down before they are made (`status.namespaces`): none is forgotten, whatever ends the
program in between, and to take them away needs nothing else.
"""

from collections.abc import Iterable
from typing import Annotated

import attrs
from msgspec import Meta, Struct

from scopedcache import GVK, Controller, Need, Object, Request, ResourceCache, Watch, kit

GLOBAL_OBJECT, NAMESPACE = GVK("infra.einstein.ai", "v1beta", "GlobalObject"), GVK("", "v1", "Namespace")
KINDS = {kind: GVK("", "v1", kind) for kind in ("ConfigMap", "Secret")}  # what may be copied: as in rbac.yaml
ADMIN, LABEL, FINALIZER = "admin", "infra.einstein.ai/global-object", "infra.einstein.ai/copies"


class MatchLabel(Struct):
    key: str
    value: str


class GlobalObjectSpec(Struct):
    type: Annotated[str, Meta(description="The kind of the parent: ConfigMap or Secret.")]
    name: Annotated[str, Meta(description="The parent, in namespace admin.", min_length=1)]
    targetName: Annotated[str, Meta(description="What the copies are called; as the parent, if left out.")] = ""
    targetNamespaces: list[str] = []
    matchLabels: list[MatchLabel] = []


class GlobalObjectStatus(kit.PlacedStatus):
    type: str = ""


@attrs.frozen
class GlobalObjectReconciler:
    setup: kit.Setup

    async def reconcile(self, request: Request) -> None:
        client, shown = self.setup.client, self.setup.cache.cluster
        if (wish := shown.get(GLOBAL_OBJECT, request.key)) is None:
            return
        spec, ours, source, wanted = wish["spec"], kit.LabelRoute(LABEL, uid=wish.uid), None, set[str]()
        name, type = spec.get("targetName") or spec["name"], wish.at("status", "type") or spec["type"]
        kind = KINDS.get(type, KINDS["Secret"])
        if spec["type"] == type in KINDS and not wish.deletion_timestamp:  # else the copies there are go first
            wanted = kit.selected_places(self.setup.cache, wish, targets(wish), self.setup.clusters)
            source = shown.in_namespace(ADMIN).get(kind, spec["name"])

        async def copy(scope: ResourceCache) -> str:
            seen = (await self.setup.cache.open(wish, kind)).get(kind, (ADMIN, spec["name"]))  # or it is denied here
            change = await kit.replicate(scope.client, seen, scope, name=name, ours=ours) if seen else "kept"
            if change in ("created", "updated"):
                told = f"{ADMIN}/{spec['name']} is copied to {scope.namespace}/{name}"
                self.setup.recorder.record(wish, change.title(), told)
            await kit.prune(scope.client, scope, kind, [name], ours=ours)  # those of another targetName
            return change

        async def remove(scope: ResourceCache) -> None:
            await kit.prune(scope.client, scope, kind, [], ours=ours)

        need = Need(kind, verbs=("create", "update", "delete"), route=ours, told_of=name)
        placed = await kit.place_in_each(self.setup.cache, wish, [need], wanted, copy, remove, finalizer=FINALIZER,
                                         status={"type": type}, clusters=self.setup.clusters)  # fmt: skip
        await placed.report(client, conditions(placed, source, len(wanted)), type=type if placed.left else None)


def targets(wish: Object) -> list[dict[str, str]]:
    """Return the labels of the namespaces that are to have a copy; any of them is enough."""
    names, labels = wish.at("spec", "targetNamespaces", default=[]), wish.at("spec", "matchLabels", default=[])
    return kit.namespaces_named(names) + [{one["key"]: one["value"]} for one in labels]


def conditions(placed: kit.Placed[str], source: Object | None, wanted: int) -> dict[str, tuple[bool, str, str]]:
    spec, foreign = placed.owner["spec"], sorted(name for name, change in placed.done.items() if change == "foreign")
    words, copies = f"somebody else's is in {', '.join(foreign)}" if foreign else "", len(placed.done) - len(foreign)
    reason, text = ("Copied" if copies == wanted else "Incomplete"), f"{copies} of {wanted} namespaces have a copy"
    if spec["type"] not in KINDS:
        reason, text = "UnsupportedType", f"type may be {' or '.join(KINDS)}"
    elif source is None:
        reason, text = "SourceMissing", f"there is no {spec['type']} {ADMIN}/{spec['name']}"
    return {"Conflict": (bool(foreign), "Foreign" if foreign else "NoConflict", words),
            "Replicated": (reason == "Copied", reason, text)}  # fmt: skip


def assemble(setup: kit.Setup) -> Iterable[Controller]:
    watches = [Watch(kind, setup.beside(GLOBAL_OBJECT), namespace=ADMIN) for kind in KINDS.values()]
    watches.append(Watch.selecting(NAMESPACE, lambda wish: targets(wish) + kit.placed_in(wish)))
    copies = Controller(for_=GLOBAL_OBJECT, reconcile=GlobalObjectReconciler(setup), namespaces=ADMIN, watches=watches,
                        workers=setup.options.workers)  # fmt: skip
    return [copies, *kit.namespaces_elsewhere(copies, setup.clusters)]
