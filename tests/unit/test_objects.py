"""The nouns: keys, kinds, the Object that belongs to its reader alone, needs, and resource versions."""

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache.api.codec import decode_object
from scopedcache.errors import ProtocolError
from scopedcache.kinds import GVK, GVR, ObjectKey, Resource
from scopedcache.needs import Need
from scopedcache.objects import Object, OwnerReference, is_newer
from scopedcache.selectors import LabelSelector
from tests.unit.memory import strings_in

POD = GVK("", "v1", "Pod")
BODY = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "web-0",
        "namespace": "a",
        "uid": "u-1",
        "resourceVersion": "7",
        "generation": 3,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"app": "web"},
        "annotations": {"note": "hello"},
        "finalizers": ["example.com/f"],
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": "u-8"},
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u-9", "controller": True},
        ],
    },
    "spec": {"nodeName": "n1", "containers": [{"name": "main", "image": "i"}]},
    "status": {"phase": "Running", "reason": None},
}


def pod(body: Mapping[str, Any] = BODY, gvk: GVK = POD) -> Object:
    entry, _ = decode_object(msgspec.json.encode(body))
    return Object(entry.metadata, entry.raw, gvk)


# -- metadata --------------------------------------------------------------------------------------------------------


def test_metadata_is_read_without_decoding_the_object():
    read = pod()

    seen = (
        read.key,
        read.name,
        read.namespace,
        read.uid,
        read.resource_version,
        read.generation,
        read.creation_timestamp,
        read.deletion_timestamp,
        dict(read.labels),
        dict(read.annotations),
        read.finalizers,
        read.kind,
        read.api_version,
    )

    assert seen == (
        ObjectKey("a", "web-0"),
        "web-0",
        "a",
        "u-1",
        "7",
        3,
        "2026-01-01T00:00:00Z",
        None,
        {"app": "web"},
        {"note": "hello"},
        ("example.com/f",),
        "Pod",
        "v1",
    )
    assert "containers" not in strings_in(read)  # not decoded


def test_the_controller_is_the_one_owner_marked_so():
    controller = pod().controller
    assert controller == OwnerReference("apps/v1", "ReplicaSet", "web", "u-9", controller=True)


def test_an_object_without_owners_has_no_controller():
    assert pod({"metadata": {"name": "x"}}).controller is None


def test_absent_metadata_reads_as_empty():
    bare = pod({"metadata": {"name": "x"}})
    assert (dict(bare.labels), dict(bare.annotations), bare.finalizers, bare.owner_references) == ({}, {}, (), ())


@pytest.mark.parametrize("field", ["labels", "annotations"])
def test_labels_and_annotations_are_read_only(field):
    with pytest.raises(TypeError):
        getattr(pod(), field)["app"] = "mine"


def test_labels_tell_what_the_server_sent_and_annotations_what_the_dict_holds_now():
    read = pod()
    read["metadata"]["annotations"]["note"] = "changed"
    assert (read.annotations["note"], read.labels["app"]) == ("changed", "web")


# -- the reader's own ------------------------------------------------------------------------------------------------


def test_what_one_reader_changes_no_other_reader_sees():
    entry, _ = decode_object(msgspec.json.encode(BODY))
    one, other = (Object(entry.metadata, entry.raw, POD) for _ in range(2))

    one["spec"]["containers"].append({"name": "mine"})
    one["metadata"]["labels"]["app"] = "mine"
    del one.to_dict()["status"]

    assert other.to_dict() == BODY
    assert msgspec.json.decode(entry.body) == BODY
    assert entry.metadata.labels == {"app": "web"}


def test_the_dict_is_decoded_once():
    read = pod()
    assert read.to_dict() is read.to_dict()


def test_kind_and_version_are_filled_in_where_a_list_left_them_out():
    item = pod({"metadata": {"name": "x"}})
    assert (item.to_dict()["kind"], item.to_dict()["apiVersion"]) == ("Pod", "v1")


def test_what_is_sent_back_names_its_kind_even_when_nothing_was_read():
    """Items of built-in lists carry no kind, and the server decodes no custom resource without one."""
    item = pod({"metadata": {"name": "x"}})
    sent = msgspec.json.decode(item.to_json())
    assert sent == {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}


