"""A Tenant is a set of Namespaces: in each the same limits, network policies, quotas and rights of its owner.

A Namespace belongs to a Tenant by a label. Quotas hold for all its Namespaces together: once what they use reaches the
limit, each may keep what it uses and no more. Everything is owned by the Tenant and goes with it; no finalizer is
needed.
"""

from contextlib import suppress
from functools import partial
from typing import Annotated, Any, Literal

import attrs
from msgspec import Meta, Struct

from scopedcache import GVK, Controller, Need, Object, ObjectKey, Request, ResourceCache, ScopedCache, Watch, kit

TENANT, NAMESPACE = GVK("capsule.clastix.io", "v1alpha1", "Tenant"), GVK("", "v1", "Namespace")
LIMIT_RANGE, RESOURCE_QUOTA = GVK("", "v1", "LimitRange"), GVK("", "v1", "ResourceQuota")
NETWORK_POLICY = GVK("networking.k8s.io", "v1", "NetworkPolicy")
ROLE_BINDING = GVK("rbac.authorization.k8s.io", "v1", "RoleBinding")
LISTS = {LIMIT_RANGE: "limitRanges", NETWORK_POLICY: "networkPolicies", RESOURCE_QUOTA: "resourceQuotas"}
ROLES = {"namespace:admin": "admin", "namespace-deleter": "capsule-namespace-deleter"}
KINDS = [*LISTS, ROLE_BINDING]
NEEDS = [Need(kind, verbs=("create", "delete", "patch")) for kind in KINDS]
IMMUTABLE = ("spec.scopes", "roleRef")
LABEL, USED = "capsule.clastix.io/tenant", "quota.capsule.clastix.io/used-"
Usage = list[dict[str, dict[str, str]]]  # quota by quota: what each Namespace uses of it


class Owner(Struct):
    kind: Literal["User", "Group"]
    name: Annotated[str, Meta(min_length=1)]


class TenantSpec(Struct):
    owner: Owner
    namespaceQuota: Annotated[int, Meta(ge=1)]
    limitRanges: list[kit.AnyObject] = []
    networkPolicies: list[kit.AnyObject] = []
    resourceQuotas: list[kit.AnyObject] = []
    nodeSelector: dict[str, str] = {}


class TenantStatus(Struct):
    size: int = 0
    namespaces: list[str] = []
    conditions: kit.Conditions = []


@attrs.frozen
class TenantReconciler:
    setup: kit.Setup

    async def reconcile(self, request: Request) -> None:
        cache, shown = self.setup.cache, self.setup.cache.cluster
        tenant = shown.get(TENANT, request.key)
        if tenant is None or tenant.deletion_timestamp:
            return
        alive = [one for one in shown.list(NAMESPACE) if not one.deletion_timestamp]
        served, over = divided(tenant, [one for one in alive if one.labels.get(LABEL) == tenant.name])
        left = {one.name for one in alive if one.name in known(tenant)} - {*served}  # they are cleaned up
        everywhere = [*served, *sorted(left)]
        opened = await cache.open_all(tenant, *NEEDS, namespaces=everywhere, exclusive=True)
        used = usage(tenant, {name: opened[name] for name in served})

        async def provide(scope: ResourceCache) -> bool:
            wanted = children(tenant, str(scope.namespace), served, used)
            return await kit.apply_sets(self.setup.client, scope, wanted, recreate_on_immutable=IMMUTABLE)

        places = await kit.in_each(cache, tenant, NEEDS, everywhere, provide)
        status = {"size": len(served), "namespaces": sorted({*served, *left} - (left & {*places.done}))}
        await kit.patch_status(self.setup.client, tenant, {**status, "conditions": conditions(tenant, over, places)})
        places.check()


def known(tenant: Object) -> list[str]:
    return list(tenant.at("status", "namespaces", default=[]))


def divided(tenant: Object, mine: list[Object]) -> tuple[list[str], list[str]]:
    """Return which Namespaces are served, and which are too many; who is served stays, also when the quota shrinks."""
    order = sorted(mine, key=lambda one: (one.name not in known(tenant), one.creation_timestamp, one.name))
    names = [one.name for one in order]
    count = max(tenant["spec"]["namespaceQuota"], sum(name in known(tenant) for name in names))
    return names[:count], names[count:]


