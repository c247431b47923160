"""What the client asks for, and what it makes of the answers."""

import asyncio
import json

import pytest

from scopedcache.api.client import Client
from scopedcache.api.request_query import METADATA_LIST
from scopedcache.errors import GoneError, ProtocolError
from scopedcache.kinds import GVK, GVR, ObjectKey, Resource
from scopedcache.objects import Object
from tests.unit.informer.events import NODES, PODS, learn, pod, pods
from tests.unit.informer.fake_transport import FakeTransport, status

DEPLOYMENTS = Resource(GVR("apps", "v1", "deployments"), GVK("apps", "v1", "Deployment"), namespaced=True)
SCALE = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web", "namespace": "a"}, "spec": {}}


@pytest.fixture
async def server():
    return FakeTransport()


@pytest.fixture
async def client(server):
    async with Client(server) as made:
        yield made


async def exchange(server, asking, **answer):
    """Let the client ask, answer it, and return (the request, what the client made of it)."""
    task = asyncio.ensure_future(asking)
    request = await server.asked()
    request.answer(**answer)
    return request, await task


def seen(request):
    return request.method, request.path, request.query


# -- reads -----------------------------------------------------------------------------------------------------------


async def test_get_asks_for_one_object(client, server):
    request, found = await exchange(server, client.get(PODS, "x", namespace="a"), body=pod("x", 1))
    assert seen(request) == ("GET", "/api/v1/namespaces/a/pods/x", {})
    assert (found.key, found.kind) == (ObjectKey("a", "x"), "Pod")


async def test_a_key_brings_its_namespace(client, server):
    request, _ = await exchange(server, client.get(PODS, ObjectKey("b", "x")), body=pod("x", 1))
    assert request.path == "/api/v1/namespaces/b/pods/x"


async def test_a_cluster_scoped_kind_has_no_namespace_whatever_was_given(client, server):
    request, _ = await exchange(server, client.get(NODES, "n1", namespace="a"), body={"kind": "Node", "metadata": {}})
    assert request.path == "/api/v1/nodes/n1"


async def test_the_kind_is_filled_in_where_the_answer_lacks_it(client, server):
    _, found = await exchange(server, client.get(PODS, "x", namespace="a"), body={"metadata": {"name": "x"}})
    assert (found.kind, found.api_version) == ("Pod", "v1")


async def test_a_subresource_may_be_of_another_kind(client, server):
    asking = client.get(DEPLOYMENTS, "web", namespace="a", subresource="scale")
    request, found = await exchange(server, asking, body=SCALE)
    assert (request.path, found.kind) == ("/apis/apps/v1/namespaces/a/deployments/web/scale", "Scale")


async def test_a_namespaced_kind_needs_a_namespace(client):
    with pytest.raises(ValueError, match="get pods needs a namespace"):
        await client.get(PODS, "x")


async def test_a_list_goes_page_by_page_with_the_selectors_and_without_a_version(client, server):
    listing = asyncio.ensure_future(
        client.list(PODS, namespace="a", labels="app in (x,y),!z", fields="spec.nodeName=n")
    )
    selectors = {"labelSelector": "app in (x,y),!z", "fieldSelector": "spec.nodeName=n"}

    first = await server.asked()
    first.answer(pods(7, pod("x", 1), token="t&1="))
    second = await server.asked()
    second.answer(pods(9, pod("y", 2)))

    listed = await listing
    assert (first.query, second.query) == (
        {**selectors, "limit": "250"},
        {**selectors, "limit": "250", "continue": "t&1="},
    )
    assert ([found.name for found in listed], listed[0].kind, listed.resource_version) == (["x", "y"], "Pod", "9")


async def test_an_expired_continue_token_is_a_GoneError(client, server):
    listing = asyncio.ensure_future(client.list(PODS))
    (await server.asked()).answer(pods(7, token="t"))
    (await server.asked()).refuse(410, "Expired", "The provided continue parameter is too old")
    with pytest.raises(GoneError):
        await listing


