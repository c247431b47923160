"""Shards of lists and watches (KEP-5866): what a server sends whose feature gate `ShardedListAndWatch` is on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from scopedcache.testing import ControlPlane, EmbeddedCluster
from tests.contract.embedded import EmbeddedServer
from tests.contract.objects import WIDGETS, config_map, widget
from tests.contract.real import RealServer
from tests.contract.server import Answer, Server, names, short

GATE = "ShardedListAndWatch"
# Where they lie on the ring: FNV-1a of the name.
PLACES = {"team-a": 0xDE90A3717D1252D6, "team-c": 0xDE90A1717D124F70, "default-x": 0x62AAEFCC16507883}
MAPS = "/api/v1/configmaps"
WHOLE = "'0x0000000000000000', '0x10000000000000000'"
LABELS = {"app": "shards"}
_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


@pytest.fixture(scope="module")
def gated_plane() -> Iterator[ControlPlane]:
    """Yield a control plane with the gate, for this file alone."""
    flags = {"feature-gates": f"{GATE}=true"}
    with ControlPlane.start(controllers=(), kubelet=False, apiserver_flags=flags) as running:
        yield running


@pytest.fixture
def api(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Yield one of the two servers, with the gate, and a ConfigMap in each of some namespaces."""
    if request.param == "real":
        server: Server = RealServer(request.getfixturevalue("gated_plane"))
        yield _filled(server)
        server.close()  # type: ignore[attr-defined]
    else:
        with EmbeddedCluster.start(feature_gates=[GATE]) as cluster:
            yield _filled(EmbeddedServer(cluster))


def _filled(api: Server) -> Server:
    for namespace in PLACES:
        api.create_namespace(namespace)
        if api.get("configmaps", "m", namespace) is None:
            api.request("POST", f"/api/v1/namespaces/{namespace}/configmaps", config_map("m", labels=LABELS))
    return api


def at(namespace: str) -> str:
    """Return the shard that is one place on the ring."""
    place = PLACES[namespace]
    return f"shardRange(object.metadata.namespace, '{place:#018x}', '{place + 1:#018x}')"


def listed(api: Server, shard: str, path: str = MAPS, **options: Any) -> Answer:
    return api.call("GET", path, shardSelector=shard, **({"labelSelector": "app=shards"} | options))


def where(answer: Answer) -> list[str]:
    return [item["metadata"]["namespace"] for item in answer.json["items"]]


@pytest.mark.parametrize("namespace", PLACES)
def test_an_object_lies_where_the_hash_of_its_namespace_is(api: Server, namespace: str) -> None:
    assert where(listed(api, at(namespace))) == [namespace]


def test_an_object_may_be_chosen_by_the_hash_of_its_uid(api: Server) -> None:
    halves = ("'0x0000000000000000', '0x8000000000000000'", "'0x8000000000000000', '0x10000000000000000'")
    found = [name for half in halves for name in where(listed(api, f"shardRange(object.metadata.uid, {half})"))]

    assert sorted(found) == sorted(PLACES)


def test_what_is_cluster_scoped_has_no_namespace_and_lies_in_one_place(api: Server) -> None:
    there = "shardRange(object.metadata.namespace, '0xcbf29ce484222325', '0xcbf29ce484222326')"
    elsewhere = at("team-a")
    path, all_of_them = "/api/v1/namespaces", {"labelSelector": ""}

    assert set(PLACES) <= set(names(listed(api, there, path, **all_of_them).json["items"]))
    assert listed(api, elsewhere, path, **all_of_them).json["items"] == []


def test_ranges_are_joined_and_the_list_says_which_they_are(api: Server) -> None:
    answer = listed(api, f"({at('team-c')})||{at('default-x')}".replace("'", '"'))

    assert sorted(where(answer)) == ["default-x", "team-c"]
    assert answer.json["metadata"]["shardInfo"] == {"selector": f"{at('team-c')} || {at('default-x')}"}


def test_a_place_a_shard_and_labels_are_chosen_together(api: Server) -> None:
    paths = [f"/api/v1/namespaces/{namespace}/configmaps" for namespace in ("team-a", "team-c")]

    assert [where(listed(api, at("team-a"), path)) for path in paths] == [["team-a"], []]
    assert where(listed(api, at("team-a"), labelSelector="app=other")) == []


def test_metadata_alone_is_filtered_and_does_not_say_so(api: Server) -> None:
    answer = listed(api, at("team-a"), accept=_LIST)

    assert (where(answer), answer.json["metadata"].get("shardInfo")) == (["team-a"], None)


def test_custom_resources_are_filtered_and_do_not_say_so(api: Server) -> None:
    path = "/apis/example.com/v1/widgets"
    api.apply(WIDGETS)
    api.eventually(lambda: api.call("GET", path).status == 200)
    for namespace in ("team-a", "team-c"):
        own = f"/apis/example.com/v1/namespaces/{namespace}/widgets"
        if not api.request("GET", own)["items"]:
            api.eventually(lambda own=own: api.call("POST", own, widget("w")).status == 201)  # type: ignore[misc]
    answer = listed(api, at("team-c"), path, labelSelector="")

    assert (where(answer), answer.json["metadata"].get("shardInfo")) == (["team-c"], None)


def test_pages_are_pages_of_the_shard(api: Server) -> None:
    shard = f"{at('team-a')} || {at('team-c')}"
    first = listed(api, shard, labelSelector="", fieldSelector="metadata.name=m", limit=1)
    token = {"continue": first.json["metadata"]["continue"]}
    second = listed(api, shard, labelSelector="", fieldSelector="metadata.name=m", limit=1, **token)

    assert (where(first), where(second)) == (["team-a"], ["team-c"])


