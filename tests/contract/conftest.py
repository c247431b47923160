"""One suite, two servers: every case runs against the embedded cluster and against a real kube-apiserver.

`pytest -m "not real"` runs the embedded half without any binaries. `--contract-table FILE` writes the results of the
run into the table of that page.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from scopedcache.testing import Identity
from tests.contract.objects import WIDGETS
from tests.contract.server import Server


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "api" in metafunc.fixturenames:
        servers = [pytest.param("embedded"), pytest.param("real", marks=pytest.mark.real)]
        metafunc.parametrize("api", servers, indirect=True)


@pytest.fixture
def api(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Yield one of the two servers."""
    if request.param == "real":
        from tests.contract.real import RealServer

        server = RealServer(request.getfixturevalue("control_plane"))
        yield server
        server.close()
    else:
        pytest.importorskip("scopedcache.testing.embedded", reason="there is no embedded cluster yet")
        from tests.contract.embedded import embedded_server

        with embedded_server() as embedded:
            yield embedded


@pytest.fixture
def ns(api: Server) -> Iterator[str]:
    """Yield a namespace that nobody else uses."""
    name = api.new_name("ns")
    api.create_namespace(name)
    yield name
    api.delete_namespace(name)


@pytest.fixture
def person(api: Server) -> Identity:
    """Return a user without rights."""
    return api.person()


@pytest.fixture
def widgets(api: Server, ns: str) -> str:
    """Return the path of a custom resource with a schema and a status subresource, in the namespace."""
    path = f"/apis/example.com/v1/namespaces/{ns}/widgets"
    if api.call("GET", path).status != 200:
        api.apply(WIDGETS)
        api.eventually(lambda: api.call("GET", path).status == 200)
    return path


def manifest(text: str) -> dict[str, Any]:
    """Return a manifest from YAML."""
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded
