"""The client against a real API server: every request, and what its refusals are taken for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from scopedcache.api.client import Client
from scopedcache.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    TransportError,
    UnauthorizedError,
    UnknownKindError,
)
from scopedcache.kinds import GVK, GVR, ObjectKey, Resource
from scopedcache.objects import Object
from scopedcache.testing import ControlPlane, Identity

pytestmark = pytest.mark.real


def config_map(name: str, namespace: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "data": data,
    }


def stateful_set(name: str, namespace: str) -> dict[str, Any]:
    """Return a kind with a scale that no controller writes to here."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "one", "image": "none"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": spec}


@pytest.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[Client]:
    async with Client.connect(kubeconfig=control_plane.admin.kubeconfig) as made:
        yield made


@pytest.fixture
async def alice(control_plane: ControlPlane) -> AsyncIterator[Client]:
    """A client without any rights, until a test grants some."""
    async with Client.connect(kubeconfig=control_plane.user("alice").kubeconfig) as made:
        yield made


# -- reads -----------------------------------------------------------------------------------------------------------


async def test_what_was_created_is_read_in_every_way(client: Client, namespace: str) -> None:
    created = await client.create(config_map("x", namespace, colour="red"))
    got = await client.get("configmaps", "x", namespace=namespace)
    by_kind = await client.get(GVK("", "v1", "ConfigMap"), created.key)
    assert (got.uid, by_kind["data"], created.kind) == (created.uid, {"colour": "red"}, "ConfigMap")
    assert got.labels == {"app": "x"}


async def test_an_object_is_read_as_a_model(client: Client, namespace: str) -> None:
    class ConfigMap(msgspec.Struct):
        data: dict[str, str]

    await client.create(config_map("x", namespace, colour="red"))
    assert await client.get("configmaps", "x", namespace=namespace, model=ConfigMap) == ConfigMap({"colour": "red"})

    from kubernetes.client import V1ConfigMap

    assert (await client.get("configmaps", "x", namespace=namespace, model=V1ConfigMap)).data == {"colour": "red"}


async def test_a_list_in_pages_is_the_whole_list(client: Client, namespace: str) -> None:
    for number in range(7):
        await client.create(config_map(f"x{number}", namespace))
    listed = await client.list("configmaps", namespace=namespace, page=2, labels="app!=x3,app")
    names = sorted(found.name for found in listed)
    assert names == ["x0", "x1", "x2", "x4", "x5", "x6"]
    assert (listed[0].kind, int(listed.resource_version) > 0) == ("ConfigMap", True)


async def test_selectors_mean_on_the_server_what_they_mean_in_memory(client: Client, namespace: str) -> None:
    from scopedcache.selectors import LabelSelector

    labels = [{}, {"a": "1"}, {"a": "2", "b": ""}, {"b": "x"}, {"example.com/c": "1"}]
    for number, these in enumerate(labels):
        body = config_map(f"x{number}", namespace)
        body["metadata"]["labels"] = {**these, "test": "selectors"}
        await client.create(body)
    for text in (
        "a",
        "!a",
        "a=1",
        "a!=1",
        "a in (1,2)",
        "a notin (1)",
        "b=",
        "b!=",
        "a,b",
        "b in ()",
        "b notin ()",
        "example.com/c in (,1)",
    ):
        selector = LabelSelector.parse(f"test=selectors,{text}")
        there = {found.name for found in await client.list("configmaps", namespace=namespace, labels=selector)}
        here = {f"x{n}" for n, these in enumerate(labels) if selector.matches({**these, "test": "selectors"})}
        assert there == here, text


@pytest.mark.parametrize("text", ["a/b/c", "a=-x", "a,,b", "a b"])
async def test_a_selector_that_we_refuse_the_server_refuses_too(client: Client, namespace: str, text: str) -> None:
    path, query = f"/api/v1/namespaces/{namespace}/configmaps", [("labelSelector", text)]
    answer = await client.transport.request("GET", path, query)
    assert answer.status == 400
    with pytest.raises(ValueError, match="malformed label selector"):
        await client.list("configmaps", namespace=namespace, labels=text)