async def test_metadata_alone_is_asked_for_by_content_type(client, server):
    pages = client.pages(PODS, namespace="a", metadata_only=True, resource_version="5")
    request, _ = await exchange(server, anext(pages), body=pods(7))
    assert request.accept == METADATA_LIST
    assert request.query == {"limit": "250", "resourceVersion": "5", "resourceVersionMatch": "Exact"}
    await pages.aclose()


# -- writes ----------------------------------------------------------------------------------------------------------


async def test_create_posts_to_the_collection(client, server):
    request, made = await exchange(server, client.create(pod("x", 1), dry_run=True), body=pod("x", 1), code=201)
    assert seen(request) == ("POST", "/api/v1/namespaces/a/pods", {"fieldManager": "scopedcache", "dryRun": "All"})
    assert (request.body["metadata"]["name"], made.name) == ("x", "x")


@pytest.fixture(autouse=True)
async def _kinds_are_known(client, server):
    await learn(client, server, PODS, NODES, DEPLOYMENTS)


@pytest.mark.parametrize("verb", ["create", "update", "apply"])
async def test_what_is_written_says_what_it_is(client, verb):
    write = getattr(client, verb)

    with pytest.raises(ValueError, match=r"^'x' names no apiVersion and kind$"):
        await write({"metadata": {"name": "x", "namespace": "a"}})
    with pytest.raises(ValueError, match=r"^'an object to write' names no kind$"):
        await write({"apiVersion": "v1"})
    with pytest.raises(TypeError, match=r"^'pods' is no object to write: "):
        await write("pods")


async def test_update_puts_to_the_object_and_names_its_kind(client, server):
    listed = Object.from_dict(pod("x", 1))
    request, _ = await exchange(server, client.update(listed, subresource="status"), body=pod("x", 2))
    assert seen(request)[:2] == ("PUT", "/api/v1/namespaces/a/pods/x/status")
    assert request.body["kind"] == "Pod"


async def test_a_scale_is_updated_through_the_kind_it_belongs_to(client, server):
    request, _ = await exchange(server, client.update(SCALE, kind=DEPLOYMENTS, subresource="scale"), body=SCALE)
    assert seen(request)[:2] == ("PUT", "/apis/apps/v1/namespaces/a/deployments/web/scale")


async def test_an_object_that_is_not_whole_is_never_put(client):
    partial = Object.from_dict(pod("x", 1))
    partial.partial = True
    with pytest.raises(ValueError, match=r"Pod a/x is not whole .* patch it instead"):
        await client.update(partial)


@pytest.mark.parametrize(
    ("type_", "patch", "content_type"),
    [
        ("merge", {"spec": None}, "application/merge-patch+json"),
        ("json", [{"op": "remove", "path": "/spec"}], "application/json-patch+json"),
        ("strategic", {"spec": {}}, "application/strategic-merge-patch+json"),
        ("apply", {"apiVersion": "v1", "kind": "Pod"}, "application/apply-patch+yaml"),
    ],
)
async def test_a_patch_names_its_type(client, server, type_, patch, content_type):
    asking = client.patch(PODS, "x", patch, namespace="a", type=type_, force=True)
    request, _ = await exchange(server, asking, body=pod("x", 2))
    assert (request.method, request.content_type, request.body, request.query["force"]) == (
        "PATCH", content_type, patch, "true",
    )  # fmt: skip


async def test_apply_leaves_the_status_out(client, server):
    body = {**pod("x", 1), "status": {"phase": "Running"}}
    request, _ = await exchange(server, client.apply(body), body=body)
    assert "status" not in request.body
    assert request.query == {"fieldManager": "scopedcache", "force": "true"}


