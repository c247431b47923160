"""Where an example's rows run: its manifests applied, its program under its account, and somebody who tells of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs

from scopedcache.testing import EmbeddedCluster, Fault

from ..observations import Manifest
from ..program import ROOT, Operator
from ..starting import start_cluster
from ..story_printer import Voice
from ..waiting import Failed, Problem, differs, eventually
from ..world import CONVERGED, START, World
from .example import Example

BINDINGS = "rolebindings.rbac.authorization.k8s.io"
LEASES = "leases.coordination.k8s.io"
EVENTS = "events.events.k8s.io"
# What is allowed for what the garbage collector does.
COLLECTED = 30.0
# After a kill, the next one leads when the Lease has not been renewed for so long.
LEASE_TIME = 20.0


@attrs.define(eq=False)
class ExampleWorld(World):
    """The world of one example.

    What its methods do as the admin is told to `voice` as commands, where there is one.
    """

    example: Example = attrs.field(kw_only=True)
    voice: Voice | None = attrs.field(default=None, kw_only=True)
    # What of its `rbac.yaml` was applied.
    rbac: list[Manifest] = attrs.field(factory=list, kw_only=True)
    # For every start, behind those of the example.
    options: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    # What rows start beside it; ended with the world.
    beside: ExitStack = attrs.field(factory=ExitStack, init=False)

    @property
    def home(self) -> str:
        """Return the namespace of the example's account."""
        return self.example.account[0]

    # -- the admin -----------------------------------------------------------------------------------------------

    def namespace(self, name: str, *, allowed: bool = False, labels: dict[str, str] | None = None) -> str:
        """Create a namespace, and give the example its rights there where `allowed`."""
        self.admin(f"kubectl create namespace {name}")
        self.plane.create_namespace(name, labels)
        if labels:
            self.admin(f"kubectl label namespace {name} {' '.join(f'{k}={v}' for k, v in labels.items())}")
        if allowed:
            self.allow(name)
        return name

    def allow(self, namespace: str) -> float:
        """Bind in a namespace what the example does in one; return the time at which the server's answer flipped."""
        role, (place, name) = self.example.role_in_namespace, self.example.account
        self.admin(
            f"kubectl -n {namespace} create rolebinding {name} --clusterrole={role} --serviceaccount={place}:{name}"
        )
        self.allow_quietly(namespace)
        return self._flipped_in(namespace, expected=True)

    def allow_quietly(self, namespace: str) -> None:
        """Do the same without a word, and without waiting."""
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": self.example.account[1]},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": self.example.role_in_namespace,
            },
            "subjects": [self.account.subject],
        }
        self.plane.apply(binding, namespace)

    def revoke(self, namespace: str) -> float:
        """Delete that binding; return the time at which the server's answer flipped."""
        name = self.example.account[1]
        self.admin(f"kubectl -n {namespace} delete rolebinding {name}")
        self.plane.delete(BINDINGS, name, namespace)
        return self._flipped_in(namespace, expected=False)

    def _flipped_in(self, namespace: str, *, expected: bool) -> float:
        """Wait for the answer about a verb that the role gives."""
        role = next(one for one in self.example.rbac if one["metadata"]["name"] == self.example.role_in_namespace)
        rule = next((r for r in role["rules"] if "resourceNames" not in r and "list" in r["verbs"]), role["rules"][0])
        resource = ".".join(filter(None, (rule["resources"][0], rule["apiGroups"][0])))
        return self.flipped(rule["verbs"][0], resource, namespace, expected=expected)

    def apply(self, manifest: Manifest | Path, namespace: str | None = None) -> None:
        """Apply a manifest, or a file."""
        self.admin(f"kubectl {f'-n {namespace} ' if namespace else ''}apply -f {_shown(manifest)}")
        self.plane.apply(manifest, namespace)

    def patch(self, resource: str, name: str, patch: Manifest, namespace: str | None = None) -> Manifest:
        """Merge a patch into an object."""
        place = f"-n {namespace} " if namespace else ""
        self.admin(f"kubectl {place}patch {resource} {name} --type merge -p '{json.dumps(patch)}'")
        return self.plane.patch(resource, name, patch, namespace)

    def remove(self, resource: str, name: str, namespace: str | None = None) -> None:
        """Ask for the deletion of an object."""
        self.admin(f"kubectl {f'-n {namespace} ' if namespace else ''}delete {resource} {name} --wait=false")
        self.plane.delete(resource, name, namespace)

    def admin(self, command: str) -> None:
        """Tell what the admin does."""
        if self.voice is not None:
            self.voice.admin(command)

    # -- what is there -------------------------------------------------------------------------------------------

    def find(self, resource: str, name: str, namespace: str | None = None) -> Manifest:
        """Return an object. Raise Failed when it is not there."""
        found = self.plane.get(resource, name, namespace)
        if found is None:
            raise Failed(f"{resource} {namespace + '/' if namespace else ''}{name} is not there")
        return found

    def names(self, resource: str, namespace: str | None = None, **labels: str) -> list[str]:
        """Return the names of objects, sorted."""
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        return sorted(one["metadata"]["name"] for one in self.plane.list(resource, namespace, selector=selector))

    def notes(self, namespace: str, name: str, reason: str | None = None) -> list[str]:
        """Return what the Warning Events about an object say; those about cluster-wide ones are in `default`."""
        return [
            one.get("note", "")
            for one in self.plane.list(EVENTS, namespace)
            if one["regarding"]["name"] == name and one["type"] == "Warning" and reason in (None, one["reason"])
        ]

    def see(self, what: str, problem: Problem, *, within: float = CONVERGED, since: float | None = None) -> float:
        """Wait as `eventually` does, and tell what was seen."""
        took = eventually(what, problem, within=within, since=since)
        if self.voice is not None:
            self.voice.held(what, took, within)
        return took

    # -- the program ---------------------------------------------------------------------------------------------

    def start_operator(self, *options: str, kubeconfig: Path | None = None, leads: bool = True) -> Operator:
        """Start the example, and wait until it is ready, and leads where it is to."""
        chosen = (*self.example.options, *self.options, *options)
        self.admin(f"python -m {self.command.module} --kubeconfig … {' '.join(chosen)}".rstrip())
        operator = self.launch_operator(*chosen, kubeconfig=kubeconfig)
        eventually(f"{self.example.name} is ready", self.operator_unready, within=START)
        if leads and "--no-leader-elect" not in chosen:
            eventually("it leads", lambda: not_leading(operator), within=LEASE_TIME)
        return operator

    def kill(self, operator: Operator) -> None:
        """End the example as a crash does: nothing more of it reaches the server, its Lease is not released."""
        self.admin(f"kill -9 {self.example.name}")
        if isinstance(self.plane, EmbeddedCluster):
            dead = self.plane.faults.add(Fault(user=self.account.username, refuse=True), first=True)
            operator.process.kill()
            self.plane.faults.remove(dead)
        else:
            operator.process.kill()