async def test_a_watch_yields_what_happens(client: Client, namespace: str) -> None:
    listed = await client.list("configmaps", namespace=namespace)
    created = await client.create(config_map("x", namespace))
    await client.delete(created)
    watch = client.watch(
        "configmaps", namespace=namespace, fields="metadata.name=x", resource_version=listed.resource_version, timeout=5
    )
    async with aclosing(watch) as events:
        seen = [(await anext(events)) for _ in range(2)]
    assert [(type_, found.uid) for type_, found in seen] == [("ADDED", created.uid), ("DELETED", created.uid)]


# -- writes ----------------------------------------------------------------------------------------------------------


async def test_an_update_of_an_older_state_is_a_conflict(client: Client, namespace: str) -> None:
    first = await client.create(config_map("x", namespace))
    second = await client.get("configmaps", "x", namespace=namespace)
    second["data"] = {"colour": "red"}
    await client.update(second)
    first["data"] = {"colour": "blue"}
    with pytest.raises(ConflictError) as caught:
        await client.update(first)
    assert type(caught.value) is ConflictError
    with pytest.raises(AlreadyExistsError):
        await client.create(config_map("x", namespace))


async def test_what_a_list_showed_can_be_put_back_although_it_names_no_kind(client: Client, namespace: str) -> None:
    await client.create(config_map("x", namespace))
    listed = await client.list("configmaps", namespace=namespace, labels="app=x")
    assert (await client.update(listed[0])).uid == listed[0].uid


async def test_each_kind_of_patch_does_what_it_says(client: Client, namespace: str) -> None:
    await client.create(config_map("x", namespace, a="1", b="2"))
    merged = await client.patch("configmaps", "x", {"data": {"a": None, "c": "3"}}, namespace=namespace)
    operations = [{"op": "replace", "path": "/data/b", "value": "22"}]
    by_json = await client.patch("configmaps", "x", operations, namespace=namespace, type="json")
    strategic = await client.patch("configmaps", "x", {"data": {"d": "4"}}, namespace=namespace, type="strategic")
    assert (merged["data"], by_json["data"], strategic["data"]) == (
        {"b": "2", "c": "3"},
        {"b": "22", "c": "3"},
        {"b": "22", "c": "3", "d": "4"},
    )


async def test_apply_owns_its_fields_and_says_when_somebody_else_does(client: Client, namespace: str) -> None:
    applied = await client.apply(config_map("x", namespace, a="1", b="2"), field_manager="one")
    again = await client.apply(config_map("x", namespace, a="1"), field_manager="one")
    with pytest.raises(ConflictError, match="conflict"):
        await client.apply(config_map("x", namespace, a="9"), field_manager="other", force=False)
    forced = await client.apply(config_map("x", namespace, a="9"), field_manager="other")
    assert (applied["data"], again["data"], forced["data"]) == ({"a": "1", "b": "2"}, {"a": "1"}, {"a": "9"})


async def test_a_dry_run_changes_nothing(client: Client, namespace: str) -> None:
    await client.create(config_map("x", namespace), dry_run=True)
    with pytest.raises(NotFoundError):
        await client.get("configmaps", "x", namespace=namespace)


async def test_status_and_scale_are_written_apart(client: Client, namespace: str) -> None:
    made = await client.create(stateful_set("web", namespace))
    made["spec"]["replicas"] = 7
    made["status"] = {"observedGeneration": 1, "replicas": 3}
    by_status = await client.update(made, subresource="status")
    scale = await client.get("statefulsets.apps", "web", namespace=namespace, subresource="scale")
    patched = await client.patch(
        "statefulsets.apps", "web", {"spec": {"replicas": 1}}, namespace=namespace, subresource="scale"
    )
    patched["spec"]["replicas"] = 2
    put = await client.update(patched, kind="statefulsets.apps", subresource="scale")
    assert (by_status.at("spec", "replicas"), by_status.at("status", "replicas")) == (0, 3)
    assert (scale.kind, scale.at("spec", "replicas", default=0), put.at("spec", "replicas")) == ("Scale", 0, 2)
    await client.delete("statefulsets.apps", "web", namespace=namespace)


