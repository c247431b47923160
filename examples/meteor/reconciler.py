"""A Meteor has a Coma of its name in every namespace that its Shower names: its stand-in, which may own things there.

An owner reference may not lead into another namespace: the garbage collector would delete the Coma. So each names the
other in its status, a label leads from a Coma to its Meteor, and finalizers take them away in order. Where Comas may be
is written down before they are made (`status.namespaces`): none is forgotten.
"""

from collections.abc import Iterable
from typing import Annotated, Any

import attrs
from msgspec import Meta, Struct

from scopedcache import GVK, Controller, Need, Request, ResourceCache, Result, Watch, kit

METEOR, SHOWER, COMA = (GVK("meteor.zone", "v1alpha1", kind) for kind in ("Meteor", "Shower", "Coma"))
PARENT, LABEL, FINALIZER = "shower.meteor.zone", "meteor.zone/meteor", "meteor.zone/finalizer"


class ExternalService(Struct):
    name: str
    namespace: str = ""
    url: str = ""


class ShowerSpec(Struct):
    externalServices: list[ExternalService] = []


class MeteorSpec(Struct):
    url: Annotated[str, Meta(pattern="^https?://")]
    ref: str = ""
    ttl: Annotated[int, Meta(ge=1, description="Seconds after which it deletes itself.")] | None = None


class MeteorStatus(kit.PlacedStatus):
    phase: str = ""
    comas: list[kit.ObjectReference] = []  # noqa: RUF012


class ComaSpec(Struct):
    """Empty."""


class ComaStatus(Struct):
    owner: kit.ObjectReference | None = None


@attrs.frozen
class MeteorReconciler:
    setup: kit.Setup

    async def reconcile(self, request: Request) -> Result | None:
        client, shown = self.setup.client, self.setup.cache.cluster
        meteor = shown.get(METEOR, request.key)
        if meteor is None:
            return None
        showers, ours = shown.in_namespace(meteor.namespace).list(SHOWER), kit.LabelRoute(LABEL, uid=meteor.uid)
        named = [one for one in showers if len(showers) == 1 or one.name == meteor.labels.get(PARENT)]
        shower = named[0] if named else None
        left = await kit.expire(client, meteor, meteor.at("spec", "ttl"))
        if left == 0:
            return None  # it is deleted: we are called again
        meteor = await kit.adopt(client, shower, meteor) if shower else meteor

        async def place(scope: ResourceCache) -> dict[str, Any] | None:
            coma = scope.get(COMA, meteor.name)
            if coma is None or (coma.deletion_timestamp and ours.is_ours(coma) and not await remove(scope)):
                fresh = kit.new_object(COMA, meteor.name, scope.namespace, finalizers=[FINALIZER], spec={})
                coma = await client.create(ours.mark(fresh))
            if not ours.is_ours(coma):
                return None
            await kit.patch_status(client, coma, {"owner": kit.reference_to(meteor, controller=True)})
            return kit.reference_to(coma)

        async def remove(scope: ResourceCache) -> bool:
            coma = scope.get(COMA, meteor.name)
            if coma is None or not ours.is_ours(coma):
                return False
            return not await kit.delete_finalized(client, coma, FINALIZER)

        services = shower.at("spec", "externalServices", default=[]) if shower else []
        wanted = {service["namespace"] for service in services if service.get("namespace")}
        needs = [Need(COMA, verbs=("create", "delete", "patch"), route=ours, told_of=meteor.name)]
        placed = await kit.place_in_each(self.setup.cache, meteor, needs, wanted, place, remove, finalizer=FINALIZER)
        seen = {one["namespace"]: one for one in meteor.at("status", "comas", default=[])}
        comas = {name: seen[name] for name in placed.left & seen.keys() - placed.done.keys()}
        comas |= {name: one for name, one in placed.done.items() if one}
        failed = shower is None or None in placed.done.values()
        phase = "Failed" if failed else "Ready" if wanted <= placed.done.keys() else "Building"
        await placed.report(client, phase=phase, comas=[comas[name] for name in sorted(comas)])
        return Result(requeue_after=left)


def assemble(setup: kit.Setup) -> Iterable[Controller]:
    yield Controller(
        for_=METEOR, reconcile=MeteorReconciler(setup), namespaces=setup.options.namespaces,
        watches=[Watch(SHOWER, setup.beside(METEOR)), Watch.selecting("namespaces", kit.placed_in)],
        workers=setup.options.workers,
    )  # fmt: skip