def not_leading(operator: Operator) -> str | None:
    """Tell that a process did not begin to lead. (Whether it leads still, only its own loop can tell.)"""
    return None if operator.log.events("leader.elected") else "it was not elected"


def missing(world: ExampleWorld, resource: str, name: str, namespace: str | None = None) -> Callable[[], str | None]:
    """Return the problem that an object is not there."""
    return lambda: None if world.plane.get(resource, name, namespace) else f"there is no {resource} {name}"


def present(world: ExampleWorld, resource: str, name: str, namespace: str | None = None) -> Callable[[], str | None]:
    """Return the problem that an object is there still."""
    return lambda: f"{resource} {name} is there" if world.plane.get(resource, name, namespace) else None


def wrong_names(
    world: ExampleWorld, resource: str, namespace: str | None, *expected: str, **labels: str
) -> Callable[[], str | None]:
    """Return the problem that other objects are there than these."""
    return lambda: differs(f"the {resource}", world.names(resource, namespace, **labels), sorted(expected))


def untold(world: ExampleWorld, namespace: str, name: str, *words: str) -> Callable[[], str | None]:
    """Return the problem that no Warning Event about an object says these words."""

    def problem() -> str | None:
        notes = world.notes(namespace, name)
        told = any(all(word in note for word in words) for note in notes)
        return None if told else f"the Events say {notes}"

    return problem


def uncounted(world: ExampleWorld, namespace: str, name: str) -> Callable[[], str | None]:
    """Return the problem that no Event about an object was repeated as one with a count."""

    def problem() -> str | None:
        events = [one for one in world.plane.list(EVENTS, namespace) if one["regarding"]["name"] == name]
        counts = [(one.get("series") or {}).get("count", 1) for one in events]
        return None if max(counts, default=0) > 1 else f"the counts are {counts}"

    return problem


def condition_of(obj: Manifest, type: str) -> Manifest:
    """Return a condition of an object; an empty one where there is none."""
    conditions = obj.get("status", {}).get("conditions") or []
    return next((one for one in conditions if one["type"] == type), {})


def unlike(world: ExampleWorld, resource: str, name: str, namespace: str | None, type: str, status: str, *words: str,
           ) -> Callable[[], str | None]:  # fmt: skip
    """Return the problem that a condition has another status, or does not say these words."""

    def problem() -> str | None:
        found = condition_of(world.find(resource, name, namespace), type)
        said = f"{found.get('reason', '')} {found.get('message', '')}"
        fits = found.get("status") == status and all(word in said for word in words)
        return None if fits else f"{type} is {found}"

    return problem


@contextmanager
def example_world(
    example: Example,
    logs: Path,
    *,
    rbac: list[Manifest] | None = None,
    voice: Voice | None = None,
    options: tuple[str, ...] = (),
    apart: bool = False,
) -> Iterator[ExampleWorld]:
    """Run a cluster with an example's manifests, and end everything afterwards.

    Args:
        rbac: what is applied instead of its `rbac.yaml`.
        options: for every start, behind those of the example.
        apart: the program is a process of its own, on the embedded cluster too.
    """
    logs.mkdir(parents=True, exist_ok=True)
    for name in ("scopedcache", example.program.name):  # as each command does in its own process
        logging.getLogger(name).setLevel(logging.INFO)
    with start_cluster(logs, apart=apart or example.apart, **example.plane) as (plane, inside):
        plane.apply(example.crds)
        rbac = example.rbac if rbac is None else rbac
        plane.apply(rbac)
        account = plane.service_account(*example.account)
        world = ExampleWorld(
            plane, account, logs, inside, example.command, example=example, voice=voice, rbac=rbac, options=options
        )
        try:
            yield world
        finally:
            world.end()
            world.beside.close()


def _shown(manifest: Manifest | Path) -> str:
    if isinstance(manifest, Path):
        return str(manifest.relative_to(ROOT) if manifest.is_relative_to(ROOT) else manifest)
    metadata = manifest["metadata"]
    return f"- <<< '{json.dumps(manifest)}'" if len(json.dumps(manifest)) < 160 else f"{metadata['name']}.yaml"
