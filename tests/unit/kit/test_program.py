"""A program around controllers: what it asks of its user, and what it tells."""

import argparse
import os
import subprocess
import sys

import pytest
import yaml

from scopedcache import ConfigurationError, Controller
from scopedcache.kit import Program, Rights, Rule
from scopedcache.testing import EmbeddedCluster
from tests.unit.cluster import CONFIG_MAP


def assemble(setup):
    yield Controller(for_=CONFIG_MAP, reconcile=lambda request: None, namespaces="a", workers=setup.options.workers)


def program(**options):
    return Program(assemble, name="robot", **options)


@pytest.fixture
def cluster():
    with EmbeddedCluster.start() as cluster:
        cluster.create_namespace("home")
        yield cluster


async def test_its_namespace_is_that_of_its_account(cluster):
    account = cluster.service_account("home", "robot")
    async with cluster.client(account) as client:
        client.namespace = None  # as a kubeconfig that names none

        assert await program().find_namespace(client) == "home"


async def test_the_kubeconfigs_namespace_goes_before(cluster):
    async with cluster.client(cluster.service_account("home", "robot")) as client:
        client.namespace = "mine"

        assert await program().find_namespace(client) == "mine"


async def test_who_is_no_account_is_told_to_name_a_namespace(cluster):
    async with cluster.client(cluster.user("ada")) as client:
        with pytest.raises(ConfigurationError, match="'ada' is no ServiceAccount: name the namespace"):
            await program().find_namespace(client)


async def test_an_option_that_makes_no_sense_is_told(cluster):
    options = program().parser().parse_args(["--workers", "0"])
    async with cluster.client(cluster.user("ada")) as client:
        with pytest.raises(ValueError, match="workers= is at least 1"):
            program().put_together(client, options, "home")


async def test_there_is_a_recorder_once_the_parts_are_made(cluster):
    setups = []

    def parts(setup):
        setups.append(setup)
        with pytest.raises(RuntimeError, match="not put together"):
            setup.recorder  # noqa: B018
        return []

    one = Program(parts, name="robot")
    async with cluster.client(cluster.user("ada")) as client:
        _, manager = one.put_together(client, one.parser().parse_args([]), "home")

    assert setups[0].recorder is manager.recorder


def test_options_of_its_own_stand_beside_the_common_ones():
    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--reload-url")

    options = program(options=more).parser().parse_args(["--reload-url", "http://x", "--workers", "2"])

    assert (options.reload_url, options.workers) == ("http://x", 2)


def test_manifests_are_printed_and_nothing_is_asked(capsys):
    one = program(rights=Rights(cluster=[Rule("namespaces", "list")]))

    assert one.main(["rbac"]) == 0
    assert list(yaml.safe_load_all(capsys.readouterr().out)) == one.manifests("rbac")


def test_what_it_has_no_manifests_of_is_no_argument(capsys):
    with pytest.raises(SystemExit) as end:
        program(rights=Rights()).main(["crd"])

    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_script_is_called_by_the_name_of_its_file(tmp_path):
    script = tmp_path / "greeter.py"
    script.write_text(
        "from scopedcache.kit import Program\n"
        "def assemble(setup): return []\n"
        "if __name__ == '__main__': Program(assemble, name='greeter').run()\n"
    )

    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, script, "--workers", "many"]
    run = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=50)

    assert run.returncode == 2
    assert run.stderr.startswith("python greeter.py: argument --workers: ")
