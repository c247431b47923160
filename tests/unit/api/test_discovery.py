"""From a kind, however it is written, to the resource the server serves."""

import asyncio
import json

import pytest

from scopedcache.api.discovery import RETRY_SECONDS, TTL_SECONDS, Discovery
from scopedcache.errors import (
    ForbiddenError,
    NotFoundError,
    ProtocolError,
    ServerError,
    TooManyRequestsError,
    TransportError,
    UnknownKindError,
)
from scopedcache.kinds import GVK, GVR, denotes
from scopedcache.testing import virtual_time
from tests.unit.clock import idle


def group(*versions, preferred=None):
    entries = [{"groupVersion": f"g/{version}", "version": version} for version in versions]
    body = {"kind": "APIGroup", "versions": entries}
    return body | ({"preferredVersion": {"version": preferred}} if preferred else {})


def resources(*entries):
    return {"kind": "APIResourceList", "resources": list(entries)}


def resource(name, kind, *, namespaced=True, **rest):
    return {"name": name, "kind": kind, "namespaced": namespaced, "verbs": ["list", "watch"], **rest}


class Cluster:
    """Serves documents by path; `asked` is who asked for what, `hold` makes answers wait."""

    def __init__(self):
        self.asked = []
        self.hold = None
        self.trouble = None
        self.documents = {
            "/api/v1": resources(
                resource("bindings", "Binding", singularName=""),
                resource("pods", "Pod", singularName="pod", shortNames=["po"]),
                resource("pods/status", "Pod"),
                resource("pods/eviction", "Eviction"),
                resource("nodes", "Node", namespaced=False),
            ),
            "/apis/apps": group("v1", "v1beta1", preferred="v1"),
            "/apis/apps/v1": resources(
                resource("deployments", "Deployment", singularName="deployment"),
                resource("deployments/scale", "Scale", group="autoscaling", version="v1"),
            ),
            "/apis/apps/v1beta1": resources(resource("deployments", "Deployment"), resource("olds", "Old")),
            "/apis/odd": group("v2", "v1"),
            "/apis/odd/v2": {"kind": "APIResourceList", "resources": None},
            "/apis/odd/v1": resources({"name": "odds", "kind": "Odd", "namespaced": True, "verbs": None}),
        }

    async def fetch(self, path):
        self.asked.append(path)
        if self.hold is not None:
            await self.hold.wait()
        if self.trouble is not None:
            raise self.trouble
        if path not in self.documents:
            raise NotFoundError("404 page not found", status=404)
        body = self.documents[path]
        if isinstance(body, Exception):
            raise body
        return body if isinstance(body, bytes) else json.dumps(body).encode()


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def discovery(cluster, clock):
    return Discovery(cluster.fetch, timer=clock)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("pods", GVR("", "v1", "pods")),
        ("pod", GVR("", "v1", "pods")),
        ("Pod", GVR("", "v1", "pods")),
        ("po", GVR("", "v1", "pods")),
        (" pods ", GVR("", "v1", "pods")),
        ("pods.v1", GVR("", "v1", "pods")),
        ("nodes", GVR("", "v1", "nodes")),
        ("deployments.apps", GVR("apps", "v1", "deployments")),
        ("Deployment.apps", GVR("apps", "v1", "deployments")),
        ("deployments.v1beta1.apps", GVR("apps", "v1beta1", "deployments")),
        ("olds.apps", GVR("apps", "v1beta1", "olds")),
        ("odds.odd", GVR("odd", "v1", "odds")),
        (GVK("", "v1", "Pod"), GVR("", "v1", "pods")),
        (GVK("", "", "Pod"), GVR("", "v1", "pods")),
        (GVK("apps", "", "Deployment"), GVR("apps", "v1", "deployments")),
        (GVK("apps", "v1beta1", "Deployment"), GVR("apps", "v1beta1", "deployments")),
        (GVR("apps", "v1", "deployments"), GVR("apps", "v1", "deployments")),
        (GVR("apps", "", "deployments"), GVR("apps", "v1", "deployments")),
    ],
)
async def test_a_kind_may_be_written_in_many_ways(discovery, kind, expected):
    assert (await discovery.resolve(kind)).gvr == expected


