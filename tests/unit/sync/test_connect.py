"""`connect` takes what the class takes, spelled out, so that a misspelt option fails before it runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import scopedcache as sc
import scopedcache.sync

WAYS_TO_A_SERVER = {"kubeconfig", "context", "client"}


def options(function: Callable[..., Any]) -> dict[str, tuple[object, object]]:
    """Return the type and the default of every keyword-only argument."""
    return {
        name: (parameter.annotation, parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def test_connecting_a_cache_takes_every_option_of_the_class_with_its_type_and_default() -> None:
    taken = options(sc.ScopedCache.connect)

    assert {name: taken[name] for name in taken if name not in WAYS_TO_A_SERVER} == options(sc.ScopedCache)
    assert {name: taken[name] for name in WAYS_TO_A_SERVER} == options(sc.Client.connect)


@pytest.mark.parametrize(
    ("blocking", "waiting"),
    [
        (scopedcache.sync.ScopedCache.connect, sc.ScopedCache.connect),
        (scopedcache.sync.Client.connect, sc.Client.connect),
    ],
)
def test_the_blocking_twin_takes_the_same_and_a_time_out(
    blocking: Callable[..., Any], waiting: Callable[..., Any]
) -> None:
    taken = options(blocking)

    assert taken.pop("timeout") == ("float | None", None)
    assert taken == options(waiting)


@pytest.mark.parametrize("connect", [sc.ScopedCache.connect, scopedcache.sync.ScopedCache.connect])
def test_a_misspelt_option_is_refused_by_name(connect: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="detection_bund"):
        connect(detection_bund=3.0)
