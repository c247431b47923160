"""`scopedcache what-if`: who would lose or gain what by a change that is not applied."""

import json

import pytest
import yaml

from tests.unit.cluster import MEMCACHED, definition, manifest

RBAC = "rbac.authorization.k8s.io"
ACCOUNT = {"kind": "ServiceAccount", "namespace": "system", "name": "operator"}


def binding(name, role, *subjects, namespace=None):
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": {"name": name} | ({"namespace": namespace} if namespace else {}),
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": list(subjects),
    }


def cluster_role(name, *rules, **labels):
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": labels},
        "rules": [dict(zip(("apiGroups", "resources", "verbs"), rule, strict=True)) for rule in rules],
    }


PODS = ([""], ["pods"], ["list", "watch"])
OWN = (["cache.example.com"], ["memcacheds", "memcacheds/status"], ["list", "watch", "patch"])


@pytest.fixture
def operated(cluster):
    """Return a cluster with an operator: its own kind everywhere, Pods in namespace a."""
    for namespace in ("a", "b", "system"):
        cluster.create_namespace(namespace)
    cluster.apply(definition(MEMCACHED))
    cluster.apply(cluster_role("needs", PODS))
    cluster.apply(cluster_role("own", OWN))
    cluster.apply(binding("own", "own", ACCOUNT))
    cluster.apply(binding("needs", "needs", ACCOUNT, namespace="a"), "a")
    cluster.create(manifest(MEMCACHED, "m", "a"), "a")
    cluster.create(manifest(MEMCACHED, "n", "b"), "b")
    return cluster


@pytest.fixture
def what_if(command, operated, tmp_path):
    """Return a function that tries objects, or deletions, and returns status and what would change."""

    def tried(*objects, delete=(), user=None):
        file = tmp_path / "change.yaml"
        file.write_text(yaml.safe_dump_all(objects))
        files = ["-f", str(file)] if objects else []
        deletions = [f"--delete={one}" for one in delete]
        ended = command("what-if", *files, *deletions, "-o", "json", user=user or operated.admin)
        changes = json.loads(ended.out)["differences"] if ended.out else []
        return (
            ended,
            [(c["subject"]["name"], c["namespace"], c["change"], c["verbs"], c["kind"]) for c in changes],
            changes,
        )

    return tried


def test_without_a_binding_an_operator_loses_what_it_gave_and_nothing_is_applied(what_if, operated):
    ended, changes, _ = what_if(delete=["rolebinding/a/needs"])

    assert (ended.status, changes) == (4, [("operator", "a", "lost", ["list", "watch"], "pods")])
    assert operated.get(f"rolebindings.{RBAC}", "needs", "a") is not None


def test_the_custom_resources_it_is_about_are_named(what_if):
    _, _, [change] = what_if(delete=["rolebinding/a/needs"])

    assert change["customResources"] == ["Memcached a/m"]


def test_a_binding_more_gives_what_its_role_says(what_if):
    ended, changes, [change] = what_if(binding("needs", "needs", ACCOUNT, namespace="b"))

    assert (ended.status, changes) == (4, [("operator", "b", "gained", ["list", "watch"], "pods")])
    assert change["customResources"] == ["Memcached b/n"]


def test_a_role_that_shrinks_is_felt_wherever_it_is_bound(what_if):
    _, changes, _ = what_if(cluster_role("needs", ([""], ["pods"], ["list"])))

    assert changes == [("operator", "a", "lost", ["watch"], "pods")]


def test_without_a_role_its_bindings_give_nothing(what_if):
    _, changes, _ = what_if(delete=["clusterroles/needs"])

    assert changes == [("operator", "a", "lost", ["list", "watch"], "pods")]


def test_what_another_binding_gives_as_well_is_not_lost(what_if, operated):
    operated.apply(binding("again", "needs", ACCOUNT, namespace="a"), "a")
    ended, changes, _ = what_if(delete=["rolebinding/a/needs"])

    assert (ended.status, changes) == (0, [])


def test_what_a_namespace_gives_by_itself_is_not_lost_with_a_right_in_the_whole_cluster(what_if, operated):
    operated.apply(binding("everywhere", "needs", ACCOUNT))
    _, changes, [change] = what_if(delete=["clusterrolebinding/everywhere"])

    assert changes == [("operator", None, "lost", ["list", "watch"], "pods")]
    assert change["unchangedIn"] == ["a"]