async def test_a_resource_says_what_it_is(discovery):
    found = await discovery.resolve("deployments.apps")
    assert (found.gvk, found.namespaced, found.verbs, found.subresources) == (
        GVK("apps", "v1", "Deployment"), True, {"list", "watch"}, {"scale"},
    )  # fmt: skip
    assert not (await discovery.resolve("nodes")).namespaced


async def test_a_resource_is_its_own_answer(discovery, cluster):
    found = await discovery.resolve("pods")
    cluster.asked.clear()
    assert (await discovery.resolve(found) is found, cluster.asked) == (True, [])


@pytest.mark.parametrize(
    "kind", ["mice", "pods.apps", "Eviction", "", GVK("", "", ""), GVK("apps", "v9", "Deployment")]
)
async def test_a_kind_nobody_serves_is_named_with_what_to_check(discovery, kind):
    with pytest.raises(UnknownKindError, match=r"does not serve .*its CRD is installed"):
        await discovery.resolve(kind)


async def test_what_is_known_is_not_asked_for_again(discovery, cluster):
    assert discovery.known("deployments.apps") is None
    found = await discovery.resolve("deployments.apps")
    asked = list(cluster.asked)
    assert (await discovery.resolve("deployments.apps") is found, discovery.known("deployments.apps")) == (True, found)
    await discovery.resolve(GVK("apps", "v1", "Deployment"))
    assert (asked, cluster.asked) == (["/apis/apps", "/apis/apps/v1"], asked)


async def test_what_is_known_is_asked_for_again_after_a_while_or_when_told_to_forget(discovery, cluster, clock):
    await discovery.resolve("pods")
    clock.now += TTL_SECONDS + 1
    await discovery.resolve("pods")
    discovery.forget("apps")
    await discovery.resolve("pods")
    before = list(cluster.asked)
    discovery.forget("")
    await discovery.resolve("pods")
    assert (before, cluster.asked) == (["/api/v1"] * 2, ["/api/v1"] * 3)


async def test_a_kind_that_cannot_be_watched_is_no_watchable_one_until_it_can(discovery, cluster, clock):
    cluster.documents["/api/v1"] = resources({**resource("pods", "Pod"), "verbs": ["get", "list"]})
    with pytest.raises(UnknownKindError, match="no watch of pods"):
        await discovery.resolve_watchable("pods")
    await discovery.resolve("pods")  # it can be read
    cluster.documents["/api/v1"] = resources(resource("pods", "Pod"))

    assert not (await discovery.resolve_watchable("pods")).missing_verbs


async def test_a_group_that_appears_is_found_a_moment_later(discovery, cluster, clock):
    with pytest.raises(UnknownKindError):
        await discovery.resolve("mice.farm")
    cluster.documents["/apis/farm"] = group("v1")
    cluster.documents["/apis/farm/v1"] = resources(resource("mice", "Mouse"))

    clock.now += RETRY_SECONDS

    assert (await discovery.resolve("mice.farm")).gvk == GVK("farm", "v1", "Mouse")


async def test_a_kind_that_appears_in_a_known_version_is_found_a_moment_later(discovery, cluster, clock):
    await discovery.resolve("deployments.apps")
    cluster.documents["/apis/apps/v1"]["resources"].append(resource("mice", "Mouse"))
    clock.now += RETRY_SECONDS
    assert (await discovery.resolve("mice.apps")).gvr == GVR("apps", "v1", "mice")


async def test_a_version_that_appears_in_a_known_group_is_found_a_moment_later(discovery, cluster, clock):
    await discovery.resolve("deployments.apps")
    cluster.documents["/apis/apps"] = group("v1", "v1beta1", "v2alpha1", preferred="v1")
    cluster.documents["/apis/apps/v2alpha1"] = resources(resource("mice", "Mouse"))
    clock.now += RETRY_SECONDS
    assert (await discovery.resolve("mice.apps")).gvr == GVR("apps", "v2alpha1", "mice")


async def test_a_kind_that_stays_unknown_is_asked_for_once_per_pause(discovery, cluster, clock):
    for _ in range(50):
        with pytest.raises(UnknownKindError):
            await discovery.resolve("mice.farm")
    assert cluster.asked == ["/apis/farm"]

    clock.now += RETRY_SECONDS
    for _ in range(50):
        with pytest.raises(UnknownKindError):
            await discovery.resolve("mice.farm")
    assert cluster.asked == ["/apis/farm"] * 2