def conditions(tenant: Object, over: list[str], places: kit.Places[bool]) -> list[Any]:
    many = f"{', '.join(over)}: over the quota of {tenant['spec']['namespaceQuota']} Namespaces" if over else ""
    reason = "Failed" if places.failed else "Provided"
    found = kit.set_condition(places.condition(tenant), "Provided", not places.failed, reason, places.failures)
    return kit.set_condition(found, "WithinQuota", not over, "OverQuota" if over else "WithinQuota", many)


def children(tenant: Object, namespace: str, served: list[str], used: Usage) -> dict[GVK, list[Object]]:
    """Return what a Namespace has of a Tenant: nothing, where it is not served."""
    if namespace not in served:
        return {kind: [] for kind in KINDS}
    make = partial(kit.new_object, namespace=namespace, owner=tenant, labels={LABEL: tenant.name})
    specs = {kind: enumerate(tenant["spec"].get(field, [])) for kind, field in LISTS.items()}
    made = {
        kind: [make(kind, f"capsule-{tenant.name}-{index}", spec=spec) for index, spec in each]
        for kind, each in specs.items()
    }
    for quota, uses in zip(made[RESOURCE_QUOTA], used, strict=True):
        with suppress(ValueError):  # what is no quantity, the server refuses
            share(quota, uses)
    subjects = [{"apiGroup": ROLE_BINDING.group, **tenant["spec"]["owner"]}]
    roles = {
        name: {"apiGroup": ROLE_BINDING.group, "kind": "ClusterRole", "name": role} for name, role in ROLES.items()
    }
    made[ROLE_BINDING] = [make(ROLE_BINDING, name, roleRef=role, subjects=subjects) for name, role in roles.items()]
    return made


def usage(tenant: Object, scopes: dict[str, Any]) -> Usage:
    """Return what is used of each quota of a Tenant; where we may not look, nothing is known to be."""
    names = [f"capsule-{tenant.name}-{index}" for index, _ in enumerate(tenant["spec"].get("resourceQuotas", []))]
    shown = {place: scope for place, scope in scopes.items() if isinstance(scope, ResourceCache)}
    found = [{place: scope.get(RESOURCE_QUOTA, name) for place, scope in shown.items()} for name in names]
    return [{p: quota.at("status", "used", default={}) for p, quota in each.items() if quota} for each in found]


def share(quota: Object, uses: dict[str, dict[str, str]]) -> None:
    """Write into a quota what is used of it everywhere; where nothing is left, its limit is what is used here."""
    hard, here = quota["spec"].get("hard", {}), uses.get(quota.namespace, {})
    totals = {name: sum(kit.quantity(used.get(name, "0")) for used in uses.values()) for name in hard}
    full = {name: here.get(name, "0") for name, total in totals.items() if 0 < total >= kit.quantity(hard[name])}
    quota["spec"] = {**quota["spec"], "hard": {**hard, **full}}
    notes = {USED + name.replace("/", "_"): kit.quantity_text(total) for name, total in totals.items()}
    quota["metadata"]["annotations"] = notes


def owned_by(cache: ScopedCache, username: str, groups: frozenset[str]) -> list[Object]:
    """Return the Tenants of a user."""
    owners = {f"User {username}", *(f"Group {group}" for group in groups)}
    return [tenant for owner in sorted(owners) for tenant in cache.cluster.by_index(TENANT, "owner", owner)]


def controller(setup: kit.Setup) -> Controller:
    setup.cache.add_index(TENANT, "namespaces", known)
    setup.cache.add_index(TENANT, "owner", lambda tenant: ["{kind} {name}".format(**tenant["spec"]["owner"])])

    def tenants(namespace: Object) -> list[ObjectKey]:
        had = [one.key for one in setup.cache.cluster.by_index(TENANT, "namespaces", namespace.name)]
        return [*had, ObjectKey("", namespace.labels[LABEL])] if LABEL in namespace.labels else had

    watch = Watch(NAMESPACE, tenants, metadata_only=True)
    return Controller(for_=TENANT, reconcile=TenantReconciler(setup), watches=[watch], workers=setup.options.workers)