def test_a_role_that_is_collected_changes_the_role_that_collects_it(what_if, operated):
    operated.apply(binding("viewer", "view", {"kind": "User", "name": "jane", "apiGroup": RBAC}, namespace="a"), "a")
    label = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    _, changes, _ = what_if(cluster_role("see", (["cache.example.com"], ["memcacheds"], ["list"]), **label))

    assert changes == [("jane", "a", "gained", ["list"], "memcacheds.cache.example.com")]


def test_the_same_objects_again_change_nothing(what_if):
    ended, changes, _ = what_if(cluster_role("needs", PODS), binding("needs", "needs", ACCOUNT, namespace="a"))

    assert (ended.status, changes) == (0, [])


def test_objects_that_give_no_rights_are_left_out_and_named(what_if):
    extra = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "c"}}
    ended, _, _ = what_if(extra, binding("needs", "needs", ACCOUNT, namespace="b"))

    assert ended.err == "note: left out, for it gives no rights: Namespace c\n"


def test_where_the_server_decides_otherwise_nothing_is_told(what_if, operated):
    operated.restart(down=0.0, unready=3600.0)  # meanwhile it says no to everybody, whatever is stored
    ended, _, _ = what_if(delete=["rolebinding/a/needs"])

    assert (ended.status, ended.out, ended.err.count("\n")) == (5, "", 1)
    assert "may ServiceAccount system/operator list pods in namespace a? RBAC objects: yes, the server: no" in ended.err


def test_who_may_not_ask_the_server_about_others_is_told_nothing(what_if, operated):
    reader = operated.user("reader")
    rbac = [f"{kind}.{RBAC}" for kind in ("roles", "rolebindings", "clusterroles", "clusterrolebindings")]
    operated.grant(reader, ["list"], rbac)
    ended, _, _ = what_if(delete=["rolebinding/a/needs"], user=reader)

    assert (ended.status, ended.out, ended.err.count("\n")) == (5, "", 1)
    assert "cannot be compared with the server's own answers" in ended.err


def test_a_kubeconfig_without_rights_is_one_line(what_if, operated):
    ended, _, _ = what_if(delete=["rolebinding/a/needs"], user=operated.user("nobody"))

    assert (ended.status, ended.out, ended.err.count("\n")) == (5, "", 1)
    assert "the right to read all RBAC objects" in ended.err


@pytest.mark.parametrize(
    ("deletion", "words"),
    [
        ("rolebinding/b/needs", "RoleBinding b/needs is not there; what is: RoleBinding a/needs"),
        ("pod/x", "--delete takes KIND/NAME"),
        ("clusterrole", "--delete takes KIND/NAME"),
    ],
)
def test_a_deletion_that_makes_no_sense_is_one_line(what_if, deletion, words):
    ended, _, _ = what_if(delete=[deletion])

    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert words in ended.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "is not YAML"),
        ("just words", "no Kubernetes object"),
        ("kind: Role", "without apiVersion, kind or metadata.name"),
        ("{apiVersion: v1, kind: Pod, metadata: {name: p}}", "nothing to try"),
        (yaml.safe_dump(binding("needs", "other", ACCOUNT, namespace="a")), "roleRef of RoleBinding a/needs cannot be"),
        (
            "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: x}}",
            "RoleBinding default/x has no roleRef",
        ),
        (
            "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: x}, rules: [all]}",
            "a rule of Role default/x is no mapping",
        ),
    ],
)
def test_a_file_that_makes_no_sense_is_one_line(command, operated, tmp_path, text, words):
    file = tmp_path / "change.yaml"
    file.write_text(text)
    ended = command("what-if", "-f", str(file), user=operated.admin)

    assert (ended.status, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert words in ended.err


def test_a_file_that_is_not_there_is_one_line(command, operated):
    ended = command("what-if", "-f", "/nowhere/role.yaml", user=operated.admin)

    assert (ended.status, ended.err) == (2, "scopedcache: cannot read /nowhere/role.yaml: No such file or directory\n")


def test_people_see_a_table_and_that_nothing_was_applied(command, operated):
    ended = command("what-if", "--delete", "rolebinding/needs", "-n", "a", user=operated.admin)

    [_, row, *_, last] = ended.out.splitlines()
    assert row.split() == ["ServiceAccount", "system/operator", "a", "lost", "list,", "watch", "pods"]
    assert last == "Nothing was applied."
