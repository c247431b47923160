"""Watches: where they begin, what they tell, and how they end."""

from __future__ import annotations

from typing import Any

import pytest

from scopedcache.testing import Identity
from tests.contract.objects import WIDGETS, config_map, widget
from tests.contract.server import READ, Server, names, short

END = "k8s.io/initial-events-end"
MERGE = "application/merge-patch+json"


@pytest.fixture
def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


@pytest.fixture
def version(api: Server, ns: str, maps: str) -> str:
    """Return a version after which nothing but the test writes into the namespace."""
    if api.name == "real":
        api.eventually(lambda: api.get("configmaps", "kube-root-ca.crt", ns))
    return str(api.request("GET", maps)["metadata"]["resourceVersion"])


def is_end(event: dict[str, Any]) -> bool:
    return event["type"] == "BOOKMARK" and (event["object"]["metadata"].get("annotations") or {}).get(END) == "true"


def test_a_watch_tells_everything_after_its_version_in_order(api: Server, maps: str, version: str) -> None:
    api.request("POST", maps, config_map("one"))
    api.request("PATCH", maps + "/one", {"data": {"a": "b"}}, content_type=MERGE)
    api.request("DELETE", maps + "/one")

    with api.watch(maps, resourceVersion=version) as watch:
        events = watch.until(lambda event: event["type"] == "DELETED")

    assert short(events) == [("ADDED", "one"), ("MODIFIED", "one"), ("DELETED", "one")]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))
    assert all(event["object"]["kind"] == "ConfigMap" for event in events)
    assert events[-1]["object"]["data"] == {"a": "b"}


def test_a_watch_tells_what_happens_while_it_is_open(api: Server, maps: str, version: str) -> None:
    with api.watch(maps, resourceVersion=version) as watch:
        api.request("POST", maps, config_map("one"))
        assert short(watch.until(lambda _: True)) == [("ADDED", "one")]


def test_a_watch_without_a_version_begins_with_what_there_is(api: Server, maps: str) -> None:
    api.request("POST", maps, config_map("one"))
    queries: list[dict[str, Any]] = [{}, {"resourceVersion": "0"}]
    for query in queries:
        with api.watch(maps, fieldSelector="metadata.name=one", **query) as watch:
            assert short(watch.until(lambda _: True)) == [("ADDED", "one")]


def test_a_watch_ends_cleanly_at_its_time(api: Server, maps: str, version: str) -> None:
    with api.watch(maps, resourceVersion=version, timeoutSeconds=1) as watch:
        assert watch.rest() == []


def test_a_watch_outlives_the_permission_it_was_opened_with(
    api: Server, ns: str, maps: str, version: str, person: Identity
) -> None:
    grant = api.may(person, READ, "configmaps", namespace=ns)
    with api.watch(maps, who=person, resourceVersion=version, timeoutSeconds=3) as watch:
        api.take(grant, person, "watch", "configmaps", ns)
        api.request("POST", maps, config_map("written-afterwards"))
        assert short(watch.rest()) == [("ADDED", "written-afterwards")]

    assert api.call("GET", maps, who=person, watch="true", resourceVersion=version).status == 403


def test_a_streaming_list_needs_watch_alone(api: Server, ns: str, maps: str, person: Identity) -> None:
    api.request("POST", maps, config_map("one"))
    api.may(person, ("watch",), "configmaps", namespace=ns)
    streaming: dict[str, Any] = {
        "sendInitialEvents": True,
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": True,
    }

    with api.watch(maps, who=person, **streaming) as watch:
        events = watch.until(is_end)

    assert ("ADDED", "one") in short(events)
    assert api.call("GET", maps, who=person).status == 403


def test_a_streaming_list_is_refused_to_who_may_only_list(api: Server, ns: str, maps: str, person: Identity) -> None:
    api.may(person, ("list",), "configmaps", namespace=ns)
    query: dict[str, Any] = {"watch": True, "sendInitialEvents": True, "resourceVersionMatch": "NotOlderThan"}
    assert api.call("GET", maps, who=person, allowWatchBookmarks=True, **query).status == 403


