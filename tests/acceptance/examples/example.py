"""What an example is to its rows: its program, its manifests, what may be left out of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from scopedcache.kit import Program
from scopedcache.testing.resources import load_manifests

from ..commands import Command, command_of
from ..program import ROOT
from ..rows import Row

Manifest = dict[str, Any]


@attrs.frozen
class Example:
    """An example.

    Attributes:
        name: of its folder.
        rows: one story: each builds on those before it.
        options: what its rows start it with.
        plane: options of the cluster that its rows run on.
        web_rows: another story, of what it serves: on the embedded cluster too it is a process there, with sockets.
        fleet_rows: another story, across clusters: a process likewise.
        told: the ids of the rows that its demo tells, all by default: those that together take less than half a minute.
        apart: it is a process on the embedded cluster too, in the machine's time: it works with other programs.
    """

    name: str
    program: Program
    rows: tuple[Row, ...]
    options: tuple[str, ...] = ()
    plane: dict[str, Any] = attrs.field(factory=dict)
    web_rows: tuple[Row, ...] = ()
    fleet_rows: tuple[Row, ...] = ()
    told: tuple[str, ...] = ()
    apart: bool = False

    @property
    def story(self) -> tuple[Row, ...]:
        """Return the rows that the demo tells."""
        return tuple(row for row in self.rows if not self.told or row.id in self.told)

    @property
    def folder(self) -> Path:
        return ROOT / "examples" / self.name

    @property
    def command(self) -> Command:
        return command_of(self.program, f"examples.{self.name}")

    @property
    def crds(self) -> list[Manifest]:
        """Return the CRDs of its `crd.yaml`; none where it has no kinds of its own."""
        path = self.folder / "crd.yaml"
        return load_manifests(path) if path.exists() else []

    @property
    def rbac(self) -> list[Manifest]:
        """Return the manifests of its `rbac.yaml`."""
        return load_manifests(self.folder / "rbac.yaml")

    @property
    def account(self) -> tuple[str, str]:
        """Return namespace and name of its ServiceAccount."""
        (account,) = (one["metadata"] for one in self.rbac if one["kind"] == "ServiceAccount")
        return account["namespace"], account["name"]

    @property
    def role_in_namespace(self) -> str:
        """Return the ClusterRole that is bound namespace by namespace: the one that nothing in `rbac.yaml` binds."""
        bound = {one["roleRef"]["name"] for one in self.rbac if one["kind"] == "ClusterRoleBinding"}
        (role,) = (
            one["metadata"]["name"]
            for one in self.rbac
            if one["kind"] == "ClusterRole" and one["metadata"]["name"] not in bound
        )
        return str(role)

    def rights(self, *, by_verb: bool = False) -> list[Right]:
        """Return what each rule of `rbac.yaml` gives; verb by verb, if told so."""
        return rights_in(self.rbac, by_verb=by_verb)


@attrs.frozen
class Right:
    """What one rule gives, or one of its verbs."""

    manifest: int
    rule: int
    verb: str | None
    words: str

    def without(self, rbac: list[Manifest]) -> list[Manifest]:
        """Return manifests that lack it."""
        kept = load_manifests(rbac)
        rules = kept[self.manifest]["rules"]
        if self.verb is not None and len(rules[self.rule]["verbs"]) > 1:
            rules[self.rule]["verbs"].remove(self.verb)
        else:
            del rules[self.rule]
        return kept


def rights_in(manifests: list[Manifest], *, by_verb: bool = False) -> list[Right]:
    """Return what each rule in manifests gives; verb by verb, if told so."""
    return [
        Right(number, index, verb, _words(manifest, rule, verb))
        for number, manifest in enumerate(manifests)
        for index, rule in enumerate(manifest.get("rules", ()))
        for verb in (rule["verbs"] if by_verb else (None,))
    ]


def _words(manifest: Manifest, rule: Manifest, verb: str | None) -> str:
    verbs = verb or "/".join(rule["verbs"])
    names = f" {'/'.join(rule['resourceNames'])}" if "resourceNames" in rule else ""
    place = manifest["metadata"].get("namespace", "")
    role = f"{manifest['kind']} {place + '/' if place else ''}{manifest['metadata']['name']}"
    return f"{verbs} {'/'.join(rule['resources'])}{names} ({role})"