@pytest.mark.parametrize("name", ["", ".", "..", None])
async def test_without_a_name_nothing_is_read_changed_or_deleted(client, server, name):
    """The path without a name is the collection's: DELETE would delete every object of the namespace."""
    nameless = Object.from_dict(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "x-", "namespace": "a"}}
    )
    for asking in (
        client.get(PODS, name, namespace="a"),
        client.delete(PODS, name, namespace="a"),
        client.delete(nameless),
        client.update(nameless),
        client.apply(nameless),
        client.patch(PODS, name, {}, namespace="a"),
    ):
        with pytest.raises(ValueError, match="needs the name of"):
            await asking
    assert server.log == []


async def test_delete_sends_its_preconditions(client, server):
    asking = client.delete(PODS, "x", namespace="a", propagation="Foreground", uid="u-1")
    request, gone = await exchange(server, asking, body=status(200) | {"status": "Success"})
    assert seen(request)[:2] == ("DELETE", "/api/v1/namespaces/a/pods/x")
    assert request.body == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Foreground",
        "preconditions": {"uid": "u-1"},
    }
    assert gone is None


class Listener:
    def __init__(self):
        self.heard = []

    def written(self, resource, written):
        self.heard.append(("written", written.key, written.resource_version))

    def deleted(self, resource, key, uid):
        self.heard.append(("deleted", key, uid))


@pytest.mark.parametrize(
    ("answer", "returned", "heard"),
    [
        (status(200, uid="u-1"), None, ("deleted", ObjectKey("a", "x"), "u-1")),
        (pod("x", 5, uid="u-1"), None, ("deleted", ObjectKey("a", "x"), "u-1")),
        (pod("x", 5, deletionTimestamp="2026-01-01T00:00:00Z"), "5", ("written", ObjectKey("a", "x"), "5")),
    ],
)
async def test_what_a_delete_leaves_is_what_carries_a_deletion(client, server, answer, returned, heard):
    """Some kinds answer with the object although it is gone (Services, ServiceAccounts)."""
    listener = Listener()
    client.add_write_listener(listener)

    _, left = await exchange(server, client.delete(PODS, "x", namespace="a"), body=answer)

    assert (left.resource_version if left else None, listener.heard) == (returned, [heard])


async def test_the_answers_to_writes_are_told_before_their_caller_has_them(client, server):
    listener = Listener()
    client.add_write_listener(listener)

    await exchange(server, client.create(pod("x", 1)), body=pod("x", 3))
    await exchange(server, client.create(pod("y", 1), dry_run=True), body=pod("y", 4))
    await exchange(server, client.patch(PODS, "x", {}, namespace="a", subresource="scale"), body=SCALE)
    client.remove_write_listener(listener)
    await exchange(server, client.create(pod("z", 1)), body=pod("z", 5))

    assert listener.heard == [("written", ObjectKey("a", "x"), "3")]


async def test_delete_collection_takes_selectors(client, server):
    asking = client.delete_collection(PODS, namespace="a", labels={"app": "x"})
    request, _ = await exchange(server, asking, body=status(200))
    assert seen(request) == ("DELETE", "/api/v1/namespaces/a/pods", {"labelSelector": "app=x"})


# -- reviews, versions, the end ---------------------------------------------------------------------------------------


async def test_the_version_of_the_server(client, server):
    _, version = await exchange(server, client.version(), body={"gitVersion": "v1.36.2"})
    assert version == "v1.36.2"


@pytest.mark.parametrize("body", [b"{", b"[]"])
async def test_a_version_that_cannot_be_read_is_a_ProtocolError(client, server, body):
    with pytest.raises(ProtocolError, match="not a version"):
        await exchange(server, client.version(), body=body)


async def test_closing_a_client_closes_its_transport(server):
    async with Client(server):
        pass
    assert server.closed


async def test_the_rules_of_a_namespace(client, server):
    answer = {
        "status": {
            "resourceRules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
            "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz"]}],
            "incomplete": True,
            "evaluationError": "webhook",
        }
    }
    request, rules = await exchange(server, client.review_rules("a"), body=answer, code=201)
    assert json.loads(json.dumps(request.body))["spec"] == {"namespace": "a"}
    assert (rules.incomplete, [rule.verbs for rule in rules.rules]) == (True, [("get",)])