def test_changes_are_part_of_what_is_sent_back():
    read = pod()
    read["spec"] = {"nodeName": "n2"}
    assert msgspec.json.decode(read.to_json())["spec"] == {"nodeName": "n2"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("status", "phase"), "Running"),
        (("status", "reason"), "nothing"),
        (("status", "phase", "deeper"), "nothing"),
        (("spec", "missing", "deeper"), "nothing"),
        ((), BODY),
    ],
)
def test_a_path_that_ends_nowhere_gives_the_default(path, expected):
    assert pod().at(*path, default="nothing") == expected


def test_an_object_reads_like_a_mapping():
    read = pod()
    assert ("spec" in read, "data" in read, read.get("data", 1), read["kind"]) == (True, False, 1, "Pod")


def test_an_object_shows_who_it_is():
    assert repr(pod()) == "<Pod a/web-0 uid=u-1 rv=7>"
    assert repr(Object.from_dict({})) == "<Object  uid=- rv=->"


# -- from_dict -------------------------------------------------------------------------------------------------------


def test_a_dict_you_built_is_used_as_it_is():
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x", "namespace": "a"}, "spec": {}}
    made = Object.from_dict(body)
    assert (made.to_dict() is body, made.gvk, made.key) == (True, GVK("apps", "v1", "Deployment"), ObjectKey("a", "x"))


@pytest.mark.parametrize("metadata", [None, {}, {"labels": None, "managedFields": [{"manager": "x"}]}])
def test_missing_metadata_and_nulls_are_taken(metadata):
    made = Object.from_dict({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})
    assert (made.name, dict(made.labels)) == ("", {})


@pytest.mark.parametrize("metadata", [[], "x", {"name": 1}, {"labels": ["a"]}, {"ownerReferences": {"uid": "x"}}])
def test_metadata_of_another_shape_is_refused(metadata):
    with pytest.raises(ValueError, match="not an API object: metadata"):
        Object.from_dict({"metadata": metadata or "x"})


# -- models ----------------------------------------------------------------------------------------------------------


class StructSpec(msgspec.Struct, rename="camel"):
    node_name: str


class StructPod(msgspec.Struct):
    spec: StructSpec


@attrs.define
class AttrsSpec:
    nodeName: str


@attrs.define
class AttrsPod:
    spec: AttrsSpec


@dataclasses.dataclass
class DataSpec:
    nodeName: str


@dataclasses.dataclass
class DataPod:
    spec: DataSpec


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (StructPod, StructPod(StructSpec("n1"))),
        (AttrsPod, AttrsPod(AttrsSpec("n1"))),
        (DataPod, DataPod(DataSpec("n1"))),
    ],
)
def test_an_object_turns_into_a_model(model, expected, decoded):
    read = pod()
    if decoded:
        read.to_dict()
    assert read.to_model(model) == expected


def test_an_object_turns_into_a_model_of_the_kubernetes_client():
    from kubernetes.client import V1Pod

    model = pod().to_model(V1Pod)

    assert (type(model), model.metadata.name, model.spec.node_name) == (V1Pod, "web-0", "n1")


def test_an_object_turns_into_a_model_of_kubernetes_asyncio():
    """Lists, maps, times, numbers or words, and a field that it does not know."""
    from kubernetes_asyncio.client import ApiClient, V1Pod

    container = {"name": "one", "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": "1"}}, "new": 1}
    probe = {"httpGet": {"port": "http"}}
    data: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web-0",
            "namespace": "a",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"x": "y"},
        },
        "spec": {"nodeName": "n1", "containers": [{**container, "livenessProbe": probe}], "nodeSelector": None},
        "status": {"podIPs": [{"ip": "10.0.0.1"}]},
    }
    model = Object.from_dict(data).to_model(V1Pod)

    assert type(model) is V1Pod
    assert model.metadata.creation_timestamp == datetime(2026, 1, 1, tzinfo=UTC)
    assert model.metadata.labels == {"x": "y"}
    assert model.spec.containers[0].ports[0].container_port == 80
    assert model.spec.containers[0].liveness_probe.http_get.port == "http"
    back = ApiClient.sanitize_for_serialization(object.__new__(ApiClient), model)
    del data["spec"]["nodeSelector"], data["spec"]["containers"][0]["new"]
    data["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00+00:00"
    assert back == data


@pytest.mark.parametrize("spec", ["text", {"containers": {}}, {"containers": ["text"]}, {}])
def test_an_object_that_does_not_fit_a_model_of_kubernetes_asyncio_says_so(spec):
    from kubernetes_asyncio.client import V1Pod

    read = Object.from_dict(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "namespace": "a"}, "spec": spec}
    )
    with pytest.raises(ValueError, match="Pod a/x does not fit V1Pod: "):
        read.to_model(V1Pod)


