"""Lists: pages, selectors, resource versions, and the forms a list comes in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.objects import PLAIN, config_map, pod, widget
from tests.contract.server import Answer, Server, names

LABELS = {"app": "list"}


@pytest.fixture
def maps(api: Server, ns: str) -> str:
    """Return the path of a namespace's ConfigMaps, three of which are labelled."""
    path = f"/api/v1/namespaces/{ns}/configmaps"
    for name in ("a", "b", "c"):
        api.request("POST", path, config_map(name, labels=LABELS | {"name": name}))
    return path


def listed(api: Server, path: str, **query: Any) -> Answer:
    return api.call("GET", path, **({"labelSelector": "app=list"} | query))


def turn(api: Server, path: str, token: str, **query: Any) -> Answer:
    """Ask for the next page of two."""
    asked: dict[str, Any] = {"continue": token, "limit": 2, **query}
    return api.call("GET", path, **asked)


def test_a_list_carries_its_kind_and_version_and_its_items_do_not_carry_theirs(api: Server, maps: str) -> None:
    answer = listed(api, maps).json

    assert (answer["kind"], answer["apiVersion"]) == ("ConfigMapList", "v1")
    assert int(answer["metadata"]["resourceVersion"]) >= int(answer["items"][-1]["metadata"]["resourceVersion"])
    assert names(answer["items"]) == ["a", "b", "c"]
    assert not any("kind" in item or "apiVersion" in item for item in answer["items"])


def test_the_items_of_a_list_of_custom_resources_do_carry_their_kind(api: Server, widgets: str) -> None:
    api.request("POST", widgets, widget("one"))
    answer = api.request("GET", widgets)

    assert (answer["kind"], answer["apiVersion"]) == ("WidgetList", "example.com/v1")
    assert answer["items"][0]["kind"] == "Widget"


def test_a_list_in_a_namespace_that_does_not_exist_is_empty(api: Server) -> None:
    answer = api.request("GET", "/api/v1/namespaces/no-such-namespace/configmaps")
    assert answer["items"] == []


def test_pages_follow_each_other_by_their_token_and_show_one_moment(api: Server, maps: str) -> None:
    first = listed(api, maps, limit=2).json
    api.request("POST", maps, config_map("aa", labels=LABELS))
    api.request("DELETE", maps + "/c")
    second = turn(api, maps, first["metadata"]["continue"], labelSelector="app=list").json

    assert names(first["items"] + second["items"]) == ["a", "b", "c"]
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
    assert "continue" not in second["metadata"]


def test_a_page_tells_how_many_items_are_left(api: Server, ns: str, maps: str) -> None:
    answer = api.call("GET", f"/api/v1/namespaces/{ns}/serviceaccounts", limit=1).json
    assert "remainingItemCount" not in answer["metadata"]
    api.request("POST", f"/api/v1/namespaces/{ns}/serviceaccounts", {"metadata": {"name": "zz"}})
    api.eventually(lambda: len(api.list("serviceaccounts", ns)) == 2)
    answer = api.call("GET", f"/api/v1/namespaces/{ns}/serviceaccounts", limit=1).json
    assert answer["metadata"]["remainingItemCount"] == 1


def test_a_limited_list_with_a_selector_does_not_tell_how_many_are_left(api: Server, maps: str) -> None:
    assert "remainingItemCount" not in listed(api, maps, limit=2).json["metadata"]


def test_a_token_that_nobody_issued_is_refused(api: Server, maps: str) -> None:
    answer = turn(api, maps, "nonsense")

    assert answer.status == 400
    assert answer.reason == "BadRequest"
    assert answer.message.startswith("invalid continue token: continue key is not valid: ")


def test_a_token_is_410_after_compaction_and_brings_another_one(api: Server, widgets: str) -> None:
    for name in ("a", "b", "c"):
        api.request("POST", widgets, widget(name))
    first = api.call("GET", widgets, limit=2).json
    outdated = api.outdated(first["metadata"]["continue"])

    answer = turn(api, widgets, outdated)

    assert (answer.status, answer.reason) == (410, "Expired")
    assert answer.message.startswith("The provided continue parameter is too old to display a consistent list result.")
    rest = turn(api, widgets, answer.json["metadata"]["continue"])
    assert names(rest.json["items"]) == ["c"]


def test_an_exact_version_is_410_after_compaction(api: Server, widgets: str) -> None:
    api.compact()

    answer = api.call("GET", widgets, resourceVersion="2", resourceVersionMatch="Exact")

    assert (answer.status, answer.reason) == (410, "Expired")
    assert answer.message == "The resourceVersion for the provided list is too old."


@pytest.mark.parametrize(
    "selector", ["name=a", "name==a", "name in (a,x)", "name notin (b,c),name", "name,name!=b,name!=c"]
)
def test_labels_select(api: Server, maps: str, selector: str) -> None:
    assert names(api.call("GET", maps, labelSelector=selector).json["items"]) == ["a"]