async def test_a_delete_may_be_for_one_uid_alone(client: Client, namespace: str) -> None:
    made = await client.create(config_map("x", namespace))
    with pytest.raises(ConflictError):
        await client.delete("configmaps", "x", namespace=namespace, uid="another")
    assert await client.delete(made, uid=made.uid) is None
    with pytest.raises(NotFoundError):
        await client.delete(made)


class Listener:
    def __init__(self) -> None:
        self.heard: list[tuple[str, str, bool]] = []

    def written(self, resource: object, written: Object) -> None:
        self.heard.append(("written", written.name, written.deletion_timestamp is not None))

    def deleted(self, resource: object, key: ObjectKey, uid: str) -> None:
        self.heard.append(("deleted", key.name, bool(uid)))


async def test_what_a_delete_leaves_is_told_whatever_the_kind_answers_with(client: Client, namespace: str) -> None:
    """A ConfigMap answers with a Status, a ServiceAccount with itself, and what has a finalizer stays."""
    held = config_map("held", namespace)
    held["metadata"]["finalizers"] = ["example.com/held"]
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot", "namespace": namespace}}
    made = [await client.create(body) for body in (config_map("x", namespace), account, held)]
    listener = Listener()
    client.add_write_listener(listener)

    left = [await client.delete(one) for one in made]

    assert listener.heard == [("deleted", "x", True), ("deleted", "robot", True), ("written", "held", True)]
    assert [one is None for one in left] == [True, True, False]
    await client.patch("configmaps", "held", {"metadata": {"finalizers": None}}, namespace=namespace)


async def test_a_collection_is_deleted_by_selector(client: Client, namespace: str) -> None:
    for name in "xyz":
        await client.create(config_map(name, namespace))
    await client.delete_collection("configmaps", namespace=namespace, labels="app in (x,y)")
    left = await client.list("configmaps", namespace=namespace, labels="app")
    assert [found.name for found in left] == ["z"]


# -- refusals --------------------------------------------------------------------------------------------------------


async def test_refusals_have_their_types(client: Client, namespace: str) -> None:
    invalid = config_map("x", namespace)
    invalid["metadata"]["name"] = "Not A Name"
    with pytest.raises(InvalidError):
        await client.create(invalid)
    with pytest.raises(InvalidError):
        await client.list("configmaps", namespace=namespace, fields="spec.unknown=1")
    with pytest.raises(NotFoundError):
        await client.create(config_map("x", "no-such-namespace"))
    with pytest.raises(UnknownKindError):
        await client.list("mice.farm.example.com")


async def test_a_missing_right_is_refused_by_the_authorizer_and_named(alice: Client, namespace: str) -> None:
    for asking in (
        alice.list("configmaps", namespace=namespace),
        alice.get("configmaps", "x", namespace=namespace),
        alice.create(config_map("x", namespace)),
        alice.patch("configmaps", "x", {}, namespace=namespace),
        alice.delete("configmaps", "x", namespace=namespace),
        alice.delete_collection("configmaps", namespace=namespace),
    ):
        with pytest.raises(
            ForbiddenError, match=f"configmaps .*in namespace {namespace}.*refused by the authorizer"
        ) as e:
            await asking
        assert (e.value.by, e.value.namespace, e.value.resource) == ("authorizer", namespace, "configmaps")


async def test_a_watch_without_the_right_is_refused(alice: Client, namespace: str) -> None:
    with pytest.raises(ForbiddenError, match=f"may not watch configmaps in namespace {namespace}"):
        await anext(alice.watch("configmaps", namespace=namespace))


async def test_an_apply_that_lacks_create_is_refused_by_the_authorizer(
    control_plane: ControlPlane, alice: Client, namespace: str
) -> None:
    control_plane.grant(control_plane.user("alice"), ["patch"], ["configmaps"], namespace=namespace)
    control_plane.wait_allowed(control_plane.user("alice"), "patch", "configmaps", namespace)
    with pytest.raises(ForbiddenError) as caught:
        await alice.apply(config_map("x", namespace))
    assert caught.value.by == "authorizer"


