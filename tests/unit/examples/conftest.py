from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.examples.operator import Operator
from tests.unit.fake_api import FakeAPI


@pytest.fixture
def api() -> Iterator[FakeAPI]:
    with FakeAPI.running() as running:
        yield running


@pytest.fixture
def kubeconfig(api: FakeAPI, tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text(api.kubeconfig(token="secret-token"))
    return path


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Callable[..., Operator]]:
    """Return a function that starts the command with its arguments; what still runs after the test is killed."""
    started: list[Operator] = []

    def start(*arguments: object) -> Operator:
        started.append(Operator.start(tmp_path / f"operator-{len(started)}.log", *map(str, arguments)))
        return started[-1]

    yield start
    for one in started:
        one.kill()