@pytest.mark.parametrize("begin", [{"resourceVersion": "0"}, {"sendInitialEvents": True}])
def test_a_watch_tells_of_the_shard_alone(api: Server, begin: dict[str, Any]) -> None:
    streaming = {"resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": True}
    asked = begin | (streaming if "sendInitialEvents" in begin else {})
    shard = at("team-a")
    with api.watch(MAPS, shardSelector=shard, labelSelector="app=shards", timeoutSeconds=5, **asked) as watch:
        first = watch.next()
        for namespace in ("team-c", "team-a"):
            path = f"/api/v1/namespaces/{namespace}/configmaps/m"
            api.request("PATCH", path, {"data": {"n": api.new_name()}}, content_type="application/merge-patch+json")
        seen = watch.until(lambda event: event["type"] == "MODIFIED")

    assert first is not None
    assert short([first]) == [("ADDED", "m")]
    assert {event["object"]["metadata"].get("namespace", "team-a") for event in [first, *seen]} == {"team-a"}


def test_an_empty_selector_is_none(api: Server) -> None:
    answer = listed(api, "")

    assert (sorted(where(answer)), answer.json["metadata"].get("shardInfo")) == (sorted(PLACES), None)


NAMESPACE = "object.metadata.namespace"


@pytest.mark.parametrize(
    ("shard", "words"),
    [
        ("shardRange(", "CEL parse error: Syntax error: mismatched input '<EOF>'"),
        (f"shardRange({NAMESPACE}, {WHOLE}) ||", "CEL parse error: Syntax error: mismatched input '<EOF>'"),
        (" ", "empty shard selector is not allowed; omit the parameter for unfiltered lists"),
        ("x", "unexpected expression kind 3; expected shardRange() call or || operator"),
        ("true", "unexpected expression kind 5; expected shardRange() call or || operator"),
        ("1", "unexpected expression kind 5; expected shardRange() call or || operator"),
        ("shardRange()", "shardRange() requires exactly 3 arguments, got 0"),
        (f"shardRange({NAMESPACE}, {WHOLE}, '1')", "shardRange() requires exactly 3 arguments, got 4"),
        (
            f"otherRange({NAMESPACE}, {WHOLE})",
            'unsupported function "otherRange"; only shardRange() and || are allowed',
        ),
        (f"!shardRange({NAMESPACE}, {WHOLE})", 'unsupported function "!_"; only shardRange() and || are allowed'),
        (
            f"shardRange({NAMESPACE}, {WHOLE}) && shardRange({NAMESPACE}, {WHOLE})",
            'unsupported function "_&&_"; only shardRange() and || are allowed',
        ),
        (
            f"shardRange(object.metadata.name, {WHOLE})",
            'unsupported field path "object.metadata.name"; supported: object.metadata.uid, object.metadata.namespace',
        ),
        (
            f"shardRange('a', {WHOLE})",
            "shardRange() first argument: expected field path (e.g. object.metadata.uid), got expression kind 5",
        ),
        (
            f"shardRange({NAMESPACE}, {WHOLE}) || shardRange(object.metadata.uid, {WHOLE})",
            'all shard ranges must use the same field, got "object.metadata.namespace" and "object.metadata.uid"',
        ),
        (f"shardRange({NAMESPACE}, 0, 1)", "hexStart must be a string literal, got int64"),
        (
            f"shardRange({NAMESPACE}, '0x0', '0x8')",
            'hexStart must be a 0x-prefixed 16-digit hex value, got "0x0" (did you mean "0x0000000000000000"?)',
        ),
        (
            f"shardRange({NAMESPACE}, '0000000000000000', '8000000000000000')",
            "hexStart must have '0x' prefix, got \"0000000000000000\"",
        ),
        (
            f"shardRange({NAMESPACE}, '0x000000000000000A', '0x8000000000000000')",
            'hexStart: invalid hex character "A" in "0x000000000000000A"',
        ),
        (
            f"shardRange({NAMESPACE}, '0x0000000000000000', '0x10000000000000001')",
            "hexEnd: 17-digit hex value must be '0x10000000000000000' (2^64), got \"0x10000000000000001\"",
        ),
        (
            f"shardRange({NAMESPACE}, '0x8000000000000000', '0x8000000000000000')",
            "shard range start 0x8000000000000000 must be less than end 0x8000000000000000",
        ),
    ],
)
def test_what_is_no_shard_selector_is_500_in_lists_and_watches(api: Server, shard: str, words: str) -> None:
    answers = [listed(api, shard), api.call("GET", MAPS, watch=True, timeoutSeconds=1, shardSelector=shard)]

    assert [(answer.status, answer.reason) for answer in answers] == [(500, "")] * 2
    assert all(answer.message.startswith(f"invalid shard selector: {words}") for answer in answers)


def test_one_object_is_no_matter_of_shards(api: Server) -> None:
    assert listed(api, "x", "/api/v1/namespaces/team-a/configmaps/m").status == 200


def test_a_deletion_of_all_deletes_the_shard_alone(api: Server) -> None:
    path = "/api/v1/namespaces/team-c/configmaps"
    asked: dict[str, Any] = {"dryRun": "All", "labelSelector": "app=shards"}
    outside, inside, malformed = (
        api.call("DELETE", path, shardSelector=shard, **asked) for shard in (at("team-a"), at("team-c"), "x")
    )

    assert (where(outside), where(inside), malformed.status) == ([], ["team-c"], 500)
