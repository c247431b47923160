"""Storms of RBAC changes, in virtual time: no false tear-down, no read after the bound."""

from __future__ import annotations

import pytest

from scopedcache.testing import virtual_time

from .servers import Embedded
from .storms import STORMS, weather


@pytest.mark.parametrize("name", STORMS)
def test_what_is_believed_was_true_within_the_bound(name: str) -> None:
    with Embedded.running() as server:
        passed = virtual_time.run(weather(server, name, count=100))

    assert passed.wrong == []