def test_a_label_selector_that_cannot_be_read_is_400(api: Server, maps: str) -> None:
    answer = api.call("GET", maps, labelSelector="a in (")
    assert answer.status == 400
    assert answer.message.startswith("unable to parse requirement: ")


def test_fields_select_by_name_and_namespace(api: Server, ns: str, maps: str) -> None:
    assert names(listed(api, maps, fieldSelector="metadata.name=b").json["items"]) == ["b"]
    assert names(listed(api, maps, fieldSelector="metadata.name!=b").json["items"]) == ["a", "c"]
    everywhere = listed(api, "/api/v1/configmaps", fieldSelector=f"metadata.namespace={ns}")
    assert names(everywhere.json["items"]) == ["a", "b", "c"]


def test_an_unknown_field_in_a_selector_is_400(api: Server, maps: str, widgets: str) -> None:
    known = '"spec.colour" is not a known field selector: only "metadata.name", "metadata.namespace"'
    for path, message in ((maps, known), (widgets, "field label not supported: spec.colour")):
        answer = api.call("GET", path, fieldSelector="spec.colour=red")
        assert (answer.status, answer.reason, answer.message) == (400, "BadRequest", message)


def test_pods_can_be_selected_by_node_and_phase(api: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    api.eventually(lambda: api.get("serviceaccounts", "default", ns))
    api.request("POST", path, pod("one"))
    api.eventually(lambda: names(api.call("GET", path, fieldSelector="status.phase=Running").json["items"]) == ["one"])
    node = api.request("GET", path + "/one")["spec"]["nodeName"]
    assert names(api.call("GET", path, fieldSelector=f"spec.nodeName={node}").json["items"]) == ["one"]
    assert names(api.call("GET", path, fieldSelector="spec.nodeName=none").json["items"]) == []


def test_any_version_may_be_asked_for_without_saying_how_to_match_it(api: Server, maps: str) -> None:
    version = listed(api, maps).json["metadata"]["resourceVersion"]
    for asked in ("0", version):
        answer = listed(api, maps, resourceVersion=asked)
        assert names(answer.json["items"]) == ["a", "b", "c"]


def test_not_older_than_waits_for_nothing_that_is_there(api: Server, maps: str) -> None:
    version = listed(api, maps).json["metadata"]["resourceVersion"]
    answer = listed(api, maps, resourceVersion=version, resourceVersionMatch="NotOlderThan").json
    assert int(answer["metadata"]["resourceVersion"]) >= int(version)


def test_exact_shows_the_past(api: Server, maps: str) -> None:
    version = listed(api, maps).json["metadata"]["resourceVersion"]
    api.request("DELETE", maps + "/a")

    answer = listed(api, maps, resourceVersion=version, resourceVersionMatch="Exact").json

    assert names(answer["items"]) == ["a", "b", "c"]
    assert answer["metadata"]["resourceVersion"] == version


def test_exact_shows_what_one_object_was_and_that_it_was(api: Server, ns: str, maps: str) -> None:
    """By this a watch is known to go on in the history that it came from."""
    created = api.request("GET", f"/api/v1/namespaces/{ns}")["metadata"]["resourceVersion"]
    before = api.request("GET", maps + "/a")["metadata"]["resourceVersion"]
    changed = api.request("PUT", maps + "/a", config_map("a", labels=LABELS | {"n": "1"}))["metadata"][
        "resourceVersion"
    ]
    api.request("DELETE", maps + "/a")

    def seen(path: str, version: str, fields: str) -> list[str]:
        exactly: dict[str, Any] = {"resourceVersion": version, "resourceVersionMatch": "Exact"}
        answer = listed(api, path, **exactly, limit=1, fieldSelector=fields)
        return [item["metadata"]["resourceVersion"] for item in answer.json["items"]]

    assert seen(maps, changed, "metadata.name=a") == [changed]
    assert seen("/api/v1/configmaps", changed, f"metadata.name=a,metadata.namespace={ns}") == [changed]
    assert seen(maps, str(int(changed) - 1), "metadata.name=a") == [before]
    assert seen(maps, created, "metadata.name=a") == []


@pytest.mark.parametrize("match", ["NotOlderThan", "Exact"])
def test_a_version_from_the_future_is_504(api: Server, maps: str, match: str) -> None:
    version = int(listed(api, maps).json["metadata"]["resourceVersion"]) + 1_000_000
    answer = listed(api, maps, resourceVersion=version, resourceVersionMatch=match)

    assert (answer.status, answer.reason) == (504, "Timeout")
    assert answer.message == f"Timeout: Too large resource version: {version}, current: " + answer.message.split()[-1]
    assert answer.details["causes"] == [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    assert answer.details["retryAfterSeconds"] == 1
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"resourceVersionMatch": "Exact"}, "resourceVersionMatch"),
        ({"resourceVersionMatch": "Nearly", "resourceVersion": "1"}, "resourceVersionMatch"),
        ({"resourceVersionMatch": "Exact", "resourceVersion": "0"}, "resourceVersionMatch"),
        ({"sendInitialEvents": "true"}, "sendInitialEvents"),
    ],
    ids=["no-version", "unknown-match", "exact-zero", "initial-events"],
)
def test_options_that_do_not_fit_are_422(api: Server, maps: str, query: dict[str, Any], field: str) -> None:
    answer = api.call("GET", maps, **query)

    assert (answer.status, answer.reason) == (422, "Invalid")
    assert {cause_field for _, cause_field in answer.causes} == {field}


