"""Probes and scrapes over HTTP."""

import asyncio
import contextlib
import json
import socket
from argparse import ArgumentParser

import aiohttp
import attrs
import pytest

from scopedcache.controller.manager.bind_address import BindAddress, add_address_options, default_address
from scopedcache.controller.manager.health_server import HealthServer, plain
from scopedcache.controller.manager.short_connections import (
    CONNECTIONS_AT_MOST,
    LIFE_SECONDS,
    RECEIVED_BYTES_AT_MOST,
    ShortConnections,
)
from scopedcache.errors import ConfigurationError
from scopedcache.kinds import ObjectKey
from scopedcache.metrics import Counters

real = pytest.mark.asyncio(loop_factories=["real"])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (8081, ":8081"),
        (":8081", ":8081"),
        ("0.0.0.0:8081", "0.0.0.0:8081"),
        ("localhost:1", "localhost:1"),
        ("[::1]:8081", "[::1]:8081"),
    ],
)
def test_an_address_is_read_as_people_write_it(text, address):
    assert str(BindAddress.parse(text)) == address


def test_outside_a_Pod_loopback_is_the_default_and_inside_all_interfaces():
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}

    assert (default_address(8081, {}), default_address(8081, pod)) == ("127.0.0.1:8081", ":8081")


def options(*arguments, environment=None):
    parser = ArgumentParser()
    add_address_options(parser, environment or {})
    found = parser.parse_args(arguments)
    return found.health_address, found.metrics_address


def test_the_options_are_called_as_other_operators_call_them():
    assert options("--health-probe-bind-address=:1", "--metrics-bind-address=:2") == (":1", ":2")


def test_the_short_spellings_are_taken_and_not_shown(capsys):
    with pytest.raises(SystemExit):
        options("--help")
    shown = capsys.readouterr().out

    assert options("--health-address=:1", "--metrics-address=:2") == (":1", ":2")
    assert ("--health-address" in shown, "--health-probe-bind-address" in shown) == (False, True)


def test_the_options_have_the_defaults_of_the_place():
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}

    assert (options(), options(environment=pod)) == (("127.0.0.1:8081", "127.0.0.1:8080"), (":8081", ":8080"))


@pytest.mark.parametrize("text", ["", "localhost", "localhost:http", ":99999", "-1"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ConfigurationError, match="write it as host:port"):
        BindAddress.parse(text)


async def get(server, path, host="127.0.0.1"):
    url = f"http://{host}:{server.address.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, answer.content_type, await answer.text()


@real
async def test_without_a_host_it_answers_over_IPv4_and_over_IPv6():
    hosts = ("127.0.0.1", "[::1]") if socket.has_dualstack_ipv6() else ("127.0.0.1",)
    async with HealthServer(":0", ready=lambda: True) as server:
        answers = [(await get(server, "/healthz", host))[0] for host in hosts]
        shown = str(server.address)

    assert (answers, shown[0]) == ([200] * len(hosts), ":")


@real
async def test_a_port_that_somebody_has_on_one_interface_is_told():
    async with HealthServer("127.0.0.1:0", ready=lambda: True) as other:
        with pytest.raises(ConfigurationError, match="another process listens there"):
            async with HealthServer(f":{other.address.port}", ready=lambda: True):
                pass


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
async def test_details_are_shown_to_who_asks_for_them():
    async with HealthServer(0, ready=lambda: True, state=lambda: {"short": 1}, details=lambda: {"long": 2}) as server:
        short = json.loads((await get(server, "/readyz"))[2])
        long = json.loads((await get(server, "/readyz?verbose"))[2])

    assert (short, long) == ({"ready": True, "short": 1}, {"ready": True, "long": 2})


# -- who holds a connection ----------------------------------------------------------------------------------------


class Wired(asyncio.Transport):
    """A transport that says whether it was cut."""

    def __init__(self):
        super().__init__()
        self.is_cut = False

    def abort(self):
        self.is_cut = True


def connect(connections):
    """Open a connection that serves nobody; return its protocol and its transport."""
    protocol, transport = connections(), Wired()
    protocol.connection_made(transport)
    return protocol, transport


async def test_a_connection_ends_after_some_seconds_whatever_it_does():
    connections = ShortConnections(asyncio.Protocol)
    protocol, transport = connect(connections)
    for _ in range(int(LIFE_SECONDS) - 1):
        await asyncio.sleep(1)
        protocol.data_received(b"X-A: b\r\n")
    assert not transport.is_cut
    await asyncio.sleep(1)

    assert (transport.is_cut, len(connections)) == (True, 0)


async def test_the_oldest_of_too_many_connections_makes_room():
    connections = ShortConnections(asyncio.Protocol)
    transports = [connect(connections)[1] for _ in range(CONNECTIONS_AT_MOST + 3)]

    assert [one.is_cut for one in transports] == [True] * 3 + [False] * CONNECTIONS_AT_MOST


async def test_a_connection_that_sends_more_than_a_request_is_long_is_cut():
    protocol, transport = connect(ShortConnections(asyncio.Protocol))
    for _ in range(RECEIVED_BYTES_AT_MOST // 1024):
        protocol.data_received(b"x" * 1024)
    assert not transport.is_cut
    protocol.data_received(b"x")

    assert transport.is_cut


async def test_nothing_is_left_of_a_connection_that_ended_by_itself():
    connections = ShortConnections(asyncio.Protocol)
    protocol, transport = connect(connections)
    protocol.connection_lost(None)
    await asyncio.sleep(2 * LIFE_SECONDS)

    assert (transport.is_cut, len(connections)) == (False, 0)


@real
async def test_a_probe_is_answered_while_others_hold_half_requests():
    async with HealthServer(0, ready=lambda: True) as server:
        held = []
        for _ in range(CONNECTIONS_AT_MOST + 10):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.address.port)
            writer.write(b"GET /healthz HTTP/1.1\r\nX-A: ")
            held.append((reader, writer))
        assert (await get(server, "/healthz"))[0] == 200
        assert await held[0][0].read() == b""  # the oldest was cut
        for _, writer in held:
            writer.close()


@real
async def test_a_body_that_does_not_end_is_cut():
    async with HealthServer(0, ready=lambda: True) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.address.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
        writer.write(b"x" * 2 * RECEIVED_BYTES_AT_MOST)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        assert (await get(server, "/healthz"))[0] == 200


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
