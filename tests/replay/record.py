"""`python -m tests.replay.record [NAME…]`: records what a real API server does in each kind of trouble.

A recording is made once for a version of Kubernetes and kept: `recordings/NAME.jsonl`, and what the cache made of it
in `recordings/NAME.json`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

import attrs

from scopedcache import ScopedCache
from scopedcache.testing import ControlPlane, Grant, Identity
from tests.acceptance.clock import pause

from .life import NAMESPACE, Life, live

FOLDER = Path(__file__).with_name("recordings")
ACCOUNT = "recorded-operator"
KINDS = ("configmaps", "widgets.example.org")
WIDGETS = "widgets.example.org"
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
# Longer than the bound after trouble.
SETTLED_SECONDS = 14.0
# An API server remembers for so long that a token was good.
TOKEN_CACHED_SECONDS = 11.0
SECRET = "canary-of-a-value"


@attrs.frozen
class Stage:
    """Where trouble is made."""

    plane: ControlPlane
    grant: Grant
    account: Identity

    def config_map(self, name: str) -> None:
        """Create one."""
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": SECRET}}
        self.plane.create(body, NAMESPACE)


def revoke(stage: Stage) -> None:
    """Every right is taken."""
    stage.grant.revoke()


def revoke_and_grant(stage: Stage) -> None:
    """Every right is taken, an object goes and another comes, and the right is given again."""
    stage.grant.revoke()
    pause(SETTLED_SECONDS)
    stage.plane.delete("configmaps", "first", NAMESPACE)
    stage.config_map("second")
    stage.grant.restore()


def only_list(stage: Stage) -> None:
    """The verb watch is taken."""
    stage.grant.change(verbs=["list"], resources=KINDS)


def only_watch(stage: Stage) -> None:
    """The verb list is taken."""
    stage.grant.change(verbs=["watch"], resources=KINDS)


def one_kind(stage: Stage) -> None:
    """The rights to one of two kinds are taken."""
    stage.grant.change(verbs=["list", "watch"], resources=KINDS[:1])


def server_restart(stage: Stage) -> None:
    """The API server is killed and comes back; an object comes after it."""
    stage.plane.apiserver.kill()
    pause(2.0)
    stage.plane.apiserver.start(timeout=240.0)
    stage.config_map("second")


def history_gone(stage: Stage) -> None:
    """The API server is gone while an object goes and another comes by the other one; its history begins after that."""
    server = stage.plane.apiservers[-1]
    server.kill()
    stage.plane.delete("configmaps", "first", NAMESPACE)
    stage.config_map("second")
    server.start(timeout=240.0)
    stage.config_map("third")


def server_frozen(stage: Stage) -> None:
    """The API server is stopped for some seconds, with its connections open."""
    stage.plane.apiserver.pause()
    pause(6.0)
    stage.plane.apiserver.resume()
    stage.config_map("second")


def account_deleted(stage: Stage) -> None:
    """The ServiceAccount is deleted: its token is good for nothing any more."""
    stage.plane.delete("serviceaccounts", ACCOUNT, NAMESPACE)
    pause(TOKEN_CACHED_SECONDS)


def kind_removed(stage: Stage) -> None:
    """The CustomResourceDefinition is removed."""
    stage.plane.delete(DEFINITIONS, WIDGETS)


def objects_change(stage: Stage) -> None:
    """Nothing is wrong: objects come, change and go."""
    for name in ("second", "third"):
        stage.config_map(name)
    stage.plane.patch("configmaps", "second", {"data": {"value": "changed"}}, NAMESPACE)
    stage.plane.delete("configmaps", "third", NAMESPACE)


STORIES: dict[str, Callable[[Stage], None]] = {
    story.__name__: story
    for story in (
        revoke,
        revoke_and_grant,
        only_list,
        only_watch,
        one_kind,
        server_restart,
        history_gone,
        server_frozen,
        account_deleted,
        kind_removed,
        objects_change,
    )
}

# The operator's API server is the second; what is done meanwhile goes by the first.
OF_TWO_SERVERS = ("history_gone",)


def main(names: list[str]) -> int:
    """Record these stories, or all."""
    FOLDER.mkdir(exist_ok=True)
    wanted = names or list(STORIES)
    for ha in (False, True):
        stories = [name for name in wanted if (name in OF_TWO_SERVERS) is ha]
        if stories:
            with ControlPlane.start(kubelet=False, ha=ha) as plane:
                for name in stories:
                    sys.stdout.write(f"{name}\n")
                    sys.stdout.flush()
                    record(plane, name)
    return 0


def record(plane: ControlPlane, name: str) -> None:
    """Record a story in a namespace and under an account of its own."""
    plane.create_namespace(NAMESPACE)
    plane.apply(definition())
    account = plane.service_account(NAMESPACE, ACCOUNT)
    grant = plane.grant(account, verbs=["list", "watch"], resources=KINDS, namespace=NAMESPACE)
    plane.wait_allowed(account, "watch", KINDS[0], NAMESPACE)
    stage = Stage(plane, grant, account)
    stage.config_map("first")
    path = FOLDER / f"{name}.jsonl"
    path.unlink(missing_ok=True)
    life = asyncio.run(recorded_life(stage, name, path))
    path.with_suffix(".json").write_text(json.dumps(attrs.asdict(life), indent=1) + "\n")
    plane.delete_namespace(NAMESPACE, wait=60.0)


async def recorded_life(stage: Stage, name: str, path: Path) -> Life:
    """Let a cache live through a story, and return what it saw."""

    async def meanwhile() -> None:
        await asyncio.to_thread(STORIES[name], stage)
        await asyncio.sleep(SETTLED_SECONDS)

    server = len(stage.plane.apiservers) - 1
    async with stage.plane.client(stage.account, server=server) as client, ScopedCache(client, record=path) as cache:
        await asyncio.sleep(0.5)
        return await live(cache, meanwhile)


def definition() -> dict[str, object]:
    """Return the CustomResourceDefinition of Widgets."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": WIDGETS},
        "spec": {
            "group": "example.org",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
