"""What the audit of an embedded cluster finds, and what it counts as open."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from itertools import chain, combinations
from typing import Any

import pytest

import scopedcache as sc
from scopedcache.testing import AuditRequest, EmbeddedCluster, virtual_time
from scopedcache.testing.audit_request import Mark, Wanted

FIELDS = sorted(Wanted.__annotations__)
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hello"}}


@pytest.fixture
def asked(embedded_cluster: EmbeddedCluster) -> EmbeddedCluster:
    """Return a cluster that was asked by two users for what is there and what is not, with answers of all kinds."""
    cluster = embedded_cluster
    bob = cluster.user("bob")
    cluster.create(CONFIG_MAP, "default")
    cluster.service_account("system", "operator")
    cluster.get("configmaps", "hello", "default")
    cluster.get("configmaps", "missing", "default")
    cluster.list("deployments.apps")
    cluster.request("GET", "/version", user=bob)
    with suppress(sc.ForbiddenError):
        cluster.request("GET", "/api/v1/namespaces/default/configmaps", user=bob)
    return cluster


def agreeing(requests: list[AuditRequest], wanted: dict[str, Any]) -> list[AuditRequest]:
    return [r for r in requests if all(getattr(r, field) == value for field, value in wanted.items())]


def test_what_is_asked_for_by_any_fields_is_what_agrees_in_all_of_them(asked: EmbeddedCluster) -> None:
    everything = asked.audit.requests()
    some = chain.from_iterable(combinations(FIELDS, count) for count in range(len(FIELDS) + 1))
    questions = [{field: getattr(known, field) for field in fields} for fields in some for known in everything]

    found = [asked.audit.requests(**wanted) for wanted in questions]

    assert found == [agreeing(everything, wanted) for wanted in questions]
    assert {r.code for r in everything} == {200, 201, 403, 404}


def test_what_nobody_asked_for_is_not_found(asked: EmbeddedCluster) -> None:
    assert asked.audit.requests(user="admin", verb="watch") == []
    assert asked.audit.requests(server=1) == []


def test_a_mark_hides_what_was_asked_before_from_requests_and_their_count(asked: EmbeddedCluster) -> None:
    everything = asked.audit.requests()
    assert [asked.audit.requests(Mark(n), verb="get") for n in range(len(everything) + 1)] == [
        agreeing(everything[n:], {"verb": "get"}) for n in range(len(everything) + 1)
    ]
    mark = asked.audit.mark()
    asked.get("configmaps", "hello", "default")
    assert asked.audit.count(mark) == 1
    assert asked.audit.count(mark, user="bob") == 0


def test_open_watches_are_found_in_the_order_in_which_they_were_opened_until_they_end(
    embedded_cluster: EmbeddedCluster,
) -> None:
    audit = embedded_cluster.audit

    async def opened(client: sc.Client, kind: str) -> Any:
        watch = client.watch(kind, namespace="default", timeout=60)
        embedded_cluster.create({**CONFIG_MAP, "kind": kind, "metadata": {"name": f"for-{kind.lower()}"}}, "default")
        await anext(watch)
        return watch

    async def main() -> None:
        async with embedded_cluster.client() as client:
            first = await opened(client, "ConfigMap")
            async with aclosing(await opened(client, "ServiceAccount")):
                assert [r.resource for r in audit.open_watches()] == ["configmaps", "serviceaccounts"]
                assert [r.resource for r in audit.open_watches(resource="serviceaccounts")] == ["serviceaccounts"]
                assert audit.open_watches(verb="list") == audit.open_watches(user="bob") == []
                assert all(r.is_open and r.stage == "ResponseStarted" for r in audit.open_watches())
                await first.aclose()
                assert [r.resource for r in audit.open_watches()] == ["serviceaccounts"]
            assert audit.open_watches() == []
        ended = [(r.resource, r.is_open, r.stage) for r in audit.requests(verb="watch")]
        assert ended == [("configmaps", False, "ResponseComplete"), ("serviceaccounts", False, "ResponseComplete")]

    virtual_time.run(main())


def test_a_refused_watch_is_found_and_was_never_open(embedded_cluster: EmbeddedCluster) -> None:
    async def main() -> None:
        async with embedded_cluster.client(embedded_cluster.user("bob")) as client:
            with pytest.raises(sc.ForbiddenError):
                await anext(client.watch("configmaps", namespace="default"))

    asyncio.run(main())
    assert [r.code for r in embedded_cluster.audit.requests(verb="watch")] == [403]
    assert embedded_cluster.audit.open_watches() == []
