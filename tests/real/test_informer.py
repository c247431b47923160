"""The informer against a real API server: what it shows is what is there, whatever happened in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from scopedcache.api.client import Client
from scopedcache.api.discovery import RETRY_SECONDS
from scopedcache.errors import ForbiddenError, NotFoundError, TooManyRequestsError, UnknownKindError
from scopedcache.informer import EventHandler, Informer, InformerOptions
from scopedcache.informer.reflector import ServerFeatures
from scopedcache.objects import Object
from scopedcache.supervisor import Supervisor
from scopedcache.testing import ControlPlane

pytestmark = pytest.mark.real

CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "mice.farm.example.com"},
    "spec": {
        "group": "farm.example.com",
        "scope": "Namespaced",
        "names": {"plural": "mice", "singular": "mouse", "kind": "Mouse", "listKind": "MouseList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


def config_map(name: str, **data: str) -> dict[str, Any]:
    labels = {"made-by": "test"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": data}


class Seen:
    """Notes what a handler hears, and lets a test wait for it."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._news = asyncio.Event()
        self.handler = EventHandler(
            on_add=lambda obj, _: self._note(f"+{obj.name}"),
            on_update=lambda _, new: self._note(f"~{new.name}"),
            on_delete=lambda obj, unknown: self._note(f"-{obj.name}"),
        )

    def _note(self, word: str) -> None:
        self.words.append(word)
        self._news.set()

    async def until(self, *words: str, within: float = 15.0) -> None:
        """Wait until all of these were heard."""
        async with asyncio.timeout(within):
            while not set(words) <= set(self.words):
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    made = Supervisor("test")
    yield made
    await made.close()


async def informer_of(
    client: Client, supervisor: Supervisor, kind: str, namespace: str | None, **rest: Any
) -> Informer:
    """Return an informer that was started."""
    made = Informer(client, await client.discovery.resolve(kind), namespace=namespace, labels="made-by=test", **rest)
    made.start(supervisor)
    return made


async def same(client: Client, informer: Informer, namespace: str) -> bool:
    """Tell whether the informer shows what the server has, to the byte."""
    there = await client.list("configmaps", namespace=namespace, labels="made-by=test")
    return _by_name(there) == _by_name(informer.list())


def _by_name(objects: Any) -> dict[str, dict[str, Any]]:
    return {obj.name: obj.to_dict() for obj in objects}


@pytest.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[Client]:
    async with Client.connect(kubeconfig=control_plane.admin.kubeconfig) as made:
        yield made


async def test_it_shows_what_is_there_and_what_happens(
    control_plane: ControlPlane, client: Client, supervisor: Supervisor, namespace: str
) -> None:
    for number in range(300):
        control_plane.create(config_map(f"x{number}", number=str(number)), namespace)
    server, seen = ServerFeatures(), Seen()
    informer = await informer_of(client, supervisor, "configmaps", namespace, server=server)
    informer.add_handler(seen.handler)
    await informer.wait_synced()
    assert (len(informer), server.streaming_lists, len(seen.words)) == (300, True, 300)
    assert await same(client, informer, namespace)

    control_plane.patch("configmaps", "x7", {"data": {"colour": "red"}}, namespace)
    control_plane.delete("configmaps", "x8", namespace)
    control_plane.create(config_map("new"), namespace)

    await seen.until("~x7", "-x8", "+new")
    assert await same(client, informer, namespace)
    informer.close()


async def test_metadata_alone_carries_no_content(
    control_plane: ControlPlane, client: Client, supervisor: Supervisor, namespace: str
) -> None:
    control_plane.create(config_map("x", colour="red"), namespace)
    informer = await informer_of(client, supervisor, "configmaps", namespace, metadata_only=True)
    await informer.wait_synced()
    (found,) = informer.list()
    assert (found.kind, found.get("data"), found.labels["made-by"]) == ("ConfigMap", None, "test")
    with pytest.raises(ValueError, match="patch it instead"):
        await client.update(found)
    informer.close()


async def test_watches_that_end_all_the_time_lose_nothing(
    control_plane: ControlPlane, client: Client, supervisor: Supervisor, namespace: str
) -> None:
    seen = Seen()
    options = InformerOptions(watch_timeout=1.0, list_deadline=1.0)
    informer = await informer_of(client, supervisor, "configmaps", namespace, options=options, chance=lambda: 0.0)
    informer.add_handler(seen.handler)
    await informer.wait_synced()

    def write() -> None:
        for number in range(60):
            control_plane.create(config_map(f"x{number}"), namespace)
            if number % 3:
                control_plane.delete("configmaps", f"x{number - 1}", namespace)

    for _ in range(2):
        await asyncio.to_thread(write)
        await asyncio.to_thread(control_plane.request, "DELETE", f"/api/v1/namespaces/{namespace}/configmaps")
        await asyncio.sleep(1.2)  # the watch ends meanwhile: this is the real clock of a real server
    control_plane.create(config_map("last"), namespace)
    await seen.until("+last")

    assert await same(client, informer, namespace)
    assert (informer.relists, seen.words.count("+x0"), seen.words.count("-x0")) == (0, 2, 2)
    informer.close()


