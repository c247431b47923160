"""`scopedcache new`: a starter operator, whose test passes at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import scopedcache
from scopedcache.cli.exit_status import CommandError
from scopedcache.cli.starter_files import OperatorNames

# Where the library is; what else pytest can import, a user of it cannot.
LIBRARY = str(Path(scopedcache.__file__).parents[1])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def python(*arguments, folder):
    environment = {**os.environ, "PYTHONPATH": LIBRARY}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_its_test_passes_at_once(command, folder):
    made = command("new", "web-page")
    ended = python("-m", "pytest", "-q", "-p", "no:cacheprovider", folder=folder / "web-page")

    assert made.status == 0
    assert ended.returncode == 0, ended.stdout
    assert "2 passed" in ended.stdout


@pytest.mark.timeout(120)
def test_its_manifests_give_what_it_needs_and_nothing_besides(command, folder):
    command("new", "web-page")
    # As the console script does it: the folder is not among those that are imported from.
    script = "import sys; from scopedcache.cli.entry import main; sys.exit(main())"
    ended = python(
        "-P", "-c", script, "rbac", "generate", "web_page", "--record", "--compare", "config/rbac.yaml",
        "--", "--health-address", "127.0.0.1:0", folder=folder / "web-page",
    )  # fmt: skip

    assert (ended.returncode, ended.stdout) == (0, "config/rbac.yaml gives what is needed, and nothing besides\n")


def test_it_starts_and_says_in_one_line_why_it_cannot_begin(command, folder):
    command("new", "web-page")
    ended = python("-m", "web_page", "--kubeconfig", "/nowhere/config", folder=folder / "web-page")

    assert (ended.returncode, ended.stderr.count("\n")) == (3, 1)
    assert "/nowhere/config does not exist" in ended.stderr


def test_no_name_of_the_template_is_left(command, folder):
    command("new", "gateway", "--kind", "HTTPGateway", "--group", "net.example.org")
    texts = {path: path.read_text() for path in (folder / "gateway").rglob("*") if path.is_file()}

    assert [str(path) for path, text in texts.items() if "@kind" in text.lower() or "@name" in text] == []
    crd = yaml.safe_load(texts[folder / "gateway" / "config" / "crd.yaml"])
    assert crd["metadata"]["name"] == "httpgateways.net.example.org"


def test_what_is_there_is_not_written_over(command, folder):
    (folder / "mine").mkdir()
    (folder / "mine" / "file").write_text("precious")
    ended = command("new", "mine")

    assert (ended.status, ended.err) == (2, "scopedcache: mine is there already, and not empty: nothing was written\n")
    assert [path.name for path in (folder / "mine").iterdir()] == ["file"]


def test_a_folder_that_may_not_be_written_is_one_line(command, folder):
    (folder / "mine").write_text("a file")
    ended = command("new", "mine")

    assert (ended.status, ended.err.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("name", "kind", "group", "words"),
    [
        ("Web", None, "example.com", "'Web' is no name"),
        ("-a", None, "example.com", "is no name"),
        ("a/b", None, "example.com", "is no name"),
        ("a" * 41, None, "example.com", "is no name"),
        ("class", None, "example.com", "cannot be called class"),
        ("json", None, "example.com", "cannot be called json"),
        ("a", "page", "example.com", "'page' is no kind"),
        ("a", None, "example", "'example' is no API group"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(name, kind, group, words):
    with pytest.raises(CommandError, match=words):
        OperatorNames.of(name, kind, group)


@pytest.mark.parametrize(
    ("name", "kind", "plural", "package"),
    [
        ("web-page", "WebPage", "webpages", "web_page"),
        ("box", "Box", "boxes", "box"),
        ("policy", "Policy", "policies", "policy"),
        ("key", "Key", "keys", "key"),
    ],
)
def test_the_other_names_follow_from_the_first(name, kind, plural, package):
    names = OperatorNames.of(name, None, "example.com")

    assert (names.kind, names.plural, names.package) == (kind, plural, package)


def test_the_templates_are_part_of_the_package():
    starter = Path(LIBRARY) / "scopedcache" / "cli" / "starter"
    assert {path.suffix for path in starter.rglob("*") if path.is_file()} == {".template"}
