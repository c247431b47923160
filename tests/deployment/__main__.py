"""`python -m tests.deployment`: the chart gives what the kustomization gives, overlay by overlay.

Left out on purpose: the Namespace, which Helm makes itself (`--create-namespace`).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from scopedcache.errors import ScopedCacheError
from scopedcache.testing.control_plane.binaries import find_kubectl

from .helm import find_helm

ROOT: Final = Path(__file__).resolve().parent.parent.parent
EXAMPLE: Final = ROOT / "examples" / "memcached_operator"
CHART: Final = EXAMPLE / "charts" / "scoped-memcached-operator"
NAMESPACE: Final = "scoped-memcached-operator-system"
KUBERNETES: Final = "1.36.0"
# Overlay → the values of the chart that say the same.
OVERLAYS: Final = {
    "default": (),
    "rbac-watch": ("rbacWatch=true",),
    "prometheus": ("prometheus=true",),
}

Manifest = dict[str, Any]


def main() -> int:
    """Compare; return 0 where all are equal, 1 where not, 2 where a program is missing."""
    try:
        kubectl, helm = find_kubectl(), find_helm()
        found = {overlay: differences(kubectl, helm, overlay) for overlay in OVERLAYS}
    except ScopedCacheError as error:
        print(f"chart: {error}", file=sys.stderr)
        return 2
    for overlay, wrong in found.items():
        print(f"{overlay}: {'the chart gives the same' if not wrong else ''}")
        for line in wrong:
            print(f"  {line}")
    return 1 if any(found.values()) else 0


def differences(kubectl: Path, helm: Path, overlay: str) -> list[str]:
    """Tell in what the chart differs from an overlay."""
    folder = EXAMPLE / "overlays" / overlay
    wanted = [m for m in documents([str(kubectl), "kustomize", str(folder)]) if m["kind"] != "Namespace"]
    options = [word for value in OVERLAYS[overlay] for word in ("--set", value)]
    where = ["--namespace", NAMESPACE, "--kube-version", KUBERNETES, "--include-crds"]
    return compare(wanted, documents([str(helm), "template", "operator", str(CHART), *where, *options]))


def documents(command: Sequence[str]) -> list[Manifest]:
    """Return the manifests that a command prints. Raise ScopedCacheError where it fails."""
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode:
        raise ScopedCacheError(f"{Path(command[0]).name} failed: {answer.stderr.strip()}")
    return [document for document in yaml.safe_load_all(answer.stdout) if document]


def compare(wanted: Iterable[Manifest], seen: Iterable[Manifest]) -> list[str]:
    """Return the differences of two sets of manifests, by object and field."""
    first, second = ({identity(m): m for m in manifests} for manifests in (wanted, seen))
    lines = [f"only in the kustomization: {key}" for key in first if key not in second]
    lines += [f"only in the chart: {key}" for key in second if key not in first]
    for key in first.keys() & second.keys():
        lines += [f"{key}: {line}" for line in fields("", first[key], second[key])]
    return sorted(lines)


def fields(path: str, wanted: object, seen: object) -> list[str]:
    """Return the fields that differ."""
    if isinstance(wanted, Mapping) and isinstance(seen, Mapping):
        names = sorted({*wanted, *seen})
        return [line for name in names for line in fields(f"{path}.{name}", wanted.get(name), seen.get(name))]
    return [] if wanted == seen else [f"{path} is {wanted!r} in the kustomization, {seen!r} in the chart"]


def identity(manifest: Manifest) -> str:
    """Return what names an object."""
    metadata = manifest["metadata"]
    return f"{manifest['kind']} {metadata.get('namespace', '')}/{metadata['name']}"


if __name__ == "__main__":
    sys.exit(main())
