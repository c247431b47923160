"""What holds for every example: manifests as its program prints them, a length to be copied, help without a cluster."""

import ast
import io
import tokenize
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import yaml

from scopedcache.kit.program import as_yaml
from tests.acceptance.examples.catalogue import NAMES, find

ROOT = Path(__file__).parents[3] / "examples"
# Lines of Python that are neither blank nor comments nor docstrings. Where one is not enough, the kit lacks something.
LIMITS = {"users": 60, "leifur": 50, "rule_loader": 60, "global_objects": 80, "meteor": 90, "tenants": 200}


def lines_of(path):
    """Return how many lines of a file say something to Python."""
    text = path.read_text()
    docstrings = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node) is not None
        for line in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    spoken = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in silent
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(spoken - docstrings)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_short_enough_to_be_copied(name):
    assert sum(map(lines_of, (ROOT / name).rglob("*.py"))) <= LIMITS[name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("which", ["crd", "rbac"])
def test_the_manifests_of_an_example_are_those_that_its_program_prints(name, which):
    path = ROOT / name / f"{which}.yaml"
    printed = find(name).program.manifests(which)

    on_disk = list(yaml.safe_load_all(path.read_text())) if path.exists() else []
    assert on_disk == printed, f"write it anew: python -m examples.{name} {which} > {path.relative_to(ROOT.parent)}"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_printed_is_what_is_meant(name):
    example = find(name)
    out = io.StringIO()
    with redirect_stdout(out):
        assert example.program.main(["rbac"]) == 0

    assert out.getvalue() == as_yaml(example.program.manifests("rbac"))


@pytest.mark.parametrize("name", NAMES)
def test_help_needs_no_cluster(name, capsys):
    with pytest.raises(SystemExit) as end:
        find(name).program.main(["--help"])

    assert end.value.code == 0
    assert f"python -m examples.{name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_the_options_are_those_of_every_example(name):
    options = find(name).program.parser().parse_args([])

    common = {
        "kubeconfig",
        "context",
        "leader_elect",
        "health_address",
        "metrics_address",
        "detection_bound",
        "workers",
    }
    assert {*common, "log_format", "verbose"} <= set(vars(options))
    assert options.leader_elect


@pytest.mark.parametrize("name", NAMES)
def test_what_is_done_in_other_namespaces_is_bound_by_their_owners(name):
    example = find(name)

    bound = [one["roleRef"]["name"] for one in example.rbac if one["kind"] == "ClusterRoleBinding"]
    assert example.role_in_namespace not in bound
    assert [one["kind"] for one in example.rbac].count("ServiceAccount") == 1


@pytest.mark.parametrize("name", NAMES)
def test_an_example_says_how_it_is_used(name):
    assert f"python -m examples.{name}" in (ROOT / name / "README.md").read_text()
