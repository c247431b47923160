"""The pytest plugin: the fixture `control_plane`, one real control plane for a whole test session.

Registered as an entry point, therefore loaded by every pytest run of everyone who has the package installed: this file
imports nothing heavy, the fixture does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .control_plane import ControlPlane


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """Yield a running control plane with a fake kubelet and the users `alice` and `bob`, shared by the session.

    Tests that stop parts of it, or need other flags, start their own with `ControlPlane.start(...)`. Skips where the
    binaries are missing, and fails where the environment says `CI`: there a silent skip would hide everything.
    """
    from .binaries import MissingBinariesError
    from .control_plane import ControlPlane

    try:
        running = ControlPlane.start(kubelet=True, users=("alice", "bob"))
    except MissingBinariesError as missing:
        if os.environ.get("CI"):
            pytest.fail(f"CI is set and the real control plane cannot start: {missing}", pytrace=False)
        pytest.skip(str(missing))
    with running:
        yield running
