"""A Service of type LoadBalancer gets an address of a pool.

Who has which address is written down in the ConfigMap `leifur-claims` before a Service is told: no address is given
twice, whoever is killed when. A Service in a namespace that may not be seen now keeps its address.
"""

from collections.abc import Iterable
from ipaddress import ip_address

import attrs

from scopedcache import GVK, Controller, Need, ObjectKey, Request, ResourceCache, Watch
from scopedcache.kit import Setup, allocate, claims_of, in_each, patch_status

CONFIG_MAP, NAMESPACE, SERVICE = GVK("", "v1", "ConfigMap"), GVK("", "v1", "Namespace"), GVK("", "v1", "Service")
POOL, CLAIMS, INGRESS = "leifur-pool", "leifur-claims", ("status", "loadBalancer", "ingress")


@attrs.frozen
class PoolReconciler:
    setup: Setup

    async def reconcile(self, request: Request) -> None:
        setup, shown = self.setup, self.setup.cache.cluster
        if (pool := shown.get(CONFIG_MAP, request.key)) is None or pool.name != POOL:
            return
        try:
            addresses = [str(ip_address(line)) for line in pool.at("data", "addresses", default="").split()]
        except ValueError as error:
            setup.warn(pool, "BadPool", str(error))  # and all stays as it is
            return
        names, record = {one.name for one in shown.list(NAMESPACE)}, ObjectKey(pool.namespace, CLAIMS)

        async def serve(scope: ResourceCache) -> None:
            services = {one.key: one for one in scope.list(SERVICE) if not one.at("spec", "loadBalancerClass")}
            wanted = [key for key, one in services.items() if one.at("spec", "type") == "LoadBalancer"]
            given = await allocate(setup.client, record, addresses or None, wanted, read=shown.get,
                                   keep=lambda key: key.namespace in names - {scope.namespace})  # fmt: skip
            for key, service in services.items():
                ingress = [{"ip": given[key]}] if key in given else []
                if [{"ip": one.get("ip")} for one in service.at(*INGRESS, default=[])] != ingress:
                    await patch_status(setup.client, service, {"loadBalancer": {"ingress": ingress or None}})
                if key in wanted and not ingress:
                    setup.warn(service, "PoolExhausted", f"the ConfigMap {pool.name} has no address left")

        # One namespace after the other: they write one record.
        places = await in_each(setup.cache, pool, [Need(SERVICE, route=lambda _: pool.uid)], names, serve, at_once=1)
        places.among(who.namespace for who in claims_of(shown.get(CONFIG_MAP, record))).record(setup.recorder, pool)
        places.check()


def assemble(setup: Setup) -> Iterable[Controller]:
    pool = ObjectKey(setup.namespace, POOL)
    watches = [Watch(NAMESPACE, lambda _: [pool]), Watch(CONFIG_MAP, lambda _: [pool], namespace=pool.namespace)]
    yield Controller(for_=CONFIG_MAP, reconcile=PoolReconciler(setup), namespaces=pool.namespace, watches=watches)
