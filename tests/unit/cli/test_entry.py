"""The console scripts: what they need, what they cost, and what they say without it."""

import os
import subprocess
import sys
import tomllib

import pytest

from tests.unit.cli.test_rbac_generate import ROOT

COMMANDS = ("rights", "doctor", "why", "what-if", "rbac", "top", "scale", "new")


def python(text):
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.parametrize("library", ["typer", "rich"])
def test_without_the_extra_it_is_one_line_and_status_6(library):
    ended = python(
        f"import sys; sys.modules[{library!r}] = None\nfrom scopedcache.cli.entry import main\nsys.exit(main())"
    )

    assert (ended.returncode, ended.stdout) == (6, "")
    assert ended.stderr == (
        f"scopedcache: {library} not installed; the command line needs: pip install 'scopedcache[cli]'\n"
    )


def test_the_library_does_not_import_it():
    ended = python(
        "import sys, scopedcache, scopedcache.kit, scopedcache.controller, scopedcache.sync, scopedcache.testing\n"
        "print([name for name in sys.modules if name.startswith(('scopedcache.cli', 'typer', 'rich'))])"
    )

    assert ended.stdout == "[]\n"


def test_both_scripts_are_the_same():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

    assert scripts == dict.fromkeys(("scopedcache", "kubectl-scopedcache"), "scopedcache.cli.entry:main")


def test_as_a_plugin_of_kubectl_it_calls_itself_so():
    ended = python(
        "import sys; sys.argv = ['/bin/kubectl-scopedcache', '--help']\n"
        "from scopedcache.cli.entry import main\nsys.exit(main())"
    )

    assert ended.returncode == 0
    assert "kubectl scopedcache [OPTIONS] COMMAND" in ended.stdout


def test_every_command_is_listed_with_help_and_on_its_page(command):
    listed = command("--help")
    page = (ROOT / "docs" / "command-line.md").read_text()

    assert [name for name in COMMANDS if name not in listed.out or f"`{name}" not in page] == []


@pytest.mark.parametrize("name", [*COMMANDS, "rbac generate", "rbac lint"])
def test_every_command_has_help_also_where_there_is_little_room(command, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "40")
    ended = command(*name.split(), "--help")

    assert (ended.status, ended.err) == (0, "")
    assert max(map(len, ended.out.splitlines())) <= 40


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands(shell):
    ended = python(
        f"import os, sys; os.environ['_SCOPEDCACHE_COMPLETE'] = 'source_{shell}'; sys.argv = ['scopedcache']\n"
        "from scopedcache.cli.entry import main\nsys.exit(main())"
    )

    assert ended.returncode == 0
    assert "_SCOPEDCACHE_COMPLETE=complete_" in ended.stdout


@pytest.mark.parametrize("arguments", [("nonsense",), ("rights",), ("rights", "pods", "-o", "xml"), ("why",)])
def test_a_command_line_that_makes_no_sense_is_status_2(command, arguments):
    ended = command(*arguments)

    assert (ended.status, ended.out) == (2, "")
    assert "Traceback" not in ended.err


def test_who_stops_reading_gets_no_error(cluster):
    script = "import sys; from scopedcache.cli.entry import main; sys.exit(main())"
    arguments = ("rights", "pods", "--kubeconfig", str(cluster.admin.kubeconfig))
    for output in ("table", "json"):
        with subprocess.Popen(
            [sys.executable, "-c", script, *arguments, "-o", output],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            errors = process.stderr.read()

        assert (process.returncode, errors) == (0, b"")


def test_a_terminal_that_knows_only_ascii_is_enough():
    script = "import sys; from scopedcache.cli.entry import main; sys.exit(main())"
    ended = subprocess.run(
        [sys.executable, "-c", script, "--help"],
        capture_output=True, cwd=ROOT, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=False,
    )  # fmt: skip

    assert (ended.returncode, ended.stderr) == (0, b"")