def test_a_model_sees_the_changes_of_its_reader():
    read = pod()
    read["spec"]["nodeName"] = "n2"
    assert read.to_model(StructPod).spec.node_name == "n2"


def test_an_object_that_does_not_fit_says_what_and_where():
    class Wrong(msgspec.Struct):
        spec: int

    with pytest.raises(ValueError, match=r"Pod a/web-0 does not fit Wrong: .*\$\.spec"):
        pod().to_model(Wrong)


# -- kinds and needs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("api_version", "kind", "expected"),
    [
        ("v1", "Pod", "Pod.v1"),
        ("apps/v1", "Deployment", "Deployment.v1.apps"),
        ("cache.example.com/v1alpha1", "Memcached", "Memcached.v1alpha1.cache.example.com"),
    ],
)
def test_a_kind_survives_its_two_fields(api_version, kind, expected):
    gvk = GVK.of(api_version, kind)
    assert (gvk.api_version, gvk.kind, str(gvk)) == (api_version, kind, expected)


def test_a_resource_is_named_as_admins_name_it():
    assert (str(GVR("apps", "v1", "deployments")), str(GVR("", "v1", "pods"))) == ("deployments.apps", "pods")


def test_resources_are_the_same_whatever_the_server_said_about_their_verbs():
    one, other = (Resource(GVR("", "v1", "pods"), POD, True, frozenset(verbs)) for verbs in ((), ("get",)))
    assert (one == other, hash(one) == hash(other)) == (True, True)


def test_a_need_always_lists_and_watches():
    assert Need("pods", "create").all_verbs == ("list", "watch", "create")
    assert Need("pods", ("watch", "patch", "list")).all_verbs == ("list", "watch", "patch")


def test_a_kind_is_accepted_where_a_need_is():
    need = Need("pods", optional=True)
    assert (Need.of("pods"), Need.of(need) is need) == (Need("pods"), True)


def test_a_need_reads_its_selector():
    assert Need("pods", selector="app=web").selector == LabelSelector.parse({"app": "web"})


def test_keys_read_like_paths():
    assert (str(ObjectKey("a", "b")), str(ObjectKey("", "b")), ObjectKey("a", "b") == ("a", "b")) == ("a/b", "b", True)


# -- resource versions -----------------------------------------------------------------------------------------------

versions = st.integers(1, 2**128).map(str)


@given(versions, versions)
def test_versions_compare_as_integers_of_any_length(one, other):
    assert is_newer(one, other) is (int(one) > int(other))


@given(versions, versions, versions)
def test_newer_is_a_strict_order(a, b, c):
    assert not is_newer(a, a)
    assert not (is_newer(a, b) and is_newer(b, a))
    if is_newer(a, b) and is_newer(b, c):
        assert is_newer(a, c)


@pytest.mark.parametrize("opaque", ["", "abc", "1a", "-1", "1.5", "010", "0", " 1", "٣"])
def test_an_opaque_version_tells_only_whether_it_is_equal(opaque):
    assert (is_newer(opaque, "5"), is_newer("5", opaque), is_newer(opaque, opaque)) == (None, None, False)


# -- what cannot be read ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [b"{", b"[" * 100_000 + b"]" * 100_000])
def test_what_cannot_be_read_is_a_ProtocolError_and_the_metadata_still_tells_whose_it_is(spec):
    class Loose(msgspec.Struct):
        spec: object

    broken = Object(pod().metadata, b'{"metadata":{},"spec":%s}' % spec, POD)
    for read in (broken.to_dict, lambda: broken["spec"], lambda: broken.to_model(Loose), lambda: broken.to_json()):
        with pytest.raises(ProtocolError, match="the Pod a/web-0 the server sent cannot be read"):
            read()
    assert (broken.name, broken.labels) == ("web-0", {"app": "web"})


def test_labels_of_an_object_you_built_are_read_only_too():
    body = {"metadata": {"name": "x", "labels": {"app": "web"}}}
    with pytest.raises(TypeError):
        Object.from_dict(body).labels["app"] = "mine"  # type: ignore[index]  # that is what is tested
