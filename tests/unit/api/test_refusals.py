"""Who refused, and who hears of it."""

import asyncio

import pytest

from scopedcache.api.client import Client
from scopedcache.errors import AlreadyExistsError, ForbiddenError, NotFoundError, ProtocolError, TransportError
from tests.unit.informer.events import NODES, PODS, learn, pod
from tests.unit.informer.fake_transport import FakeTransport, status


@pytest.fixture
async def server():
    return FakeTransport()


@pytest.fixture
async def client(server):
    async with Client(server) as made:
        await learn(made, server, PODS)
        yield made


async def exchange(server, asking, **answer):
    """Let the client ask, answer it, and return (the request, what the client made of it)."""
    task = asyncio.ensure_future(asking)
    request = await server.asked()
    request.answer(**answer)
    return request, await task


# -- who refused -----------------------------------------------------------------------------------------------------


async def review(server, allowed, ready=200):
    request = await server.asked()
    assert request.path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    request.answer({"kind": "SelfSubjectAccessReview", "status": {"allowed": allowed}}, code=201)
    if not allowed:  # a "no" counts if the server is ready
        asked = await server.asked()
        assert asked.path == "/readyz"
        asked.answer(code=ready)
    return request.body["spec"]["resourceAttributes"]


WRITES = {
    "create": lambda client: client.create(pod("x", 1)),
    "update": lambda client: client.update(pod("x", 1)),
    "patch": lambda client: client.patch(PODS, "x", {}, namespace="a"),
    "delete": lambda client: client.delete(PODS, "x", namespace="a"),
    "deletecollection": lambda client: client.delete_collection(PODS, namespace="a"),
}


@pytest.mark.parametrize(("allowed", "by"), [(True, "admission"), (False, "authorizer")])
@pytest.mark.parametrize("verb", WRITES)
async def test_one_review_settles_who_refused_a_write(client, server, verb, allowed, by):
    writing = asyncio.ensure_future(WRITES[verb](client))
    (await server.asked()).refuse(403, "Forbidden", "no")
    asked = await review(server, allowed)

    with pytest.raises(ForbiddenError) as caught:
        await writing

    named = {"name": "x"} if verb not in ("create", "deletecollection") else {}
    assert (asked, caught.value.by) == ({"verb": verb, "group": "", "resource": "pods", "namespace": "a", **named}, by)


async def test_a_review_of_a_create_names_no_object(client, server):
    """The authoriser sees no name in a create, so a right by `resourceNames` does not allow it."""
    writing = asyncio.ensure_future(client.create(pod("x", 1)))
    (await server.asked()).refuse(403, "Forbidden")
    assert "name" not in await review(server, False)
    with pytest.raises(ForbiddenError):
        await writing


async def test_an_apply_may_be_refused_for_want_of_create(client, server):
    writing = asyncio.ensure_future(client.apply(pod("x", 1)))
    (await server.asked()).refuse(403, "Forbidden", "cannot create resource")
    verbs = [(await review(server, True))["verb"], (await review(server, False))["verb"]]

    with pytest.raises(ForbiddenError) as caught:
        await writing

    assert (verbs, caught.value.by) == (["patch", "create"], "authorizer")


@pytest.mark.parametrize(("ready", "by"), [(200, "authorizer"), (500, "unknown"), (403, "authorizer")])
async def test_a_no_of_a_server_that_is_not_ready_does_not_say_who_refused(client, server, ready, by):
    writing = asyncio.ensure_future(client.create(pod("x", 1)))
    (await server.asked()).refuse(403, "Forbidden")
    await review(server, False, ready)

    with pytest.raises(ForbiddenError) as caught:
        await writing

    assert caught.value.by == by


async def test_who_refused_stays_unknown_where_the_review_is_refused_too(client, server):
    writing = asyncio.ensure_future(client.create(pod("x", 1)))
    (await server.asked()).refuse(403, "Forbidden", "no")
    (await server.asked()).refuse(403, "Forbidden", "no reviews either")
    with pytest.raises(ForbiddenError, match="no") as caught:
        await writing
    assert (caught.value.by, caught.value.verb) == ("unknown", "create")
    assert server.quiet


async def test_a_refused_read_needs_no_review(client, server):
    reading = asyncio.ensure_future(client.list(PODS, namespace="a"))
    (await server.asked()).refuse(403, "Forbidden", "no")
    with pytest.raises(ForbiddenError) as caught:
        await reading
    assert (caught.value.by, server.quiet) == ("authorizer", True)


# -- what observers hear ---------------------------------------------------------------------------------------------


class Observer:
    def __init__(self):
        self.heard = []

    def observed(self, call, error):
        self.heard.append((call.verb, call.subject, call.namespace, type(error).__name__))


async def test_observers_hear_how_every_request_ended(client, server):
    observer = Observer()
    client.add_observer(observer)

    await exchange(server, client.get(PODS, "x", namespace="a"), body=pod("x", 1))
    with pytest.raises(NotFoundError):
        await exchange(server, client.get(PODS, "x", namespace="a"), body=status(404, "NotFound"), code=404)
    with pytest.raises(ProtocolError):
        await exchange(server, client.list(PODS), body=b"<html>", content_type="text/html")
    losing = asyncio.ensure_future(client.get(NODES, "n"))
    (await server.asked()).lose()
    with pytest.raises(TransportError):
        await losing
    client.remove_observer(observer)
    await exchange(server, client.get(PODS, "x", namespace="a"), body=pod("x", 1))

    assert observer.heard == [
        ("get", "pods", "a", "NoneType"),
        ("get", "pods", "a", "NotFoundError"),
        ("list", "pods", None, "ProtocolError"),
        ("get", "nodes", None, "TransportError"),
    ]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"code": 200, "body": b"<html>log in</html>", "content_type": "text/html"}, ProtocolError),
        ({"code": 403, "body": b"<html>blocked</html>", "content_type": "text/html"}, TransportError),
        ({"code": 302, "body": b"", "content_type": "text/html"}, ProtocolError),
        ({"code": 200, "body": b"{"}, ProtocolError),
        ({"code": 409, "body": status(409, "AlreadyExists")}, AlreadyExistsError),
    ],
)
async def test_an_answer_of_something_else_is_an_error_with_its_name(client, server, answer, expected):
    with pytest.raises(expected):
        await exchange(server, client.create(pod("x", 1)), **answer)
