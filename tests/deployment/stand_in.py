"""Stands in for kind, docker, podman and, in two points, kubectl: `python -m tests.deployment.stand_in kind version`.

They hand out a control plane with a node that runs already (the environment says where), so that every line of the
scripts in `kind/` runs but the making of a cluster. What they do not know, they refuse.
A kubectl command that begins with the words of FAILS fails.

`kubectl logs` reads the node's files: no API server reaches a kubelet that listens on loopback.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from scopedcache.testing.control_plane.node import Images

ROOT: Final = Path(__file__).resolve().parent.parent.parent
VERSIONS: Final = {
    "kind": "kind v0.31.0 go1.25.5 linux/amd64",
    "docker": "Docker version 29.1.3, build stand-in",
    "podman": "podman version 5.6.0",
}
# What a new cluster does not have.
NAMESPACES: Final = ("allowed-one", "allowed-two", "denied", "scoped-memcached-operator-system")
KNOWN_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.2


def main(arguments: Sequence[str]) -> int:
    """Do what the program would do; return its exit status."""
    program, *words = arguments
    match program, words:
        case ("kind", ["version"]) | ("docker" | "podman", ["--version"]):
            print(VERSIONS[program])
        case "kind", ["get", "clusters"]:
            print("\n".join(clusters()))
        case "kind", ["create", "cluster", "--name", name, "--config", config, "--wait", _]:
            create(name, yaml.safe_load((ROOT / config).read_text()))
        case "kind", ["delete", "cluster", "--name", name]:
            delete(name)
        case "kind", ["load", "image-archive", archive, "--name", name]:
            load(Path(archive), name)
        case "docker" | "podman", ["info"]:
            print("a stand-in")
        case "docker" | "podman", ["build", "--file", dockerfile, "--tag", image, context]:
            print(images().build(Path(dockerfile), Path(context), image))
        case "docker" | "podman", ["save", "--output", archive, image]:
            images().save(image, Path(archive))
        case "kubectl", ["--context", _, *rest] if fails(rest):
            print("the stand-in for kubectl was told to fail here", file=sys.stderr)
            return 1
        case "kubectl", ["--context", context, "logs", pod, "-n", namespace, *options]:
            logs(context, namespace, pod, options)
        case "kubectl", _:
            os.execv(given("kubectl"), [given("kubectl"), *words])
        case _:
            print(f"the stand-in for {program} does not know: {' '.join(words)}", file=sys.stderr)
            return 64
    return 0


def given(name: str) -> str:
    """Return what the test says about the cluster that runs."""
    found: dict[str, str] = json.loads(os.environ["STAND_IN"])
    return found[name]


def fails(words: Sequence[str]) -> bool:
    """Tell whether the test wants this command to fail."""
    wanted = os.environ.get("FAILS", "").split()
    return bool(wanted) and list(words[: len(wanted)]) == wanted


def config() -> dict[str, Any]:
    """Return the kubeconfig that kind keeps its contexts in."""
    path = Path(os.environ["KUBECONFIG"])
    found: dict[str, Any] | None = yaml.safe_load(path.read_text()) if path.exists() else None
    return found or {"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": []}


def clusters() -> list[str]:
    """Return the names of the clusters."""
    return [one["name"].removeprefix("kind-") for one in config()["contexts"]]


def create(name: str, description: dict[str, Any]) -> None:
    """Give the cluster that runs this name."""
    assert description["kind"] == "Cluster", description
    full, admin = f"kind-{name}", yaml.safe_load(Path(given("admin")).read_text())
    made = {
        **config(),
        "clusters": [{"name": full, "cluster": admin["clusters"][0]["cluster"]}],
        "users": [{"name": full, "user": admin["users"][0]["user"]}],
        "contexts": [{"name": full, "context": {"cluster": full, "user": full}}],
    }
    Path(os.environ["KUBECONFIG"]).write_text(yaml.safe_dump(made))


def delete(name: str) -> None:
    """Leave the cluster as a new one is, and nameless."""
    admin = [given("kubectl"), "--kubeconfig", given("admin")]
    overlay = str(ROOT / "examples" / "memcached_operator" / "overlays" / "default")
    for words in (["memcacheds", "-A", "--all"], ["-k", overlay], ["namespace", *NAMESPACES]):
        subprocess.run([*admin, "delete", *words, "--ignore-not-found", "--timeout=60s"], capture_output=True)
    Path(os.environ["KUBECONFIG"]).unlink()


def load(archive: Path, name: str) -> None:
    """Give an image to the node, and wait until the node tells of it: the fake scheduler goes by that."""
    assert name in clusters(), name
    ctr = [given("ctr"), "-a", given("socket"), "-n", "k8s.io"]
    subprocess.run([*ctr, "images", "import", str(archive)], check=True, capture_output=True)
    admin = [given("kubectl"), "--kubeconfig", given("admin")]
    deadline = time.monotonic() + KNOWN_SECONDS
    while time.monotonic() < deadline:
        node = subprocess.run([*admin, "get", "node", given("node"), "-o", "json"], check=True, capture_output=True)
        known = json.loads(node.stdout)["status"].get("images", [])
        told = [name for image in known for name in image.get("names") or ()]  # its name may have gone to a newer one
        if any("scoped-memcached-operator" in one for one in told):
            return
        time.sleep(LOOK_SECONDS)
    raise SystemExit("the node does not tell of the image")


def images() -> Images:
    """Return what builds images here."""
    # Most calls are for kubectl, and need nothing of this.
    from scopedcache.testing.control_plane.node import Images, find_parts

    return Images(find_parts())


def logs(context: str, namespace: str, pod: str, options: Sequence[str]) -> None:
    """Print a Pod's log without what the runtime writes before each line; `--tail=N` is its end."""
    assert context.removeprefix("kind-") in clusters(), context
    files = sorted(Path(given("pod-logs")).glob(f"{namespace}_{pod}_*/*/*.log"))
    lines = [line.split(" ", 3)[3] for file in files for line in file.read_text().splitlines()]
    tail = next((int(word.removeprefix("--tail=")) for word in options if word.startswith("--tail=")), len(lines))
    print("\n".join(lines[-tail:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
