"""The command line against an embedded cluster on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs
import pytest

from scopedcache.cli.app import run
from scopedcache.testing import EmbeddedCluster, Identity


@attrs.frozen
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def cluster() -> Iterator[EmbeddedCluster]:
    with EmbeddedCluster.start(http=True, kubelet=False) as running:
        yield running


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Return a function that runs a command line, as an identity of the cluster where one is given."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("KUBECONFIG", raising=False)

    def ran(*arguments: str, user: Identity | None = None) -> Ended:
        login = ("--kubeconfig", str(user.kubeconfig)) if user is not None else ()
        capsys.readouterr()
        status = run([*arguments, *login])
        captured = capsys.readouterr()
        return Ended(status, captured.out, captured.err)

    return ran
