"""A node's configuration, its parts and its images' names: what can be said without starting anything."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Container
from pathlib import Path
from typing import Any

import pytest
import yaml

from scopedcache.testing.control_plane.kubelet import repository
from scopedcache.testing.control_plane.node import DEBIAN_PACKAGES, MissingPartsError, Parts, find_parts
from scopedcache.testing.control_plane.node.files import (
    NodeLayout,
    containerd_config,
    kubelet_command,
    kubelet_config,
    network_config,
)
from scopedcache.testing.control_plane.node.forwarder import parse
from scopedcache.testing.control_plane.node.images import full_name
from scopedcache.testing.control_plane.node.node import ready
from scopedcache.testing.control_plane.node.parts import PROGRAMS, missing

PARTS = Parts({name: Path("/programs") / name for name in PROGRAMS}, Path("/cni"), Path("/kubelet"))


def layout(folder: str = "/place") -> NodeLayout:
    return NodeLayout(Path(folder), PARTS, network=130, kubelet_port=20_001)


def test_containerd_keeps_everything_in_the_folder_of_the_node():
    config = tomllib.loads(containerd_config(layout('/with "quotes"')))
    cri = config["plugins"]["io.containerd.grpc.v1.cri"]
    runc = cri["containerd"]["runtimes"]["runc"]["options"]
    own = [config["root"], config["state"], config["grpc"]["address"], cri["cni"]["conf_dir"], runc["Root"]]
    assert all(place.startswith('/with "quotes"/') for place in own)
    assert (cri["cni"]["bin_dir"], runc["BinaryName"]) == ("/cni", "/programs/runc")


def test_services_and_pods_of_a_node_have_networks_that_do_not_overlap():
    (plugin,) = json.loads(network_config(layout()))["plugins"]
    assert plugin["ipam"]["ranges"] == [[{"subnet": "10.130.1.0/24"}]]
    assert (layout().services, layout().service_address) == ("10.130.0.0/24", "10.130.0.1")


def test_the_kubelet_talks_to_the_containerd_of_its_node():
    config = yaml.safe_load(kubelet_config(layout()))
    assert config["containerRuntimeEndpoint"] == "unix:///place/containerd.sock"
    assert config["port"] == 20_001
    assert config["podLogsDir"] == "/place/pod-logs"


def test_the_kubelet_is_known_by_the_name_that_is_given():
    command = kubelet_command(layout(), Path("/kubeconfig"), "node")
    assert command[0] == "/kubelet"
    assert {"--hostname-override=node", "--kubeconfig=/kubeconfig"} < set(command)


def test_what_is_missing_is_named_with_the_packages_that_bring_it(tmp_path):
    with pytest.raises(MissingPartsError) as refusal:
        find_parts({"PATH": "", "XDG_CACHE_HOME": str(tmp_path)})
    assert "scopedcache.testing build kubelet" in str(refusal.value)


def test_the_command_that_makes_a_node_ready_says_what_is_missing_and_fails(tmp_path):
    command = [sys.executable, "-m", "scopedcache.testing.control_plane.node"]
    environ = {"PATH": "", "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[4])}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr.startswith("node: a node cannot run here. Missing: ")) == (2, True)


def lacking(programs: Container[str] = tuple(PROGRAMS), **what: Any) -> list[str]:
    given = {"cni": Path("/cni"), "kubelet": Path("/kubelet"), "platform": "linux", "root": True, **what}
    return missing(programs, **given)


def test_nothing_is_missing_where_everything_is_there():
    assert lacking() == []


def test_all_packages_that_are_missing_are_named_in_one_command():
    (words,) = lacking(set(PROGRAMS) - {"runc", "containerd", "ctr"}, cni=None)
    wanted = "apt-get install --no-install-recommends containerd containernetworking-plugins runc"
    assert wanted in words


def test_who_is_not_root_is_told_so_beside_all_else_that_is_missing():
    words = lacking((), root=False, kubelet=None)
    assert (len(words), words[0]) == (3, "root's rights")


def test_on_another_system_nothing_is_said_to_be_installed():
    assert lacking((), platform="darwin", root=False) == ["Linux; this is darwin"]


def test_every_program_comes_from_a_package_that_is_asked_for():
    assert set(PROGRAMS.values()) < set(DEBIAN_PACKAGES)


def test_the_script_of_the_gate_installs_all_of_them():
    script = (Path(__file__).parents[4] / ".ci" / "node-parts").read_text()
    assert all(package in script for package in DEBIAN_PACKAGES)


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("redis", "docker.io/library/redis"),
        ("redis:7", "docker.io/library/redis:7"),
        ("people/redis:7", "docker.io/people/redis:7"),
        ("localhost/redis", "localhost/redis"),
        ("registry.example.com/a/b:1", "registry.example.com/a/b:1"),
        ("registry:5000/a", "registry:5000/a"),
    ],
)
def test_an_image_has_the_name_that_container_runtimes_know_it_by(name, full):
    assert full_name(name) == full
    assert repository(name) == repository(full)


def test_a_repository_is_a_name_without_tag_and_digest():
    assert repository("registry:5000/a:1@sha256:00") == "registry:5000/a"


def test_a_node_is_ready_when_its_condition_says_so():
    assert ready({"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    assert not ready({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}})
    assert not ready({})


def test_addresses_of_the_forwarder_are_host_and_port():
    assert parse("10.130.0.1:443") == ("10.130.0.1", 443)
