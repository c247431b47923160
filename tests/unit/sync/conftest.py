from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.fake_api import FakeAPI


@pytest.fixture
def api() -> Iterator[FakeAPI]:
    with FakeAPI.running() as running:
        yield running


@pytest.fixture
def kubeconfig(api: FakeAPI, tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text(api.kubeconfig(token="secret"))
    return path
