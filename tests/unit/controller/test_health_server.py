"""Probes and scrapes over HTTP."""

import asyncio
import json

import aiohttp
import attrs
import pytest

from scopedcache.controller.manager.bind_address import BindAddress
from scopedcache.controller.manager.health_server import HealthServer, plain
from scopedcache.errors import ConfigurationError
from scopedcache.kinds import ObjectKey
from scopedcache.metrics import Counters

real = pytest.mark.asyncio(loop_factories=["real"])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (8081, "127.0.0.1:8081"),
        (":8081", "127.0.0.1:8081"),
        ("0.0.0.0:8081", "0.0.0.0:8081"),
        ("localhost:1", "localhost:1"),
        ("[::1]:8081", "[::1]:8081"),
    ],
)
def test_an_address_without_host_is_loopback(text, address):
    assert str(BindAddress.parse(text)) == address


@pytest.mark.parametrize("text", ["", "localhost", "localhost:http", ":99999", "-1"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ConfigurationError, match="write it as host:port"):
        BindAddress.parse(text)


async def get(server, path):
    async with aiohttp.ClientSession() as session, session.get(f"http://{server.address}{path}") as answer:
        return answer.status, answer.content_type, await answer.text()


@real
async def test_an_open_loop_is_healthy():
    async with HealthServer(0, ready=lambda: False) as server:
        assert (await get(server, "/healthz"))[0] == 200


@real
@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
async def test_readiness_shows_the_state_as_json(ready, status):
    state = {"controllers": {"memcached": {"denied": None}}}
    async with HealthServer(0, ready=lambda: ready, state=lambda: state) as server:
        answered, content_type, text = await get(server, "/readyz")

    assert (answered, content_type) == (status, "application/json")
    assert json.loads(text) == {"ready": ready, **state}


@real
async def test_metrics_are_text_for_prometheus():
    counters = Counters()
    counters.increment("n_total")
    async with HealthServer(0, samples=counters) as server:
        answered, content_type, text = await get(server, "/metrics")

    assert (answered, content_type, text) == (200, "text/plain", "# TYPE n_total counter\nn_total 1\n")


@real
async def test_a_page_it_was_given_nothing_for_is_not_there():
    async with HealthServer(0, samples=Counters()) as server:
        assert (await get(server, "/readyz"))[0] == 404


@real
async def test_an_address_in_use_is_named_with_what_to_do():
    async with HealthServer(0, ready=lambda: True) as server:
        with pytest.raises(ConfigurationError) as caught:
            async with HealthServer(server.address, ready=lambda: True):
                pass

        assert str(caught.value).startswith(f"cannot listen on {server.address}: another process listens there")


@real
async def test_a_closed_server_leaves_no_task_and_frees_its_port():
    tasks = asyncio.all_tasks()
    async with HealthServer(0, ready=lambda: True) as server:
        address = server.address
    async with HealthServer(address, ready=lambda: True):
        pass

    assert asyncio.all_tasks() == tasks


@attrs.frozen
class Thing:
    key: ObjectKey
    names: frozenset[str]


def test_state_of_any_shape_becomes_plain_data():
    shown = plain({ObjectKey("a", "x"): [Thing(ObjectKey("", "y"), frozenset("ba"))], "since": None})

    assert shown == {"a/x": [{"key": "y", "names": ["a", "b"]}], "since": None}
