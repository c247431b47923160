"""Row U6: addresses of a pool, never one twice."""

from __future__ import annotations

from typing import Any

from examples.leifur.__main__ import PROGRAM

from ..clock import now
from ..observations import Manifest
from ..rows import Outcome, Row
from ..waiting import differs, eventually, first, never, require
from ..world import BOUND, CONVERGED
from .example import Example
from .world import LEASE_TIME, ExampleWorld, missing, uncounted, untold

SERVICES, CONFIG_MAPS = "services", "configmaps"
POOL, CLAIMS = "leifur-pool", "leifur-claims"
ONE, TWO = "198.51.100.1", "198.51.100.2"


def pool(world: ExampleWorld, *lines: str) -> None:
    """Say which addresses there are."""
    head = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": POOL}}
    world.apply({**head, "data": {"addresses": "\n".join(lines)}}, world.home)


def service(name: str, **spec: Any) -> Manifest:
    """Return a Service."""
    content = {"type": "LoadBalancer", "selector": {"app": name}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": content}


def addresses(world: ExampleWorld, *namespaces: str) -> dict[str, str]:
    """Return the addresses that Services show, by name."""
    found = {}
    for namespace in namespaces or ("shop", "bank"):
        for one in world.plane.list(SERVICES, namespace):
            for ingress in one.get("status", {}).get("loadBalancer", {}).get("ingress") or []:
                found[one["metadata"]["name"]] = str(ingress["ip"])
    return found


def shared(world: ExampleWorld) -> str | None:
    """Tell that two Services show one address."""
    found = list(addresses(world).values())
    return f"two have one address: {found}" if len(set(found)) < len(found) else None


def served(world: ExampleWorld, *names: str, of: tuple[str, ...] = (ONE, TWO)) -> str | None:
    """Tell that others than these are served, or not with these addresses."""
    found = addresses(world)
    return first(differs("who is served", sorted(found), sorted(names)),
                 differs("the addresses", sorted(found.values()), sorted(of)))  # fmt: skip


def killed_midway(world: ExampleWorld) -> Outcome:
    """U6."""
    world.namespace("shop", allowed=True)
    world.namespace("bank", allowed=True)
    pool(world, ONE, TWO)
    before_status(world)
    operator = world.start_operator()
    for name in ("a", "b", "c"):
        world.apply(service(name), "shop")
    eventually("an address is written down", missing(world, CONFIG_MAPS, CLAIMS, world.home), within=CONVERGED)
    world.kill(operator)
    require(differs("who was told", addresses(world), {}), "it was killed midway")
    world.plane.apply(world.rbac)
    since = now()
    world.start_operator()
    took = world.see("two of three are served", lambda: differs("served", len(addresses(world)), 2),
                     within=LEASE_TIME + BOUND, since=since)  # fmt: skip
    require(shared(world), "after the restart")
    (pending,) = {"a", "b", "c"} - set(addresses(world))
    world.see("the third is told that the pool is exhausted", untold(world, "shop", pending, POOL))
    pool(world, ONE, TWO, "")
    world.see("again, as one Event", uncounted(world, "shop", pending))
    never("an address twice", lambda: shared(world), during=3.0)
    world.memory["pending"] = pending
    return Outcome(took, {"pending": pending})


def before_status(world: ExampleWorld) -> None:
    """Let nobody be told for now: what is killed then has written its record and nothing else."""
    role = next(one for one in world.rbac if one["metadata"]["name"] == world.example.role_in_namespace)
    rules: list[Any] = [rule for rule in role["rules"] if rule["resources"] != ["services/status"]]
    world.plane.apply([{**role, "rules": rules}])


def freed(world: ExampleWorld) -> Outcome:
    """U6: freeing one serves the third."""
    pending = world.memory["pending"]
    gone = next(iter(addresses(world)))
    since = now()
    world.remove(SERVICES, gone, "shop")
    took = world.see("the third is served", lambda: None if pending in addresses(world) else "not served", since=since)
    require(shared(world), "no address twice")
    world.apply(service("d"), "bank")
    stays = addresses(world)
    since = now()
    world.patch(SERVICES, pending, {"spec": {"type": "ClusterIP"}}, "shop")
    world.see("a Service that wants none any more gives it back", lambda: None if "d" in addresses(world) else "kept",
              since=since)  # fmt: skip
    require(differs("the other", {**stays, **addresses(world)}, {**stays, **addresses(world)}), "undisturbed")
    require(shared(world), "no address twice")
    return Outcome(took)


def revoked_and_healed(world: ExampleWorld) -> Outcome:
    """One namespace denied: its addresses stay its own; the rest goes on."""
    before = addresses(world)
    world.revoke("bank")
    told = world.see("an Event on the pool says what is missing", untold(world, world.home, POOL, "bank: may not "),
                     within=BOUND)  # fmt: skip
    (other,) = set(before) - {"d"}
    world.apply(service("e"), "shop")
    world.see("others go on: no address is left", untold(world, "shop", "e", POOL))
    world.remove(SERVICES, other, "shop")
    took = world.see("and one that is freed is given", lambda: None if "e" in addresses(world) else "not served")
    require(differs("bank's address", addresses(world)["d"], before["d"]), "what cannot be seen keeps its address")
    world.remove(SERVICES, "d", "bank")
    world.apply(service("f"), "shop")
    never("an address that may still be in use is given", lambda: "it is" if "f" in addresses(world) else None,
          during=3.0)  # fmt: skip
    since = world.allow("bank")
    healed = world.see("it heals: what was freed is given",
                       lambda: None if "f" in addresses(world) else "unserved", within=BOUND, since=since)  # fmt: skip
    return Outcome(max(healed, took), {"told after": told, "healed after": healed})


def bad_pool(world: ExampleWorld) -> Outcome:
    """A pool that holds no addresses, or what is none: nobody loses one."""
    before = addresses(world)
    since = now()
    pool(world, ONE, "198.51.100.300")
    took = world.see("a line that is no address is told", untold(world, world.home, POOL, "198.51.100.300"),
                     since=since)  # fmt: skip
    pool(world, "198.51.100.300")
    world.see("again, as one Event", uncounted(world, world.home, POOL))
    pool(world)
    never("a Service loses its address", lambda: differs("the addresses", addresses(world), before), during=3.0)
    pool(world, ONE)
    (loser,) = (name for name, address in before.items() if address == TWO)
    others = {name: address for name, address in before.items() if name != loser}
    world.see("an address that leaves the pool is withdrawn", lambda: differs("them", addresses(world), others))
    pool(world, ONE, "2001:db8::1")
    world.see("and another one is given", lambda: differs("it", addresses(world).get(loser), "2001:db8::1"))
    return Outcome(took)


ROWS = (
    Row("U6", "3 Services, a pool of 2, killed midway: 2 distinct addresses, the third is told", LEASE_TIME + BOUND,
        killed_midway),
    Row("U6.freed", "an address that is freed serves the third, one that is given back the next", CONVERGED, freed),
    Row("U6.denied", "one namespace revoked: it keeps its addresses, the rest goes on, heals", BOUND,
        revoked_and_healed),
    Row("U6.bad", "a pool that holds no addresses, or a wrong line: told, nobody loses one", CONVERGED, bad_pool),
)  # fmt: skip
EXAMPLE = Example("leifur", PROGRAM, ROWS, told=("U6", "U6.freed"))
