"""`make chart` names each object and each field in which the chart and the kustomization differ."""

from __future__ import annotations

from typing import Any

from tests.deployment.__main__ import compare


def manifest(kind: str, **spec: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "operator", "namespace": "system"}, "spec": spec}


def test_what_is_equal_has_no_differences() -> None:
    both = [manifest("Deployment", replicas=1, template={"image": "operator:1"})]

    assert compare(both, both) == []


def test_a_field_and_an_object_that_differ_are_named() -> None:
    wanted = [manifest("Deployment", replicas=1, paused=False), manifest("Role")]
    seen = [manifest("Deployment", replicas=2), manifest("Service")]

    assert compare(wanted, seen) == [
        "Deployment system/operator: .spec.paused is False in the kustomization, None in the chart",
        "Deployment system/operator: .spec.replicas is 1 in the kustomization, 2 in the chart",
        "only in the chart: Service system/operator",
        "only in the kustomization: Role system/operator",
    ]