def test_a_version_that_is_no_number_is_400(api: Server, maps: str) -> None:
    assert api.call("GET", maps, resourceVersion="abc").status == 400


def test_a_list_of_metadata_alone(api: Server, maps: str) -> None:
    form = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    answer = api.call("GET", maps, accept=form, labelSelector="app=list").json

    assert (answer["kind"], answer["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    assert names(answer["items"]) == ["a", "b", "c"]
    assert all(set(item) <= {"kind", "apiVersion", "metadata"} for item in answer["items"])


def test_one_object_as_metadata_alone(api: Server, maps: str) -> None:
    form = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    answer = api.call("GET", maps + "/a", accept=form).json

    assert (answer["kind"], answer["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
    assert answer["metadata"]["name"] == "a"
    assert "data" not in answer


def test_a_table_of_a_custom_resource_has_its_printer_columns(api: Server, widgets: str) -> None:
    made = api.request("POST", widgets, widget("one", size=3))
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    path = f"{widgets}/one/status"
    api.request("PATCH", path, ready, content_type="application/merge-patch+json")

    table = api.call("GET", widgets, accept="application/json;as=Table;g=meta.k8s.io;v=v1").json

    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Size", "Ready", "Age"]
    assert table["rows"][0]["cells"][:3] == ["one", 3, "True"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert table["rows"][0]["object"]["metadata"]["uid"] == made["metadata"]["uid"]


def test_a_form_that_is_not_offered_is_406(api: Server, widgets: str) -> None:
    answer = api.call("GET", widgets, accept="application/xml")

    assert (answer.status, answer.reason) == (406, "NotAcceptable")
    assert answer.message.startswith("only the following media types are accepted: application/json")


def test_the_first_form_that_is_offered_is_taken(api: Server, widgets: str) -> None:
    accept = "application/vnd.kubernetes.protobuf,application/json"
    assert api.call("GET", widgets, accept=accept).content_type == "application/json"


def test_a_custom_resource_without_columns_has_its_name_and_age_in_a_table(api: Server, maps: str) -> None:
    api.apply(PLAIN)
    path = maps.replace("/api/v1", "/apis/example.net/v1").replace("configmaps", "plains")
    api.eventually(lambda: api.call("GET", path).status == 200)
    api.request("POST", path, {"apiVersion": "example.net/v1", "kind": "Plain", "metadata": {"name": "one"}})
    table = api.call("GET", path, accept="application/json;as=Table;g=meta.k8s.io;v=v1").json
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Age"]
    assert table["rows"][0]["cells"][0] == "one"


def test_lists_of_all_namespaces_are_in_the_order_of_namespace_and_name(api: Server, ns: str, maps: str) -> None:
    other = api.new_name("ns")
    api.create_namespace(other)
    api.create(config_map("a", labels={"of": ns}), other)
    api.create(config_map("z", labels={"of": ns}), ns)
    api.create(config_map("y", labels={"of": ns}), ns)
    items = api.call("GET", "/api/v1/configmaps", labelSelector=f"of={ns}").json["items"]
    found = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in items]
    assert found == sorted([(ns, "y"), (ns, "z"), (other, "a")])
    api.delete_namespace(other)


def test_an_object_that_is_not_there_is_404_and_names_itself(api: Server, maps: str, widgets: str) -> None:
    answer = api.call("GET", maps + "/none")
    assert answer.json == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'configmaps "none" not found',
        "reason": "NotFound",
        "details": {"name": "none", "kind": "configmaps"},
        "code": 404,
    }
    assert api.call("GET", widgets + "/none").details == {"name": "none", "group": "example.com", "kind": "widgets"}


def test_what_a_kind_does_not_offer_is_405(api: Server) -> None:
    for method, path in (
        ("GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
        ("PUT", "/api/v1/namespaces"),
    ):
        answer = api.call(method, path, {} if method == "PUT" else None)
        assert (answer.status, answer.reason) == (405, "MethodNotAllowed")


@pytest.mark.parametrize("shard", ["shardRange(object.metadata.uid, '0x0000000000000000', '0x0000000000000001')", "x"])
def test_a_server_that_knows_no_shards_takes_no_notice_of_a_shard_selector(api: Server, maps: str, shard: str) -> None:
    answer = listed(api, maps, shardSelector=shard).json

    assert (names(answer["items"]), answer["metadata"].get("shardInfo")) == (["a", "b", "c"], None)