async def test_a_renewed_watch_learns_of_a_lost_right_and_resumes_when_it_is_back(
    control_plane: ControlPlane, supervisor: Supervisor, namespace: str
) -> None:
    alice = control_plane.user("alice")
    grant = control_plane.grant(alice, ["list", "watch"], ["configmaps"], namespace=namespace)
    control_plane.wait_allowed(alice, "watch", "configmaps", namespace)
    control_plane.create(config_map("x"), namespace)
    async with Client.connect(kubeconfig=alice.kubeconfig) as client:
        heard = asyncio.Event()

        class Observer:
            def observed(self, call: Any, error: Any) -> None:
                if isinstance(error, ForbiddenError):
                    heard.set()

        client.add_observer(Observer())
        seen = Seen()
        informer = await informer_of(client, supervisor, "configmaps", namespace)
        informer.add_handler(seen.handler)
        await informer.wait_synced()
        grant.revoke()
        control_plane.wait_allowed(alice, "watch", "configmaps", namespace, expected=False)
        informer.renew()
        await asyncio.wait_for(heard.wait(), 5)
        error = informer.error
        assert isinstance(error, ForbiddenError)
        assert (error.by, error.verb, [found.name for found in informer.list()]) == ("authorizer", "watch", ["x"])

        control_plane.create(config_map("meanwhile"), namespace)
        grant.restore()
        await seen.until("+meanwhile")
        assert informer.relists == 0
        informer.close()


async def test_a_kind_that_is_installed_later_is_found_and_its_edit_ends_no_view(
    control_plane: ControlPlane, client: Client, supervisor: Supervisor, namespace: str
) -> None:
    with pytest.raises(UnknownKindError):
        await client.discovery.resolve("mice.farm.example.com")
    control_plane.apply(CRD)
    await asyncio.sleep(RETRY_SECONDS)  # what was not found is not asked for more often than that
    seen = Seen()
    informer = await informer_of(client, supervisor, "mice.farm.example.com", namespace)
    informer.add_handler(seen.handler)
    await informer.wait_synced()

    def mouse(name: str) -> dict[str, Any]:
        metadata = {"name": name, "labels": {"made-by": "test"}}
        return {"apiVersion": "farm.example.com/v1", "kind": "Mouse", "metadata": metadata, "spec": {}}

    created = await client.create({**mouse("jerry"), "spec": {"deep": [[{"er": 1}]]}}, namespace=namespace)
    await seen.until("+jerry")
    jerry = informer.get(created.key)
    assert jerry is not None
    assert jerry.at("spec", "deep") == [[{"er": 1}]]

    abyss = (
        b'{"apiVersion":"farm.example.com/v1","kind":"Mouse","metadata":{"name":"abyss","labels":{"made-by":"test"}},'
    )
    abyss += b'"cave":' + b"[" * 9000 + b"]" * 9000 + b"}"
    path = f"/apis/farm.example.com/v1/namespaces/{namespace}/mice"
    assert (await client.transport.request("POST", path, body=abyss)).status == 201
    await seen.until("+abyss")  # what one user may create must not blind everybody else
    assert {found.name for found in await client.list("mice.farm.example.com", namespace=namespace)} >= {"abyss"}

    edited = {**CRD, "spec": {**CRD["spec"], "names": {**CRD["spec"]["names"], "shortNames": ["mo"]}}}
    control_plane.apply(edited)  # ends every watch of the kind after a second, and answers 429 for a moment
    for attempt in range(10):
        try:
            await client.create(mouse("mickey"), namespace=namespace)
            break
        except (NotFoundError, TooManyRequestsError):
            await asyncio.sleep(0.2 * attempt)
    await seen.until("+mickey")
    assert {found.name for found in informer.list()} == {"jerry", "mickey", "abyss"}

    control_plane.delete("customresourcedefinitions.apiextensions.k8s.io", "mice.farm.example.com")
    await seen.until("-jerry", "-mickey", within=45.0)  # the server deletes them one by one, when it comes to it
    informer.close()


# -- a server of its own ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def old_server(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """A server that knows no streaming lists, and that tests may restart; skipped where the shared one is."""
    flags = {"feature-gates": "WatchList=false"}
    with ControlPlane.start(kubelet=False, controllers=(), apiserver_flags=flags) as started:
        yield started


async def test_a_server_without_streaming_lists_is_read_in_pages_and_remembered(
    old_server: ControlPlane, supervisor: Supervisor
) -> None:
    for number in range(5):
        old_server.create(config_map(f"x{number}"), "default")
    async with Client.connect(kubeconfig=old_server.admin.kubeconfig) as client:
        server = ServerFeatures()
        informer = await informer_of(client, supervisor, "configmaps", "default", server=server)
        await asyncio.wait_for(informer.wait_synced(), 10)
        assert (server.streaming_lists, len(informer)) == (False, 5)
        assert await same(client, informer, "default")
        informer.close()


@pytest.mark.timeout(60)
async def test_a_restart_of_the_server_loses_nothing(old_server: ControlPlane, supervisor: Supervisor) -> None:
    """After a restart the server's memory of events begins anew: the old version is too old, and a list is due."""
    for name in ("stays", "goes", "changes"):
        old_server.create(config_map(name), "default")
    async with Client.connect(kubeconfig=old_server.admin.kubeconfig) as client:
        seen = Seen()
        informer = await informer_of(client, supervisor, "configmaps", "default")
        informer.add_handler(seen.handler)
        await informer.wait_synced()
        during: Callable[[], list[Object]] = informer.list

        await asyncio.to_thread(old_server.apiserver.restart)
        old_server.delete("configmaps", "goes", "default")
        old_server.create(config_map("comes"), "default")
        old_server.patch("configmaps", "changes", {"data": {"a": "b"}}, "default")

        await seen.until("-goes", "+comes", "~changes", within=30)
        assert await same(client, informer, "default")
        assert {found.name for found in during()} >= {"stays", "comes", "changes"}
        assert (seen.words.count("+stays"), "-stays" in seen.words) == (1, False)
        informer.close()