def test_a_streaming_list_ends_with_a_bookmark_and_goes_on_as_a_watch(api: Server, maps: str) -> None:
    api.request("POST", maps, config_map("one"))
    streaming: dict[str, Any] = {
        "sendInitialEvents": True,
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": True,
    }
    with api.watch(maps, **streaming) as watch:
        events = watch.until(is_end)
        assert {event["type"] for event in events[:-1]} == {"ADDED"}
        bookmark = events[-1]["object"]
        assert (bookmark["kind"], bookmark["apiVersion"]) == ("ConfigMap", "v1")
        known = max(int(event["object"]["metadata"]["resourceVersion"]) for event in events[:-1])
        assert int(bookmark["metadata"]["resourceVersion"]) >= known

        made = api.request("POST", maps, config_map("two"))
        event = watch.until(lambda event: event["object"]["metadata"].get("name") == "two")[-1]
        assert event["object"]["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"sendInitialEvents": "true"}, "resourceVersionMatch"),
        ({"resourceVersionMatch": "NotOlderThan"}, "resourceVersionMatch"),
        (
            {"sendInitialEvents": "true", "resourceVersionMatch": "Exact", "resourceVersion": "1"},
            "resourceVersionMatch",
        ),
    ],
    ids=["no-match", "no-initial-events", "exact"],
)
def test_options_of_a_watch_that_do_not_fit_are_422(api: Server, maps: str, query: dict[str, Any], field: str) -> None:
    answer = api.call("GET", maps, watch="true", allowWatchBookmarks="true", **query)

    assert (answer.status, answer.reason) == (422, "Invalid")
    assert field in {cause_field for _, cause_field in answer.causes}


def test_bookmarks_come_before_the_end_when_asked_for(api: Server, maps: str, version: str) -> None:
    with api.watch(maps, resourceVersion=version, allowWatchBookmarks=True, timeoutSeconds=3) as watch:
        made = api.request("POST", maps, config_map("one"))
        events = watch.rest()

    bookmarks = [event for event in events if event["type"] == "BOOKMARK"]
    assert bookmarks
    assert int(bookmarks[-1]["object"]["metadata"]["resourceVersion"]) >= int(made["metadata"]["resourceVersion"])
    assert set(bookmarks[-1]["object"]) <= {"kind", "apiVersion", "metadata", "immutable", "data"}


def test_no_bookmarks_come_when_nobody_asked(api: Server, maps: str, version: str) -> None:
    with api.watch(maps, resourceVersion=version, timeoutSeconds=3) as watch:
        assert [event for event in watch.rest() if event["type"] == "BOOKMARK"] == []


def test_a_version_that_is_too_old_is_one_error_event(api: Server, widgets: str) -> None:
    with api.watch(widgets, resourceVersion="1") as watch:
        events = watch.rest()

    assert watch.status == 200
    [event] = events
    assert event["type"] == "ERROR"
    assert (event["object"]["kind"], event["object"]["code"], event["object"]["reason"]) == ("Status", 410, "Expired")
    assert event["object"]["message"].startswith("too old resource version: 1 (")


def test_a_streaming_list_from_the_future_is_504(api: Server, maps: str, version: str) -> None:
    future = str(int(version) + 1_000_000)
    query: dict[str, Any] = {
        "sendInitialEvents": True,
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": True,
    }
    with api.watch(maps, resourceVersion=future, **query) as watch:
        [event] = watch.rest()
        code = event["object"]["code"] if watch.status == 200 else watch.status

    assert code == 504


def test_a_watch_from_the_future_is_silent(api: Server, maps: str, version: str) -> None:
    with api.watch(maps, resourceVersion=int(version) + 1_000_000, timeoutSeconds=2) as watch:
        api.request("POST", maps, config_map("one"))
        assert (watch.status, watch.rest()) == (200, [])


def test_an_object_that_stops_matching_the_selector_is_deleted_for_the_watch(
    api: Server, maps: str, version: str
) -> None:
    with api.watch(maps, resourceVersion=version, labelSelector="colour=red") as watch:
        api.request("POST", maps, config_map("one", labels={"colour": "red"}))
        api.request("POST", maps, config_map("other", labels={"colour": "blue"}))
        api.request("PATCH", maps + "/one", {"metadata": {"labels": {"colour": "blue"}}}, content_type=MERGE)
        changed = api.request("GET", maps + "/one")
        api.request("PATCH", maps + "/one", {"metadata": {"labels": {"colour": "red"}}}, content_type=MERGE)
        events = [event for event in (watch.next() for _ in range(3)) if event is not None]

    assert short(events) == [("ADDED", "one"), ("DELETED", "one"), ("ADDED", "one")]
    assert events[1]["object"]["metadata"]["labels"] == {"colour": "red"}
    assert events[1]["object"]["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"]


def test_a_field_selector_watches_one_object(api: Server, maps: str, version: str) -> None:
    with api.watch(maps, resourceVersion=version, fieldSelector="metadata.name=two") as watch:
        api.request("POST", maps, config_map("one"))
        api.request("POST", maps, config_map("two"))
        assert short(watch.until(lambda _: True)) == [("ADDED", "two")]


def test_a_watch_of_all_namespaces_tells_of_each(api: Server, ns: str, version: str) -> None:
    with api.watch("/api/v1/configmaps", resourceVersion=version, labelSelector=f"of={ns}") as watch:
        for place in (ns, "default"):
            name = api.new_name()
            api.request("POST", f"/api/v1/namespaces/{place}/configmaps", config_map(name, labels={"of": ns}))
            event = watch.next()
            assert event is not None
            assert event["object"]["metadata"]["namespace"] == place


