"""Prints what is installed beside this Python as a CycloneDX document: the same packages, the same text."""

from __future__ import annotations

import json
import sys
from importlib.metadata import Distribution, distributions
from typing import Any


def bill_of_materials() -> dict[str, Any]:
    """Return the document."""
    found = {component["purl"]: component for component in map(describe, distributions())}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "scoped-memcached-operator"}},
        "components": [found[purl] for purl in sorted(found)],
    }


def describe(distribution: Distribution) -> dict[str, Any]:
    """Return one package as a component."""
    metadata = distribution.metadata
    name = metadata["Name"].lower().replace("_", "-")
    component = {
        "type": "library",
        "name": name,
        "version": distribution.version,
        "purl": f"pkg:pypi/{name}@{distribution.version}",
    }
    expression = next((metadata[key] for key in ("License-Expression", "License") if key in metadata), None)
    if expression and "\n" not in expression:
        component["licenses"] = [{"license": {"name": expression}}]  # type: ignore[assignment]
    return component


if __name__ == "__main__":
    json.dump(bill_of_materials(), sys.stdout, indent=1)
