"""Selectors against a real API server: the same names, or both refuse. The text goes to the server as it is."""

from __future__ import annotations

import random
from typing import Any

import pytest

from scopedcache.selectors import LabelSelector
from scopedcache.testing import ControlPlane

pytestmark = pytest.mark.real

LABELS: dict[str, dict[str, str]] = {
    "none": {},
    "plain": {"app": "web", "tier": "front"},
    "empty": {"app": ""},
    "long": {"app": "x" * 63, "X" * 63: "y"},
    "prefixed": {"example.com/app": "web"},
    "word": {"in": "notin", "notin": "in"},
    "number": {"n": "10"},
    "padded": {"n": "007"},
    "huge": {"n": "9223372036854775808"},
    "fraction": {"n": "1.5"},
}
_WORDS = [
    "app", "tier", "n", "in", "notin", "web", "front", "10", "7", "9223372036854775807", "9223372036854775808",
    "-1", "+1", "1.5", "1_0", "-x", "x-", "a..b/c", "/a", "a/", "example.com/app", "Example.com/app", "x" * 63,
    "x" * 64, "X" * 63, "é", '"web"', "'web'", "app;tier", "\v", "\xa0",
]  # fmt: skip
_SYMBOLS = ["=", "==", "!=", "!", ">", "<", "(", ")", ",", " ", "\t", "\n"]
_SHAPES = [
    "{k}", "!{k}", "{k}={v}", "{k}=={v}", "{k}!={v}", "{k}>{v}", "{k}<{v}", "{k} in ({v},{w})", "{k} notin ({v})",
    "{k} in ({v}", "{k} in {v}", "{k} in ()", "{k} in (,)", "{k} in ({v},,{w})", "{k}={v},{w}", "{k}={v},!{w}",
    " {k} = {v} , {w} != {v} ", "{k}={v}{w}", "{k}={v} {w}", ",{k}", "{k},", "!{k}={v}", "!!{k}", "{k}>={v}",
    "{k}>", "{k} > {v} , {k} < {w}",
]  # fmt: skip


def texts(chance: random.Random) -> list[str]:
    """Return selectors in every shape with words of every kind, and soups of both."""
    shaped = [
        shape.format(k=chance.choice(_WORDS), v=chance.choice(_WORDS), w=chance.choice(_WORDS))
        for shape in _SHAPES
        for _ in range(12)
    ]
    soups = ["".join(chance.choices(_WORDS[:8] + _SYMBOLS, k=chance.randint(1, 9))) for _ in range(300)]
    return [*shaped, *soups, *_WORDS]


def theirs(control_plane: ControlPlane, namespace: str, text: str) -> list[str] | None:
    try:
        found: list[dict[str, Any]] = control_plane.list("configmaps", namespace, selector=text)
    except Exception as error:
        if "400" in str(error):
            return None
        raise
    return sorted(one["metadata"]["name"] for one in found if one["metadata"]["name"] in LABELS)


def ours(text: str) -> list[str] | None:
    try:
        selector = LabelSelector.parse(text)
    except ValueError:
        return None
    return sorted(name for name, labels in LABELS.items() if selector.matches(labels))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(2))
def test_a_selector_says_here_what_it_says_to_the_server(control_plane, namespace, seed):
    for name, labels in LABELS.items():
        control_plane.create(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}}, namespace
        )

    different = {
        text: (ours(text), said)
        for text in texts(random.Random(seed))
        if (said := theirs(control_plane, namespace, text)) != ours(text)
    }

    assert different == {}
