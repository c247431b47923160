"""What a dict cannot vouch for: the controller, the Lease and the Events against a real API server."""

import asyncio
import itertools
from contextlib import asynccontextmanager

import pytest

from scopedcache.api import Client
from scopedcache.cache import ScopedCache
from scopedcache.controller import Controller, LeaderElection, Manager, Result
from scopedcache.kinds import GVK

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_factories=["real"])]

WIDGET = GVK("controller.example.com", "v1", "Widget")
CONFIG_MAP = GVK("", "v1", "ConfigMap")
SECRET = GVK("", "v1", "Secret")
_numbers = itertools.count(1)


def crd(kind, status):
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "properties": {"status": {"type": "object", "properties": status}}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.controller.example.com"},
        "spec": {
            "group": "controller.example.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [version],
        },
    }


CONDITIONS = {
    "conditions": {"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
}


@pytest.fixture
def namespace(control_plane):
    name = f"controller-{next(_numbers)}"
    control_plane.apply([crd("Widget", CONDITIONS), crd("Gadget", {"phase": {"type": "string"}})])
    control_plane.create_namespace(name)
    yield name
    control_plane.delete_namespace(name)


@pytest.fixture
def operator(control_plane, namespace):
    """Return a ServiceAccount that may do what every operator must, on its own kinds."""
    account = control_plane.service_account(namespace, "operator")
    own = ["widgets.controller.example.com", "gadgets.controller.example.com"]
    states = ["widgets.controller.example.com/status", "gadgets.controller.example.com/status"]
    grants = [
        control_plane.grant(account, ["get", "list", "watch"], own),
        control_plane.grant(account, ["patch"], states, namespace=namespace),
        control_plane.grant(account, ["create", "patch"], ["events.events.k8s.io"], namespace=namespace),
        control_plane.grant(account, ["get", "create", "update"], ["leases.coordination.k8s.io"], namespace=namespace),
    ]
    yield account
    for grant in grants:
        grant.revoke()


@asynccontextmanager
async def managing(account, *, reconcile, kind=WIDGET, **options):
    async with Client.connect(kubeconfig=account.kubeconfig) as client, ScopedCache(client) as cache:
        controller = Controller(for_=kind, reconcile=lambda_async(reconcile, cache))
        manager, stop = Manager(cache, controllers=[controller], **options), asyncio.Event()
        task = asyncio.create_task(manager.run(stop))
        yield manager
        stop.set()
        await task


def lambda_async(reconcile, cache):
    async def run(request):
        return await reconcile(cache, request)

    return run


async def eventually(control_plane, look, timeout=15.0):
    return await asyncio.to_thread(control_plane.wait_for, look, timeout=timeout)


def make(control_plane, namespace, kind, name):
    metadata = {"name": name, "namespace": namespace}
    return control_plane.create({"apiVersion": "controller.example.com/v1", "kind": kind, "metadata": metadata})


async def open_secrets(cache, request):
    owner = cache.cluster.get(WIDGET, request.key) if request.name == "w" else None
    if owner is not None:
        await cache.open(owner, SECRET)
    return Result()


def missing(namespace):
    return f"may not list secrets in namespace {namespace}, watch secrets in namespace {namespace}"


async def test_a_denial_and_its_end_are_written_to_the_owner_without_touching_it(control_plane, namespace, operator):
    def permitted():
        found = control_plane.get("widgets.controller.example.com", "w", namespace)
        return [(c["type"], c["status"], c["message"]) for c in found.get("status", {}).get("conditions", [])]

    denied = [("Permitted", "False", missing(namespace))]
    async with managing(operator, reconcile=open_secrets):
        await asyncio.to_thread(make, control_plane, namespace, "Widget", "w")
        await eventually(control_plane, lambda: permitted() == denied)
        grant = await asyncio.to_thread(
            control_plane.grant, operator, ["list", "watch"], ["secrets"], namespace=namespace
        )
        await eventually(control_plane, lambda: permitted() == [("Permitted", "True", "")])
        await asyncio.to_thread(grant.revoke)
        await eventually(control_plane, lambda: permitted() and permitted()[0][:2] == ("Permitted", "False"))


async def test_a_kind_without_conditions_gets_an_event(control_plane, namespace, operator):
    gadget = GVK("controller.example.com", "v1", "Gadget")

    async def reconcile(cache, request):
        await cache.open(cache.cluster.get(gadget, request.key), SECRET)

    def events():
        found = control_plane.list("events.events.k8s.io", namespace)
        return [(e["regarding"]["name"], e["reason"], e["note"]) for e in found]

    async with managing(operator, kind=gadget, reconcile=reconcile):
        await asyncio.to_thread(make, control_plane, namespace, "Gadget", "g")
        await eventually(control_plane, lambda: ("g", "Forbidden", missing(namespace)) in events())


async def test_two_replicas_lead_one_after_the_other(control_plane, namespace, operator):
    def holder():
        found = control_plane.get("leases.coordination.k8s.io", "election", namespace)
        return found["spec"].get("holderIdentity") if found else None

    def election(identity):
        return LeaderElection("election", namespace=namespace, identity=identity)

    first = managing(operator, reconcile=open_secrets, leader_election=election("first"))
    await first.__aenter__()
    await eventually(control_plane, lambda: holder() == "first")
    async with managing(operator, reconcile=open_secrets, leader_election=election("second")) as second:
        await asyncio.sleep(0.5)
        assert (await asyncio.to_thread(holder), second.leading) == ("first", False)
        await first.__aexit__(None, None, None)
        await eventually(control_plane, lambda: holder() == "second")
    assert await asyncio.to_thread(holder) == ""
