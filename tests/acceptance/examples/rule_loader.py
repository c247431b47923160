"""Row U5: rules out of ConfigMaps, judged by the real promtool, read by a real Prometheus."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

from examples.rule_loader.__main__ import PROGRAM
from examples.rule_loader.reconciler import OUTPUT
from scopedcache.kit.collecting import UNSEEN

from ..clock import now
from ..observations import Manifest
from ..program import ROOT
from ..rows import Outcome, Row
from ..waiting import differs, eventually, never, require
from ..world import BOUND
from .example import Example
from .prometheus import Prometheus, find_binaries, running
from .world import LEASE_TIME, ExampleWorld, uncounted, untold

CONFIG_MAPS = "configmaps"
PLACES = ("shop", "bank")
COUNT = 50
KEPT = 5.0
# All that may pass between a change and the rules that are active: settling, promtool for each, a write, a reload.
LOADED = 15.0


def rules(number: int, expression: str) -> Manifest:
    """Return a ConfigMap with one group of rules."""
    group = {"name": f"group-{number}", "rules": [{"record": f"r{number}", "expr": expression}]}
    metadata = {"name": f"rules-{number}", "labels": {"prometheus.io/rules": "true"}}
    data = {"rules.yaml": json.dumps({"groups": [group]})}  # JSON is YAML
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def place_of(number: int) -> str:
    return PLACES[number % len(PLACES)]


def write(world: ExampleWorld, expressions: Mapping[int, str]) -> None:
    """Write ConfigMaps of rules."""
    for number, expression in expressions.items():
        world.plane.apply(rules(number, expression), place_of(number))


def inactive(prometheus: Prometheus, wanted: Mapping[int, str]) -> str | None:
    """Tell that others than these rules are active."""
    expected = {f"group-{number}": expression for number, expression in wanted.items()}
    found = prometheus.groups()
    wrong = sorted({*expected.items()} ^ {*found.items()})
    return f"{len(found)} groups are active, {len(expected)} expected; {wrong[:3]} are not right" if wrong else None


def files(world: ExampleWorld) -> dict[str, str]:
    """Return what the output holds."""
    found = world.plane.get(CONFIG_MAPS, OUTPUT, world.home)
    return dict(found.get("data") or {}) if found else {}


def unseen(world: ExampleWorld) -> list[str]:
    """Return the namespaces that the output marks."""
    notes = world.find(CONFIG_MAPS, OUTPUT, world.home)["metadata"].get("annotations") or {}
    return sorted(name.removeprefix(UNSEEN) for name in notes if name.startswith(UNSEEN))


def prometheus_of(world: ExampleWorld) -> Prometheus:
    """Return the Prometheus of these rows, started where there is none."""
    if "prometheus" not in world.memory:
        running_one = running(world.logs / "prometheus", lambda: files(world))
        world.memory["prometheus"] = world.beside.enter_context(running_one)
    found: Prometheus = world.memory["prometheus"]
    return found


def start(world: ExampleWorld, *options: str) -> None:
    """Start the example, which tells Prometheus."""
    promtool = find_binaries() / "promtool"
    world.start_operator(f"--promtool={promtool}", f"--reload-url={prometheus_of(world).reload_url}", *options)


def many_changes(world: ExampleWorld) -> Outcome:
    """U5."""
    prometheus = prometheus_of(world)
    for place in PLACES:
        world.namespace(place, allowed=True)
    start(world)
    world.admin(f"kubectl apply -f rules/   ({COUNT} ConfigMaps in {' and '.join(PLACES)})")
    first = dict.fromkeys(range(COUNT), "up")
    write(world, first)
    loaded = world.see(f"{COUNT} groups are active", lambda: inactive(prometheus, first), within=LOADED)
    before = prometheus.reloads
    later = {number: f"up + {number}" for number in range(COUNT)} | {0: "up("}
    world.admin(f"kubectl apply -f changed/   ({COUNT} ConfigMaps, one of them wrong)")
    since = now()
    write(world, later)
    wrote = now() - since
    good = {number: expression for number, expression in later.items() if number}
    took = world.see(f"{COUNT - 1} groups are active", lambda: inactive(prometheus, good), within=LOADED, since=since)
    reloads = prometheus.reloads - before
    world.see("the wrong one is told by promtool's words", untold(world, place_of(0), "rules-0", "unclosed left paren"))
    require(f"there were {reloads}" if not 1 <= reloads <= 2 + wrote // 5 else None, "1 or 2 reloads")
    world.memory["expressions"] = good
    return Outcome(took, {"reloads": reloads, "written in": wrote, "first 50 after": loaded})


def no_change(world: ExampleWorld) -> Outcome:
    """U5: no reload where nothing changes."""
    prometheus, before = prometheus_of(world), prometheus_of(world).reloads
    world.patch(CONFIG_MAPS, "rules-1", {"metadata": {"annotations": {"note": "nothing new"}}}, place_of(1))
    world.see("the wrong one is told again, as one Event", uncounted(world, place_of(0), "rules-0"))
    never("a reload", lambda: differs("reloads", prometheus.reloads, before), during=4.0)
    require(inactive(prometheus, world.memory["expressions"]), "what is active")
    return Outcome(None, {"reloads": 0})


def revoked_and_healed(world: ExampleWorld) -> Outcome:
    """One namespace revoked: its rules stay, marked, while the rest goes on."""
    prometheus, expressions = prometheus_of(world), world.memory["expressions"]
    world.revoke(PLACES[1])
    words = f"{PLACES[1]}: may not list configmaps"
    told = world.see("an Event on the output says so", untold(world, world.home, OUTPUT, words), within=BOUND)
    require(differs("what is marked", unseen(world), [PLACES[1]]), "its rules are marked")
    changed = expressions | {2: "up + 200"}
    write(world, {2: "up + 200", 3: "up + 300"})
    others = world.see("the rest goes on", lambda: inactive(prometheus, changed), within=LOADED)
    world.see("it is told again, as one Event", uncounted(world, world.home, OUTPUT))
    since = world.allow(PLACES[1])
    took = world.see("it heals", lambda: inactive(prometheus, changed | {3: "up + 300"}), within=BOUND + LOADED,
                     since=since)  # fmt: skip
    require(differs("what is marked", unseen(world), []), "no mark is left")
    world.memory["expressions"] = changed | {3: "up + 300"}
    return Outcome(took, {"told after": told, "others after": others})


def told_after_a_crash(world: ExampleWorld) -> Outcome:
    """Killed between the write and the reload."""
    prometheus, expressions = prometheus_of(world), world.memory["expressions"]
    prometheus.refuses = True
    changed = expressions | {4: "up + 400"}
    write(world, {4: "up + 400"})
    eventually("the output is written", lambda: None if "400" in str(files(world)) else "not yet", within=LOADED)
    world.kill(world.operator)
    prometheus.refuses = False
    since = now()
    start(world, f"--keep-revoked={KEPT:g}")
    took = world.see("Prometheus is told after the restart", lambda: inactive(prometheus, changed),
                     within=LEASE_TIME + LOADED, since=since)  # fmt: skip
    world.memory["expressions"] = changed
    return Outcome(took)


def kept_until(world: ExampleWorld) -> Outcome:
    """The rules of a revoked namespace go when their time is over."""
    prometheus, expressions = prometheus_of(world), world.memory["expressions"]
    since = world.revoke(PLACES[1])
    rest = {number: expression for number, expression in expressions.items() if place_of(number) == PLACES[0]}
    took = world.see("its rules go after the time that is set", lambda: inactive(prometheus, rest),
                     within=BOUND + KEPT + LOADED, since=since)  # fmt: skip
    require(f"after {took:.1f} s" if took < KEPT else None, "not before")
    world.remove("namespaces", PLACES[0])
    world.see("those of a namespace that is gone go with it", lambda: inactive(prometheus, {}), within=3 * LOADED)
    return Outcome(took, {"kept for": KEPT})


def no_promtool(world: ExampleWorld) -> Outcome:
    """A missing promtool is one clear line, and nothing is written."""
    before = files(world)
    arguments = [f"--kubeconfig={world.account.kubeconfig}", "--promtool=/nowhere/promtool"]
    ended = subprocess.run(
        [sys.executable, "-m", "examples.rule_loader", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    said = ended.stderr.strip()
    require(differs("the exit status", ended.returncode, 2), said)
    require(differs("the lines", len(said.splitlines()), 1), said)
    require(None if "/nowhere/promtool is not there" in said else said, "it names promtool")
    require(differs("the output", files(world), before), "nothing lost")
    return Outcome(None, {"said": said.partition(": ")[2]})


ROWS = (
    Row("U5", "50 ConfigMaps changed at once, one of them wrong: 1-2 reloads, 49 groups active", LOADED, many_changes),
    Row("U5.same", "no change of rules: no reload", None, no_change),
    Row("U5.denied", "one namespace revoked: its last rules stay, marked; the rest goes on; heals", BOUND + LOADED,
        revoked_and_healed),
    Row("U5.crash", "killed between the write and the reload: Prometheus is told after the restart",
        LEASE_TIME + LOADED, told_after_a_crash),
    Row("U5.until", "what is kept of a revoked namespace goes in its time", BOUND + KEPT + LOADED, kept_until),
    Row("U5.bad", "a missing promtool: one clear line, nothing lost", None, no_promtool),
)  # fmt: skip
EXAMPLE = Example("rule_loader", PROGRAM, ROWS, told=("U5", "U5.denied"), apart=True)
