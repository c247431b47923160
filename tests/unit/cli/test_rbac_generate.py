"""`scopedcache rbac generate`: the least rights of an operator, from its source and a recorded run."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml

from scopedcache.cli.least_rights import (
    Account,
    Right,
    Use,
    differing,
    joined,
    manifests,
    rights_of_manifests,
    rights_of_uses,
    settled,
)
from scopedcache.cli.source_declarations import Source, module_names, read_declarations
from scopedcache.kinds import GVK

ROOT = Path(__file__).parents[3]
EXAMPLE = "examples.memcached_operator"
POD = GVK("", "v1", "Pod")
OWN = GVK("cache.example.com", "v1", "Memcached")
ACCOUNT = Account("system", "operator")
SHORT_LIVED = "if __name__ == '__main__': print('no such option')"


def declared(text, **names):
    found = read_declarations([Source("operator.py", textwrap.dedent(text), {"POD": POD, "OWN": OWN, **names})])
    return {(str(one.kind), one.verb, one.place, one.subresource) for one in found.declared}, found.unseen


@pytest.fixture
def new_module(tmp_path, monkeypatch):
    """Return a function that writes a module, importable under a name of its own."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    made = []

    def new(text, name="operator_of_a_test"):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        made.append(name)
        return name

    yield new
    for name in made:
        sys.modules.pop(name, None)


# -- what the source says --


def test_a_need_is_list_and_watch_and_its_verbs_where_it_works():
    found, unseen = declared("Need(POD, verbs=('create',))")

    assert found == {("Pod.v1", verb, "namespace", None) for verb in ("list", "watch", "create")}
    assert unseen == []


def test_a_controller_sees_its_kind_everywhere_and_reports_into_its_status():
    found, _ = declared("sc.Controller(for_=OWN, reconcile=x, owns=[POD])")

    assert found == {
        *(("Pod.v1", verb, "cluster", None) for verb in ("list", "watch")),
        *(("Memcached.v1.cache.example.com", verb, "cluster", None) for verb in ("list", "watch")),
        ("Memcached.v1.cache.example.com", "patch", "cluster", "status"),
    }


def test_where_a_controller_of_some_namespaces_works_shows_in_a_run():
    found, _ = declared("Controller(for_=OWN, reconcile=x, namespaces=names)")
    undecided = Right("namespaces", "cache.example.com", "memcacheds", "patch")
    seen = Right("home", "cache.example.com", "memcacheds", "watch", "", "system")

    assert {place for _, _, place, _ in found} == {"somewhere"}
    assert settled([undecided], set()) == {undecided}
    assert settled([undecided], {seen}) == {Right("home", "cache.example.com", "memcacheds", "patch", "", "system")}


def test_a_finalizer_is_a_patch_of_the_primary_kind():
    found, _ = declared("Controller(for_=OWN, reconcile=x)\nasync def r(): await add_finalizer(client, obj, 'f')")

    assert ("Memcached.v1.cache.example.com", "patch", "cluster", None) in found


def test_plain_kinds_are_opened_as_well():
    found, unseen = declared("async def r(self): await self.cache.open(owner, POD, 'services', *more)")

    assert {kind for kind, *_ in found} == {"Pod.v1", "services"}
    assert unseen == []


def test_a_lease_is_at_home_and_limited_to_its_name():
    source = Source("o.py", "LeaderElection('lock', namespace='system')", {})
    found = read_declarations([source]).declared

    assert [(one.verb, one.namespace, one.name) for one in found] == [
        ("create", "system", None), ("get", "system", "lock"), ("update", "system", "lock"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Need(kind_of(x))", "operator.py:1: what `kind_of(x)` is shows only in a run"),
        ("\nNeed(POD.kind_of_it)", "operator.py:2: what `POD.kind_of_it` is shows only in a run"),
        ("create_or_update(client, obj, mutate)", "which kind create_or_update(…) writes"),
        ("self.client.delete(obj)", "which kind self.client.delete(…) writes"),
    ],
)
def test_what_shows_only_in_a_run_is_listed_with_its_line(text, words):
    _, [unseen] = declared(text)

    assert words in unseen


def test_builtin_functions_of_the_same_names_are_let_alone():
    assert declared("open('file', 'w')\nvalues.update(x)\nset(a).open(b, c)") == (set(), [])


def test_the_constants_of_a_main_module_are_known_without_running_it():
    names = module_names("LEASE: Final = 'a'\nKIND = GVK('', 'v1', 'Pod')\nNOW = datetime.now()\nexit(1)", {})

    assert names == {"LEASE": "a", "KIND": POD}


# -- what that comes to --