async def test_those_who_ask_together_share_one_request(discovery, cluster):
    cluster.hold = asyncio.Event()
    asking = [asyncio.ensure_future(discovery.resolve(kind)) for kind in ("pods", "pod", "nodes")]
    await idle()
    cluster.hold.set()
    found = await asyncio.gather(*asking)
    assert ([one.gvk.kind for one in found], cluster.asked) == (["Pod", "Pod", "Node"], ["/api/v1"])


async def test_who_leaves_does_not_take_the_request_with_him(discovery, cluster):
    cluster.hold = asyncio.Event()
    leaving, staying = (asyncio.ensure_future(discovery.resolve("pods")) for _ in range(2))
    await idle()
    leaving.cancel()
    await idle()
    cluster.hold.set()
    assert ((await staying).gvk.kind, cluster.asked) == ("Pod", ["/api/v1"])


async def test_a_failure_reaches_all_who_asked_and_is_not_remembered(discovery, cluster):
    cluster.trouble = ServerError("unavailable", status=503)
    answers = await asyncio.gather(*(discovery.resolve("pods") for _ in range(2)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ServerError, ServerError]
    cluster.trouble = None
    assert (await discovery.resolve("pods")).gvk.kind == "Pod"


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"versions":1}', b"\xff"])
async def test_a_document_that_cannot_be_read_is_a_ProtocolError(discovery, cluster, body):
    cluster.documents["/apis/apps"] = body
    with pytest.raises(ProtocolError, match="not a discovery document"):
        await discovery.resolve("deployments.apps")


# -- trouble with one document -----------------------------------------------------------------------------------------

DOWN = [
    ServerError("unavailable", status=503),
    TooManyRequestsError("busy", status=429),
    TransportError("did not answer in time"),
    ProtocolError("HTML"),
    b"<html>",
    b'{"resources":7}',
]


@pytest.mark.parametrize("trouble", DOWN, ids=lambda trouble: type(trouble).__name__)
@pytest.mark.parametrize("kind", ["deployments.apps", "Deployment.apps", GVR("apps", "", "deployments"), "olds.apps"])
async def test_a_version_that_is_down_hides_no_other_version(discovery, cluster, trouble, kind):
    cluster.documents["/apis/apps/v1"] = trouble
    found = await discovery.resolve(kind)
    assert (found.gvr.version, found.gvr.group) == ("v1beta1", "apps")


@pytest.mark.parametrize("trouble", DOWN[:4], ids=lambda trouble: type(trouble).__name__)
async def test_a_kind_that_may_be_in_a_version_that_is_down_is_not_an_unknown_one(discovery, cluster, trouble):
    cluster.documents["/apis/apps/v1"] = trouble
    for kind in ("mice.apps", GVK("apps", "v1", "Deployment")):
        with pytest.raises(type(trouble)):
            await discovery.resolve(kind)


async def test_a_version_that_is_down_is_asked_once_for_each_question(discovery, cluster):
    cluster.documents["/apis/apps/v1"] = DOWN[0]
    with pytest.raises(ServerError):
        await discovery.resolve("mice.apps")
    assert cluster.asked.count("/apis/apps/v1") == 1


async def test_a_group_that_is_down_hides_no_other_group(discovery, cluster):
    cluster.documents["/apis/v1.apps"] = DOWN[0]  # another way to read what is asked for
    cluster.documents["/apis/metrics"] = DOWN[0]
    assert (await discovery.resolve("deployments.v1.apps")).gvr == GVR("apps", "v1", "deployments")
    with pytest.raises(ServerError):
        await discovery.resolve("pods.metrics")