def test_a_watch_of_metadata_alone(api: Server, maps: str, version: str) -> None:
    form = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    with api.watch(maps, resourceVersion=version, accept=form) as watch:
        api.request("POST", maps, config_map("one", {"a": "b"}))
        event = watch.next()

    assert event is not None
    assert event["object"]["kind"] == "PartialObjectMetadata"
    assert set(event["object"]) == {"kind", "apiVersion", "metadata"}


def test_watches_of_a_custom_resource_end_when_its_definition_changes(api: Server, widgets: str) -> None:
    version = api.request("GET", widgets)["metadata"]["resourceVersion"]
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com"
    with api.watch(widgets, resourceVersion=version) as watch:
        shorts = {"spec": {"names": {"shortNames": [api.new_name("w")]}}}
        api.request("PATCH", path, shorts, content_type=MERGE)
        assert watch.rest() == []
    api.request("PATCH", path, {"spec": {"names": WIDGETS["spec"]["names"]}}, content_type=MERGE)
    api.eventually(lambda: api.call("GET", widgets).status == 200)


def test_a_watch_that_comes_too_early_after_that_is_told_to_wait_a_second(api: Server, widgets: str) -> None:
    version = api.request("GET", widgets)["metadata"]["resourceVersion"]
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com"
    with api.watch(widgets, resourceVersion=version) as watch:
        api.request("PATCH", path, {"spec": {"names": {"shortNames": [api.new_name("w")]}}}, content_type=MERGE)
        watch.rest()

    def resumed() -> bool:
        with api.watch(widgets, resourceVersion=version, timeoutSeconds=1) as again:
            if again.status == 200:
                return True
            [status] = again.rest()
        assert (status["code"], status["reason"]) == (429, "TooManyRequests")
        assert status["message"] == "storage is (re)initializing"
        assert status["details"] == {"retryAfterSeconds": 1}
        return False

    api.eventually(resumed)
    api.request("PATCH", path, {"spec": {"names": WIDGETS["spec"]["names"]}}, content_type=MERGE)
    api.eventually(lambda: api.call("GET", widgets).status == 200)


def test_a_new_label_on_a_definition_ends_no_watch(api: Server, widgets: str) -> None:
    version = api.request("GET", widgets)["metadata"]["resourceVersion"]
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com"
    with api.watch(widgets, resourceVersion=version) as watch:
        api.request("PATCH", path, {"metadata": {"labels": {"a": api.new_name("b")}}}, content_type=MERGE)
        api.pass_time(2.0)
        api.request("POST", widgets, widget("one"))
        assert short(watch.until(lambda _: True)) == [("ADDED", "one")]


def test_a_watch_outlives_the_service_account_it_was_opened_by(api: Server, ns: str, maps: str, version: str) -> None:
    who = api.service_account_identity(ns, "watcher")
    api.may(who, READ, "configmaps", namespace=ns)
    with api.watch(maps, who=who, resourceVersion=version) as watch:
        api.delete("serviceaccounts", "watcher", ns)
        api.request("POST", maps, config_map("written-afterwards"))
        assert short(watch.until(lambda _: True)) == [("ADDED", "written-afterwards")]


def test_a_deletion_held_by_a_finalizer_is_a_modification_and_then_a_deletion(
    api: Server, maps: str, version: str
) -> None:
    api.request("POST", maps, config_map("one", finalizers=["example.com/hold"]))
    with api.watch(maps, resourceVersion=version) as watch:
        api.request("DELETE", maps + "/one")
        api.request("PATCH", maps + "/one", {"metadata": {"finalizers": []}}, content_type=MERGE)
        events = watch.until(lambda event: event["type"] == "DELETED")

    assert short(events) == [("ADDED", "one"), ("MODIFIED", "one"), ("DELETED", "one")]
    assert "deletionTimestamp" in events[1]["object"]["metadata"]


def test_a_status_that_is_written_is_a_modification(api: Server, widgets: str) -> None:
    made = api.request("POST", widgets, widget("one"))
    with api.watch(widgets, resourceVersion=made["metadata"]["resourceVersion"]) as watch:
        api.request("PATCH", widgets + "/one/status", {"status": {"size": 1}}, content_type=MERGE)
        event = watch.next()

    assert event is not None
    assert event["type"] == "MODIFIED"
    assert event["object"]["status"] == {"size": 1}


def test_a_write_that_changes_nothing_is_no_event(api: Server, maps: str, version: str) -> None:
    made = api.request("POST", maps, config_map("one", {"a": "b"}))
    same = api.request("PATCH", maps + "/one", {"data": {"a": "b"}}, content_type=MERGE)
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    with api.watch(maps, resourceVersion=version) as watch:
        api.request("POST", maps, config_map("two"))
        events = watch.until(lambda event: event["object"]["metadata"]["name"] == "two")

    assert short(events) == [("ADDED", "one"), ("ADDED", "two")]
    assert names([event["object"] for event in events]) == ["one", "two"]