def test_what_is_used_everywhere_where_it_works_and_at_home_are_three_roles():
    uses = [
        Use("watch", "cache.example.com", "memcacheds", None),
        Use("patch", "cache.example.com", "memcacheds/status", "a", "m"),
        Use("create", "apps", "deployments", "a"),
        Use("get", "coordination.k8s.io", "leases", "system", "lock"),
        Use("create", "coordination.k8s.io", "leases", "system", "lock"),
    ]
    made = manifests(rights_of_uses(uses, "system"), "op", ACCOUNT, ["a", "b"])

    assert [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in made] == [
        ("ClusterRole", None, "op"),
        ("ClusterRoleBinding", None, "op"),
        ("ClusterRole", None, "op-in-namespace"),
        ("RoleBinding", "a", "op-in-namespace"),
        ("RoleBinding", "b", "op-in-namespace"),
        ("Role", "system", "op"),
        ("RoleBinding", "system", "op"),
    ]
    assert made[5]["rules"] == [
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["lock"], "verbs": ["get"]},
    ]


def test_what_is_made_is_read_back_as_the_same_rights():
    rights = {
        Right("cluster", "apps", "deployments", "list"),
        Right("namespaces", "", "pods", "create"),
        Right("home", "", "configmaps", "get", "lock", "system"),
    }

    assert rights_of_manifests(manifests(rights, "op", ACCOUNT, [])) == rights


def test_what_is_needed_everywhere_needs_no_other_place():
    wide, narrow = Right("cluster", "", "pods", "list"), Right("namespaces", "", "pods", "create")

    assert joined({wide}, {narrow}) == {wide, Right("cluster", "", "pods", "create")}


def test_what_is_missing_and_what_is_idle_are_told_apart():
    wanted = {Right("namespaces", "", "pods", "list"), Right("home", "", "leases", "get", "a", "x")}
    given = {Right("namespaces", "", "pods", "delete"), Right("home", "", "leases", "get", "", "y")}

    assert differing(wanted, given) == (
        [Right("namespaces", "", "pods", "list")],
        [Right("namespaces", "", "pods", "delete")],
    )


# -- the command --


def any_ports():
    """Return the options that let the example listen on any free ports."""
    shown = subprocess.run(
        [sys.executable, "-m", EXAMPLE, "--help"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    options = set(re.findall(r"--(?:health|metrics)(?:-[a-z]+)*address", shown.stdout))
    return [word for option in sorted(options) for word in (option, "127.0.0.1:0")]


def test_the_source_of_the_example_gives_all_but_what_it_cannot_see(command):
    ended = command("rbac", "generate", EXAMPLE, "--account", "system:operator", "--namespaces", "a", "-o", "yaml")

    rights = rights_of_manifests(yaml.safe_load_all(ended.out))
    assert ended.status == 0
    assert Right("namespaces", "apps", "deployments", "update") in rights
    assert "create_or_update(…) writes shows only in a run" in ended.err


@pytest.mark.timeout(120)
def test_a_recorded_run_of_the_example_finds_what_its_manifests_give_too_much(command):
    rbac = ROOT / "examples" / "memcached_operator" / "config" / "rbac"
    ports = any_ports()
    ended = command("rbac", "generate", EXAMPLE, "--record", "--compare", str(rbac), "--", *ports)

    # More than it needs: what its source document grants (the story was to be the same), `finalizers` for clusters that
    # guard owner references, and rbac-watch.yaml, which is not applied by default.
    assert ended.out.splitlines() == [
        "idle: get, create, update, delete memcacheds.cache.example.com (in the whole cluster)",
        "idle: update memcacheds.cache.example.com/finalizers (in the whole cluster)",
        "idle: get, update memcacheds.cache.example.com/status (in the whole cluster)",
        *(
            f"idle: list, watch {kind}.rbac.authorization.k8s.io (in the whole cluster)"
            for kind in ("clusterrolebindings", "clusterroles", "rolebindings", "roles")
        ),
        'idle: patch leases.coordination.k8s.io "86f835c3.example.com" (in a namespace of its own)',
        "idle: get pods (where it works)",
        "idle: get, patch, delete deployments.apps (where it works)",
    ]
    assert "memcacheds.cache.example.com/finalizers too" in ended.err
    assert ended.status == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nothing_like_this", "ModuleNotFoundError: No module named 'nothing_like_this'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_a_module_that_does_not_import_is_one_line(command, new_module, text, words):
    ended = command("rbac", "generate", new_module(text))

    assert (ended.status, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert words in ended.err


def test_an_operator_that_ends_by_itself_is_one_line(command, new_module):
    config = str(ROOT / "examples" / "memcached_operator" / "config")
    ended = command("rbac", "generate", new_module(SHORT_LIVED), "--record", "-f", config)

    assert (ended.status, ended.out, ended.err.count("\n")) == (5, "", 1)
    assert "the operator ended with status 0: no such option" in ended.err


def test_without_a_custom_resource_nothing_can_be_recorded(command, new_module):
    ended = command("rbac", "generate", new_module(SHORT_LIVED), "--record")

    assert (ended.status, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "give its CRD and a custom resource with -f" in ended.err


def test_manifests_that_are_not_there_are_one_line(command):
    ended = command("rbac", "generate", EXAMPLE, "--compare", "/nowhere/rbac.yaml")

    assert (ended.status, ended.err) == (2, "scopedcache: /nowhere/rbac.yaml is not there\n")
