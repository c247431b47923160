"""Whether an API server is ready, and which of several is asked for that, and for reviews."""

from __future__ import annotations

from typing import Any

import pytest

from scopedcache.testing import EmbeddedCluster, Identity, virtual_time


@pytest.fixture
def operator(embedded_cluster: EmbeddedCluster) -> Identity:
    return embedded_cluster.user("operator")


@pytest.mark.parametrize(("reviews", "unready"), [("answered", "not ready"), ("refused", "refused")])
def test_a_server_that_comes_up_is_not_ready_until_some_time_after_it_knows_all_rights(
    embedded_cluster: EmbeddedCluster, operator: Identity, reviews: Any, unready: str
) -> None:
    async def main() -> list[str]:
        client = embedded_cluster.client(operator)
        seen: list[str] = [await client.ready()]
        embedded_cluster.front_ends[0].restart(down=0.0, unready=1.0, reviews=reviews, starting=1.5)
        for seconds in (0.9, 0.2, 1.2, 0.3):
            await virtual_time.after(seconds)
            seen.append(await client.ready())
        return seen

    assert virtual_time.run(main()) == ["ready", unready, "not ready", "not ready", "ready"]


def test_reviews_and_readyz_go_to_one_server_for_as_long_as_it_answers(
    embedded_cluster: EmbeddedCluster, operator: Identity
) -> None:
    servers = [embedded_cluster.front_end(), embedded_cluster.front_end()]

    async def main() -> None:
        client = embedded_cluster.balanced_client(operator, servers)
        for _ in range(3):
            await client.review_rules("default")
            await client.ready()
        servers[0].restart(down=5.0)
        assert await client.ready() == "not ready"
        for _ in range(3):
            await client.review_rules("default")
            await client.ready()

    virtual_time.run(main())
    asked = [(r.server, r.code) for r in embedded_cluster.audit.requests(user="operator")]
    assert asked == [(1, 201), (1, 200)] * 3 + [(2, 201), (2, 200)] * 3