async def test_a_version_that_is_back_is_found_again(discovery, cluster):
    good = cluster.documents["/apis/apps/v1"]
    cluster.documents["/apis/apps/v1"] = DOWN[0]
    with pytest.raises(ServerError):
        await discovery.resolve(GVK("apps", "v1", "Deployment"))
    cluster.documents["/apis/apps/v1"] = good
    assert (await discovery.resolve(GVK("apps", "v1", "Deployment"))).gvr.version == "v1"


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "APIGroup", "versions": None},
        {"kind": "APIGroup", "versions": None, "preferredVersion": None},
        {"kind": "APIGroup", "versions": [None, {"version": None}], "preferredVersion": {"version": None}},
        {"kind": "APIGroup"},
    ],
)
async def test_a_group_without_versions_serves_nothing(discovery, cluster, document):
    cluster.documents["/apis/nothing"] = document
    with pytest.raises(UnknownKindError):
        await discovery.resolve("mice.nothing")


async def test_one_odd_entry_of_a_document_hides_none_of_the_others(discovery, cluster):
    mice = resource("mice", "Mouse", singularName=None, shortNames=[None, "m"], verbs=[None, "list"], namespaced=None)
    cluster.documents["/apis/apps/v1"] = resources(None, 7, {"name": None}, {"name": "odd", "kind": 7}, mice)
    found = await discovery.resolve("m.apps")
    assert (found.gvk.kind, found.verbs, found.namespaced) == ("Mouse", {"list"}, False)


# -- refusals ----------------------------------------------------------------------------------------------------------


def refused():
    return ForbiddenError("may not get /api/v1", status=403)


def test_a_server_that_has_just_started_and_refuses_everything_is_asked_again():
    async def run():
        cluster = Cluster()
        cluster.trouble = refused()
        asyncio.get_running_loop().call_later(1.5, setattr, cluster, "trouble", None)
        found = await Discovery(cluster.fetch).resolve("pods")
        return found.gvk.kind, cluster.asked

    assert virtual_time.run(run()) == ("Pod", ["/api/v1"] * 3)


def test_a_discovery_that_stays_refused_is_no_right_that_could_be_awaited():
    async def run():
        cluster = Cluster()
        cluster.trouble = refused()
        discovery = Discovery(cluster.fetch)
        with pytest.raises(UnknownKindError, match=r"whether the API server serves pods: .*`system:discovery`"):
            await discovery.resolve("pods")
        cluster.trouble = None
        return (await discovery.resolve("pods")).gvk.kind

    assert virtual_time.run(run()) == "Pod"


def test_nobody_waits_for_a_refused_document_once_its_client_is_closed():
    async def run():
        cluster = Cluster()
        cluster.trouble = refused()
        discovery = Discovery(cluster.fetch)
        asking = asyncio.ensure_future(discovery.resolve("pods"))
        await virtual_time.after(0.5)
        began = asyncio.get_running_loop().time()
        cluster.trouble = TransportError("this client is closed")
        discovery.end()
        with pytest.raises(TransportError):
            await asking
        await virtual_time.idle()
        return asyncio.get_running_loop().time() - began, len(asyncio.all_tasks())

    assert virtual_time.run(run()) == (0.0, 1)


@pytest.mark.parametrize(
    "written",
    ["deployments", "deploy", "Deployment", "deployment", "apps/v1/Deployment", "apps/v1/deployments"],
)
async def test_a_kind_of_Kubernetes_itself_needs_no_group(written):
    found = await Discovery(Cluster().fetch, timer=Clock()).resolve(written)

    assert str(found) == "deployments.apps"
    assert denotes(written, found)


@pytest.mark.parametrize("written", ["po", "pod", "v1/Pod"])
async def test_a_kind_of_the_core_group_has_its_short_name_too(written):
    found = await Discovery(Cluster().fetch, timer=Clock()).resolve(written)

    assert str(found) == "pods"
    assert denotes(written, found)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("deploymnets", "deployments.apps"),
        ("podz", "pods"),
        ("deploymnt.apps", "deployments.apps"),
        ("ods.odd", "odds"),
    ],
)
async def test_a_mistyped_kind_is_asked_about(written, meant):
    discovery = Discovery(Cluster().fetch, timer=Clock())

    with pytest.raises(UnknownKindError, match=rf"did you mean `{meant}"):
        await discovery.resolve(written)


async def test_a_name_like_no_other_is_not_asked_about():
    with pytest.raises(UnknownKindError) as caught:
        await Discovery(Cluster().fetch, timer=Clock()).resolve("memcacheds.cache.example.com")

    assert "did you mean" not in str(caught.value)
