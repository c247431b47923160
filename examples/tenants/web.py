"""What users of Tenants meet: a webhook that gives their Namespaces to a Tenant, and a proxy that lists only theirs."""

from collections.abc import Iterable
from functools import partial

import attrs
from aiohttp import web as http
from multidict import MultiMapping

from scopedcache import Object, kit, web

from .reconciler import LABEL, NAMESPACE, owned_by

NODE_SELECTOR = "scheduler.alpha.kubernetes.io/node-selector"
NOTHING = f"{LABEL},!{LABEL}"  # no object has a label and lacks it


@attrs.frozen
class TenantUsers:
    setup: kit.Setup

    def decide(self, request: web.AdmissionRequest) -> web.Verdict:
        """Give a new Namespace to a Tenant of its creator, within its quota. Who is no user of Tenants is let alone."""
        if request.obj is None or self.setup.options.user_group not in request.groups:
            return web.allow()
        tenants = owned_by(self.setup.cache, request.username, request.groups)
        tenant = chosen(request.obj, tenants)
        if tenant is None:
            names = ", ".join(one.name for one in tenants) or "you own none"
            return web.deny(f"say whose it is, by label {LABEL} or by a name that begins with it and a dash: {names}")
        there = len(self.setup.cache.cluster.list(NAMESPACE, labels={LABEL: tenant.name}))
        if there >= tenant["spec"]["namespaceQuota"]:
            return web.deny(f"Tenant {tenant.name} has {there} Namespaces, as many as its quota allows")
        return web.patched(request, lambda draft: give(draft, tenant))

    async def namespaces(self, request: http.Request, caller: web.Caller) -> http.StreamResponse:
        """List or watch the Namespaces of the caller's Tenants, in our name."""
        tenants = [one.name for one in owned_by(self.setup.cache, caller.username, caller.groups)]
        return await web.forward(self.setup.client, request, own_name=True, query=filtered(request.query, tenants))


def chosen(namespace: Object, tenants: list[Object]) -> Object | None:
    """Return the Tenant that a new Namespace is for; None where that is not said, or it is somebody else's."""
    if LABEL in namespace.labels:
        return next((one for one in tenants if one.name == namespace.labels[LABEL]), None)
    named = [one for one in tenants if namespace.name.startswith(f"{one.name}-")]
    return tenants[0] if len(tenants) == 1 else max(named, key=lambda one: len(one.name), default=None)


def give(namespace: Object, tenant: Object) -> None:
    kit.set_controller_reference(tenant, namespace, block_owner_deletion=False)
    namespace["metadata"]["labels"] = {**namespace.labels, LABEL: tenant.name}
    if nodes := tenant.at("spec", "nodeSelector", default={}):
        selector = ",".join(f"{name}={value}" for name, value in sorted(nodes.items()))
        namespace["metadata"]["annotations"] = {**namespace.annotations, NODE_SELECTOR: selector}


def filtered(query: MultiMapping[str], tenants: list[str]) -> list[tuple[str, str]]:
    """Return a query for these Tenants' Namespaces alone: what the caller selects itself can only make them fewer."""
    ours = f"{LABEL} in ({','.join(tenants)})" if tenants else NOTHING
    selector = ",".join([ours, *filter(None, query.getall("labelSelector", []))])
    return [*(pair for pair in query.items() if pair[0] != "labelSelector"), ("labelSelector", selector)]


def servers(setup: kit.Setup) -> Iterable[kit.Part]:
    """Return what serves, where an option says so."""
    users, client, options = TenantUsers(setup), setup.client, setup.options
    if options.webhook_address or options.filter_address:
        hosts = (options.tls_hosts or f"tenants.{setup.namespace}.svc").split(",")
        hooks = [web.WebhookConfiguration("Mutating", "tenants")] if options.webhook_address else []
        tls = web.Certificates(setup.cache, setup.namespace, hosts=hosts, name="tenants", webhooks=hooks)
        yield from tls.runnables
    if options.webhook_address:
        yield web.Server(options.webhook_address, [http.post("/namespaces", web.admission(users.decide))], tls=tls)
    if options.filter_address:
        theirs = http.get("/api/v1/namespaces", web.for_caller(client, users.namespaces))
        all_else = http.route("*", "/{_:.*}", partial(web.forward, client))  # as if we were not there
        routes = [http.get("/_healthz", healthy), theirs, all_else]
        yield web.Server(options.filter_address, routes, tls=tls)


async def healthy(_: http.Request) -> http.Response:
    return http.Response(text="ok")
