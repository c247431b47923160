"""One suite, two servers: every case runs against the embedded cluster and against a real kube-apiserver.

`pytest -m "not real"` runs the embedded half without any binaries. `--contract-table FILE` writes the results of the
run into the table of that page.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from scopedcache.testing import Identity
from tests.contract.objects import WIDGETS
from tests.contract.server import Server
from tests.contract.table import Results, note, write

RESULTS = pytest.StashKey[Results]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--contract-table", type=Path, help="the page whose table shows the results of this run")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RESULTS] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" or report.outcome != "passed":
        note(item.config.stash.setdefault(RESULTS, {}), report.nodeid, report.outcome)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    page = session.config.getoption("--contract-table", None)
    if page is not None:
        write(page, session.config.stash[RESULTS])


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
