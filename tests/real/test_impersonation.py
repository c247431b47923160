"""`as` of a kubeconfig on a real server: whom we are taken for, and what a refused impersonation is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scopedcache import Client, ForbiddenError
from scopedcache.kinds import GVK, GVR, Resource
from scopedcache.testing import ControlPlane, eventually

pytestmark = pytest.mark.real
# Told, and not looked up: for a path that is no resource, the server names no group.
CONFIG_MAPS = Resource(GVR("", "v1", "configmaps"), GVK("", "v1", "ConfigMap"), namespaced=True)
Acting = Callable[..., Path]


@pytest.fixture
def acting(control_plane: ControlPlane, tmp_path: Path) -> Acting:
    """Return a function that writes the kubeconfig of somebody who acts as somebody else."""

    def write(base: Path, **user: Any) -> Path:
        config = yaml.safe_load(base.read_text())
        config["users"][0]["user"].update(user)
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path

    return write


async def test_the_server_takes_us_for_whom_the_kubeconfig_names(control_plane: ControlPlane, acting: Acting) -> None:
    extra = {"scopes": ["one", "two"], "ex.com/t": ["three"]}
    path = acting(
        control_plane.admin.kubeconfig, **{"as": "jane", "as-uid": "7", "as-groups": ["a", "b"], "as-user-extra": extra}
    )
    async with Client.connect(kubeconfig=path) as client:
        said = await client.create({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
    who = said.at("status", "userInfo")
    assert (who["username"], who["uid"], sorted(who["groups"]), who["extra"]) == (
        "jane",
        "7",
        ["a", "b", "system:authenticated"],
        extra,
    )


async def test_a_refused_impersonation_names_the_right_that_is_missing_and_its_grant_heals(
    control_plane: ControlPlane, acting: Acting, namespace: str
) -> None:
    alice, bob = control_plane.user("alice"), control_plane.user("bob")

    async def outcome(client: Client) -> str:
        try:
            return str([found.name for found in await client.list(CONFIG_MAPS, namespace=namespace)])
        except ForbiddenError as error:
            return f"{error.by}: {error}"

    async def told(client: Client, words: str) -> bool:
        return (await outcome(client)).startswith(words)

    async with (
        Client.connect(kubeconfig=acting(alice.kubeconfig, **{"as": "bob"})) as alone,
        Client.connect(kubeconfig=acting(alice.kubeconfig, **{"as": "bob", "as-groups": ["readers"]})) as grouped,
    ):
        await eventually(lambda: told(alone, "unknown: may not impersonate users at the cluster scope"))
        control_plane.grant(alice, ["impersonate"], ["users"], names=["bob"])
        await eventually(lambda: told(alone, f"authorizer: may not list configmaps in namespace {namespace}"))
        # Only now, after one success, does the server say which of the rights of plain impersonation is missing.
        await eventually(lambda: told(grouped, 'unknown: may not impersonate groups "readers" at the cluster scope'))
        control_plane.grant(alice, ["impersonate"], ["groups"], names=["readers"])
        await eventually(lambda: told(grouped, f"authorizer: may not list configmaps in namespace {namespace}"))
        control_plane.grant(bob, ["list"], ["configmaps"], namespace=namespace)
        await eventually(lambda: told(grouped, "['kube-root-ca.crt']"))