async def test_a_write_refused_by_admission_says_so(client: Client, new_namespace: Callable[[], str]) -> None:
    namespace = new_namespace()
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    await client.patch("namespaces", namespace, {"metadata": {"labels": labels}})
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "namespace": namespace},
        "spec": {"containers": [{"name": "one", "image": "none", "securityContext": {"privileged": True}}]},
    }
    with pytest.raises(ForbiddenError, match=r"refused by the admission.*restricted") as caught:
        await client.create(pod)
    assert caught.value.by == "admission"


async def test_a_namespace_that_ends_refuses_by_admission_and_names_the_cause(
    client: Client, new_namespace: Callable[[], str]
) -> None:
    namespace = new_namespace()
    held = config_map("held", namespace)
    held["metadata"]["finalizers"] = ["example.com/held"]
    await client.create(held)
    await client.delete("namespaces", namespace)
    with pytest.raises(ForbiddenError) as caught:
        await client.create(config_map("late", namespace))
    causes = [cause["reason"] for cause in caught.value.details["causes"]]
    assert (caught.value.by, causes) == ("admission", ["NamespaceTerminating"])
    await client.patch("configmaps", "held", {"metadata": {"finalizers": None}}, namespace=namespace)


# -- who we are ------------------------------------------------------------------------------------------------------


def kubeconfig_of(control_plane: ControlPlane, folder: Path, **user: str) -> Path:
    """Write a kubeconfig that differs from the admin's in its user, and perhaps in its cluster."""
    config = yaml.safe_load(control_plane.admin.kubeconfig.read_text())
    config["users"][0]["user"] = user
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


async def test_a_new_token_in_the_file_heals_a_401_at_once(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    robot: Identity = control_plane.service_account(namespace, "robot")
    control_plane.grant(robot, ["list", "watch"], ["configmaps"], namespace=namespace)
    good = robot.token
    robot.token_file.write_text("expired")
    path = kubeconfig_of(control_plane, tmp_path, tokenFile=str(robot.token_file))
    async with Client.connect(kubeconfig=path) as client:
        with pytest.raises(UnauthorizedError):
            await client.list("configmaps", namespace=namespace)
        assert robot.refresh() != good
        control_plane.wait_allowed(robot, "list", "configmaps", namespace)
        assert await client.list("configmaps", namespace=namespace) is not None
        async with client.open_watch("configmaps", namespace=namespace, timeout=1) as stream:
            assert stream.status == 200


async def test_without_credentials_the_answer_is_unauthorized(control_plane: ControlPlane, tmp_path: Path) -> None:
    """The server says 403 to `system:anonymous`; what is missing is not a right but an identity."""
    async with Client.connect(kubeconfig=kubeconfig_of(control_plane, tmp_path)) as client:
        with pytest.raises(UnauthorizedError):
            await client.list(Resource(GVR("", "v1", "pods"), GVK("", "v1", "Pod"), namespaced=True))


async def test_a_CA_that_did_not_sign_is_named(control_plane: ControlPlane, tmp_path: Path) -> None:
    path = kubeconfig_of(control_plane, tmp_path, token=control_plane.admin.token)
    config = yaml.safe_load(path.read_text())
    del config["clusters"][0]["cluster"]["certificate-authority"]
    path.write_text(yaml.safe_dump(config))
    async with Client.connect(kubeconfig=path) as client:
        with pytest.raises(TransportError, match="showed a certificate that the CA of the kubeconfig did not sign"):
            await client.version()


async def test_many_requests_at_once_are_all_answered(client: Client, namespace: str) -> None:
    made = await asyncio.gather(*(client.create(config_map(f"x{n}", namespace)) for n in range(150)))
    assert len({one.uid for one in made}) == 150
    assert (await client.version()).startswith("v1.")
