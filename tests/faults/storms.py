"""Storms of RBAC changes: what was allowed when, and what an operator believed meanwhile.

Each storm changes rights, roles, accounts, namespaces or definitions in a place of its own, and notes what was true
from when on. A right that is told to be lost must have been away at some time within the bound before that (no false
tear-down); a read that is answered must have been allowed at some time within it (no read after the bound); and
afterwards what is true is what is believed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from math import inf
from random import Random
from typing import Any, Final

import attrs

from scopedcache import (
    GVK,
    AlreadyExistsError,
    Controller,
    Need,
    NotFoundError,
    ObjectKey,
    OwnerChanged,
    Request,
    ScopedCache,
    ScopedCacheError,
)
from scopedcache.cache import OwnerId
from scopedcache.kit import add_finalizer, new_object, remove_finalizer
from scopedcache.testing import Grant

from .servers import Embedded, Server

CONFIG_MAP: Final = "configmaps"
READ: Final = ("list", "watch")
ROLES: Final = "clusterroles.rbac.authorization.k8s.io"
DEFINITIONS: Final = "customresourcedefinitions.apiextensions.k8s.io"
BEAN: Final = "beans.storm.example.org"
PEA: Final = "peas.storm.example.org"
PEA_KIND: Final = GVK("storm.example.org", "v1", "Pea")
PEAS: Final = tuple(f"pea-{number}" for number in range(5))  # in each namespace that ends
ENDING: Final = 3
RBAC: Final = "rbac.authorization.k8s.io"
LOOK_SECONDS: Final = 0.05
# Longer than the bound, so that a change is noticed before the next one.
NOTICED_SECONDS: Final = 12.0
PLACES: Final = 300
# Places that were opened together are reviewed together at first, and spread over the period in some rounds.
SPREAD_SECONDS: Final = 60.0
# What a busy machine adds to every bound.
SLACK_SECONDS: Final = 3.0
RULE: Final = {"apiGroups": [""], "resources": [CONFIG_MAP], "verbs": list(READ)}


@attrs.define(eq=False)
class Place:
    """One namespace, and when what was allowed there: the newest last."""

    name: str
    kind: str = CONFIG_MAP
    truth: list[tuple[float, bool]] = attrs.field(factory=list)
    denied: list[float] = attrs.field(factory=list)
    served: list[float] = attrs.field(factory=list)
    refused: list[float] = attrs.field(factory=list)

    def ever(self, wanted: bool, since: float, until: float) -> bool:
        """Tell whether it was allowed (or not) at some time in a span."""
        ends = [*(at for at, _ in self.truth[1:]), inf]
        spans = zip(self.truth, ends, strict=True)
        return any(allowed is wanted and at <= until and end >= since for (at, allowed), end in spans)


@attrs.frozen
class Weather:
    """What came of a storm: how often rights changed, how often owners were told, and what was wrong."""

    name: str
    server: str
    changes: int
    told: int
    slowest: float
    wrong: Sequence[str]


class NotSoError(AssertionError):
    """What is true is not what is believed, and time enough has passed."""


class Storm:
    """An operator that holds one scope in each place, and an admin who does not make up their mind."""

    def __init__(self, server: Server, cache: ScopedCache, random: Random, count: int) -> None:
        self.server, self.cache, self.random, self.count = server, cache, random, count
        self.places: dict[str, Place] = {}

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def open(self, *names: str, need: Need | str = CONFIG_MAP, allowed: bool) -> list[Place]:
        """Hold a scope in each of these places."""
        kind = str(need.kind) if isinstance(need, Need) else need
        made = []
        for name in names:
            place = self.places[name] = Place(name, kind)
            place.truth.append((self.now(), allowed))
            made.append(place)
        await asyncio.gather(*(self._open(name, need) for name in names))
        return made

    async def _open(self, name: str, need: Need | str) -> None:
        owner = OwnerId(GVK("x.io", "v1", "W"), ObjectKey(name, "w"), f"uid-{name}")
        with suppress(ScopedCacheError):  # it waits
            await self.cache.open(owner, need, namespace=name)

    async def turn(self, allowed: bool, act: Callable[[], object], *places: Place) -> None:
        """Change what is allowed; while the change is under way both are true."""
        begun = self.now()
        await self.server.act(act)
        for place in places:
            place.truth.append((begun if allowed else self.now(), allowed))

    def told(self, change: OwnerChanged) -> None:
        """Note that an owner was told."""
        place = self.places.get(change.key.namespace)
        if place is not None and change.cause == "denied":
            place.denied.append(self.now())

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        remove = self.cache.subscribe(self.told)
        looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            looking.cancel()
            remove()

    async def _look(self) -> None:
        while True:
            readable = self._readable()
            for place in self.places.values():
                (place.served if place.name in readable else place.refused).append(self.now())
            await asyncio.sleep(LOOK_SECONDS * max(1, len(self.places) // 20))

    def _readable(self) -> set[str]:
        """Return the places that can be read now."""
        found = set()
        for name, scopes in self.cache.namespaces.items():
            with suppress(ScopedCacheError):
                for scope in scopes.values():
                    scope.list(self.places[name].kind)
                    found.add(name)
        return found

    async def forgets(self, names: Sequence[str], within: float = 60.0) -> None:
        """Wait until no owner has a scope in some namespaces, open or not."""
        start = self.now()
        while kept := [one for one in self.cache.snapshot().scopes if one.namespace in names and one.uid]:
            if self.now() - start > within:
                raise NotSoError(f"still kept: {kept[:3]}")
            await asyncio.sleep(LOOK_SECONDS)

    async def calm(self, within: float = 120.0) -> float:
        """Wait until what is true is what is believed, in all places; return the seconds that took."""
        start = self.now()
        while (readable := self._readable()) != (true := {n for n, one in self.places.items() if one.truth[-1][1]}):
            if self.now() - start > within:
                raise NotSoError(f"not as it is allowed: {sorted(readable ^ true)[:5]}")
            await asyncio.sleep(LOOK_SECONDS)
        return self.now() - start

    def wrong(self, bound: float) -> list[str]:
        """Return what was believed although it was not true."""
        found = []
        for place in self.places.values():
            for at in place.denied:
                if not place.ever(False, at - bound, at):
                    found.append(f"{place.name}: denied at {at:.1f}, allowed all the time")
            for at in place.served:
                if not place.ever(True, at - bound, at):
                    found.append(f"{place.name}: read at {at:.1f}, denied for more than {bound:.1f} s")
                    break
        return found


# -- the storms ------------------------------------------------------------------------------------------------------


async def toggles(storm: Storm, *, apart: float, times: int = 50) -> None:
    """Take a right and give it back, over and over."""
    await storm.server.act(lambda: storm.server.admin.create_namespace("toggled"))
    grant = await storm.server.act(lambda: storm.server.grant(READ, (CONFIG_MAP,), "toggled"))
    (place,) = await storm.open("toggled", allowed=True)
    for number in range(times):
        allowed = bool(number % 2)
        await storm.turn(allowed, grant.restore if allowed else grant.revoke, place)
        await asyncio.sleep(apart * storm.random.uniform(0.5, 1.5))


async def edits(storm: Storm) -> None:
    """Edit the rules of a ClusterRole that is bound in three places."""
    admin, names = storm.server.admin, ["edited-0", "edited-1", "edited-2"]

    def furnish() -> None:
        admin.create(role("storm-edited", [RULE]))
        for name in names:
            admin.create_namespace(name)
            admin.create(binding(name, "storm-edited", user(storm)))

    await storm.server.act(furnish)
    places = await storm.open(*names, allowed=True)
    for number in range(6):
        rules = [RULE] if number % 2 else []
        await storm.turn(bool(rules), lambda rules=rules: admin.patch(ROLES, "storm-edited", {"rules": rules}), *places)  # type: ignore[misc]
        await asyncio.sleep(storm.random.choice([0.3, 3.0, 12.0]))


async def aggregated(storm: Storm) -> None:
    """Let a part of an aggregated role come and go."""
    admin, label = storm.server.admin, {"storm": "part"}
    whole = {**role("storm-whole", []), "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": label}]}}

    def furnish() -> None:
        admin.create_namespace("aggregated")
        admin.create(whole)
        admin.create(role("storm-part", [RULE], labels=label))
        admin.create(binding("aggregated", "storm-whole", user(storm)))

    await storm.server.act(furnish)
    (place,) = await storm.open("aggregated", allowed=False)
    place.truth.append((storm.now(), True))
    await storm.calm()
    for number in range(4):
        on = bool(number % 2)
        patch = {"metadata": {"labels": {"storm": "part" if on else "apart"}}}
        await storm.turn(on, lambda patch=patch: admin.patch(ROLES, "storm-part", patch), place)  # type: ignore[misc]
        await asyncio.sleep(NOTICED_SECONDS)


async def by_group(storm: Storm) -> None:
    """Bind everybody who is authenticated, and take that back."""
    admin = storm.server.admin
    subject = {"kind": "Group", "apiGroup": RBAC, "name": "system:authenticated"}

    def furnish() -> None:
        admin.create_namespace("grouped")
        admin.create(role("storm-grouped", [RULE]))
        admin.create(binding("grouped", "storm-grouped", subject))

    await storm.server.act(furnish)
    (place,) = await storm.open("grouped", allowed=True)
    for number in range(4):
        if number % 2:
            await storm.turn(True, lambda: admin.create(binding("grouped", "storm-grouped", subject)), place)
        else:
            await storm.turn(False, lambda: admin.delete(f"rolebindings.{RBAC}", "storm-grouped", "grouped"), place)
        await asyncio.sleep(9.0)


async def single_verbs(storm: Storm) -> None:
    """Give one verb alone, then the other, then both, then others."""
    admin = storm.server.admin
    await storm.server.act(lambda: admin.create_namespace("verbs"))
    grant = await storm.server.act(lambda: storm.server.grant(READ, (CONFIG_MAP,), "verbs"))
    (place,) = await storm.open("verbs", allowed=True)
    for verbs in (("list",), ("watch",), READ, ("get",), ("get", *READ), ("watch",), READ):
        change = partial(grant.change, verbs=verbs, resources=(CONFIG_MAP,))
        await storm.turn(set(READ) <= set(verbs), change, place)
        await asyncio.sleep(9.0)


async def by_name(storm: Storm) -> None:
    """Give a kind by name: the one who needs that name may, who needs all of them may not."""
    admin = storm.server.admin
    for name in ("named", "unnamed"):
        await storm.server.act(lambda name=name: admin.create_namespace(name))  # type: ignore[misc]
        grant = await storm.server.act(lambda name=name: storm.server.grant(READ, (CONFIG_MAP,), name))  # type: ignore[misc]
        change = partial(grant.change, verbs=READ, resources=(CONFIG_MAP,), names=("one",))
        await storm.server.act(change)
        need = Need(CONFIG_MAP, name="one") if name == "named" else CONFIG_MAP
        (place,) = await storm.open(name, need=need, allowed=name == "named")
        await asyncio.sleep(2.0)
        if name == "named":
            other = partial(grant.change, verbs=READ, resources=(CONFIG_MAP,), names=("two",))
            await storm.turn(False, other, place)
            await asyncio.sleep(9.0)
            await storm.turn(True, change, place)


async def many(storm: Storm) -> None:
    """Take everything in many namespaces in one call, and give it back in another."""
    admin, names = storm.server.admin, [f"many-{number}" for number in range(storm.count)]

    def furnish() -> None:
        admin.create(role("storm-many", [RULE]))
        for name in names:
            admin.create_namespace(name)
            admin.create(binding(name, "storm-many", user(storm)))

    await storm.server.act(furnish)
    places = await storm.open(*names, allowed=True)
    await storm.calm()
    await asyncio.sleep(SPREAD_SECONDS)
    await storm.turn(False, lambda: admin.patch(ROLES, "storm-many", {"rules": []}), *places)
    await storm.calm()
    await storm.turn(True, lambda: admin.patch(ROLES, "storm-many", {"rules": [RULE]}), *places)


async def namespace_goes(storm: Storm) -> None:
    """Delete a namespace, make it again, and give the right there anew."""
    admin = storm.server.admin
    await storm.server.act(lambda: admin.create_namespace("gone"))
    await storm.server.act(lambda: storm.server.grant(READ, (CONFIG_MAP,), "gone"))
    (place,) = await storm.open("gone", allowed=True)
    place.truth.append((storm.now(), False))  # some time from now on
    place.truth.insert(-1, (storm.now(), True))
    await storm.server.act(lambda: admin.delete("namespaces", "gone"))
    while await storm.server.act(lambda: admin.get("namespaces", "gone")) is not None:
        place.truth[-1] = (storm.now(), False)
        await asyncio.sleep(0.2)
    await asyncio.sleep(9.0)
    await storm.server.act(lambda: admin.create_namespace("gone"))
    await storm.turn(True, lambda: storm.server.grant(READ, (CONFIG_MAP,), "gone"), place)


async def definition_goes(storm: Storm) -> None:
    """Delete the definition of a kind, and make it again with another version."""
    admin = storm.server.admin

    def furnish() -> None:
        admin.create_namespace("defined")
        admin.create(definition("v1"))
        storm.server.grant(READ, (BEAN,), "defined")

    await storm.server.act(furnish)
    await asyncio.sleep(2.0)
    (place,) = await storm.open("defined", need=BEAN, allowed=True)
    await storm.calm()
    for version in ("v2", "v1"):
        await storm.turn(False, lambda: admin.delete(DEFINITIONS, BEAN), place)
        while await storm.server.act(lambda: admin.get(DEFINITIONS, BEAN)) is not None:  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.2)
        await asyncio.sleep(5.0)
        await storm.turn(True, lambda version=version: admin.create(definition(version)), place)  # type: ignore[misc]
        await storm.calm()


async def namespaces_end(storm: Storm, *, owns: bool = False, taken: bool = False) -> None:
    """Delete namespaces with custom resources inside, all at once; each waits for a finalizer of the operator's.

    Bindings in a namespace go with it, in whatever order. What the operator may do to custom resources is bound for the
    whole cluster; `taken`: that is taken away too, and given back. Afterwards one of the namespaces is made again, and
    deleted again.
    """
    server, prefix = storm.server, "owned" if owns else "taken" if taken else "opened"
    names = [f"ending-{prefix}-{number}" for number in range(ENDING)]
    rights = await server.act(lambda: _furnish_peas(server, names))
    async with _peas(storm.cache, names, owns=owns):
        await _until(storm, lambda: _children(server, names) == len(names) * len(PEAS), "every child is made")
        places = [Place(name, truth=[(storm.now(), True)]) for name in names if not owns]
        storm.places |= {place.name: place for place in places}
        await storm.turn(False, lambda: [server.admin.delete("namespaces", name) for name in names], *places)
        if taken:
            await server.act(rights.revoke)
            await asyncio.sleep(NOTICED_SECONDS)
            await server.act(rights.restore)
        await _end(storm, names)
        await storm.turn(True, lambda: _furnish_namespace(server, names[0]), *places[:1])
        await _until(storm, lambda: _children(server, names) == len(PEAS), "every child is made again")
        await storm.calm()
        await storm.turn(False, lambda: server.admin.delete("namespaces", names[0]), *places[:1])
        await _end(storm, names)
    await server.act(rights.revoke)


async def _end(storm: Storm, names: Sequence[str]) -> None:
    """Wait until namespaces are gone, and nothing is kept of them."""
    admin = storm.server.admin
    await _until(storm, lambda: not any(admin.get("namespaces", name) for name in names), "they are gone")
    await storm.forgets(names)


@asynccontextmanager
async def _peas(cache: ScopedCache, names: Sequence[str], *, owns: bool) -> AsyncIterator[None]:
    """Run a controller that makes a child for each custom resource, and keeps a finalizer there."""

    async def reconcile(request: Request) -> None:
        pea = cache.cluster.get(PEA_KIND, request.key)
        if pea is None:
            return
        if pea.deletion_timestamp:
            await remove_finalizer(cache.client, pea, "storm.example.org/held")
            return
        if not owns:
            await cache.open(pea, CONFIG_MAP)
        held = await add_finalizer(cache.client, pea, "storm.example.org/held")
        with suppress(AlreadyExistsError):
            await cache.client.create(new_object(GVK("", "v1", "ConfigMap"), pea.name, pea.namespace, owner=held))

    where: Any = {"owns": (CONFIG_MAP,), "namespaces": tuple(names)} if owns else {}
    controller = Controller(for_=PEA_KIND, reconcile=reconcile, workers=4, **where)
    running = asyncio.create_task(controller.run(cache))
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


def _furnish_peas(server: Server, names: Sequence[str]) -> Grant:
    """Make everything, and return the right to the custom resources."""
    with suppress(AlreadyExistsError):
        server.admin.create(definition("v1", PEA, "Pea"))
    right = server.admin.grant(server.operator, (*READ, "patch"), (PEA,))
    for name in names:
        _furnish_namespace(server, name)
    return right


def _furnish_namespace(server: Server, name: str) -> None:
    server.admin.create_namespace(name)
    server.grant((*READ, "create"), (CONFIG_MAP,), name)
    for pea in PEAS:
        body = {"apiVersion": "storm.example.org/v1", "kind": "Pea", "metadata": {"name": pea, "namespace": name}}
        server.admin.wait_for(partial(_created, server, body), what=f"{PEA} to be served")  # not at once


def _created(server: Server, body: dict[str, Any]) -> bool:
    with suppress(NotFoundError):
        return bool(server.admin.create(body))
    return False


def _children(server: Server, names: Sequence[str]) -> int:
    """Return how many children of custom resources there are."""
    found = [one["metadata"] for name in names for one in server.admin.list(CONFIG_MAP, name)]
    return sum(one["name"] in PEAS and "deletionTimestamp" not in one for one in found)


async def _until(storm: Storm, true: Callable[[], bool], what: str, within: float = 90.0) -> None:
    start = storm.now()
    while not await storm.server.act(true):
        if storm.now() - start > within:
            raise NotSoError(f"not so after {within:g} s: {what}")
        await asyncio.sleep(0.2)


def user(storm: Storm) -> dict[str, str]:
    return {"kind": "User", "apiGroup": RBAC, "name": storm.server.operator.username}


def role(name: str, rules: Sequence[Any], **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name, **metadata}, "rules": rules}


def binding(namespace: str, name: str, subject: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
        "subjects": [subject],
    }


def definition(version: str, resource: str = BEAN, kind: str = "Bean") -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    plural, _, group = resource.partition(".")
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": resource},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "conversion": {"strategy": "None"},
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
        },
    }


STORMS: Final[dict[str, Callable[[Storm], Awaitable[None]]]] = {
    "50 toggles, one a second": partial(toggles, apart=1.0),
    "50 toggles, ten a second": partial(toggles, apart=0.1),
    "the rules of a ClusterRole edited, bound in three places": edits,
    "a part of an aggregated role comes and goes": aggregated,
    "a binding of a group": by_group,
    "only list, only watch, both, get": single_verbs,
    "resourceNames": by_name,
    "300 namespaces taken and given in one call each": many,
    "a namespace deleted and made again": namespace_goes,
    "three namespaces deleted with custom resources and finalizers in them": namespaces_end,
    "the same, children watched by owns=": partial(namespaces_end, owns=True),
    "the same, the right to custom resources taken for 12 s": partial(namespaces_end, taken=True),
    "a definition deleted, and made again with another version": definition_goes,
}


async def weather(server: Server, name: str, *, seed: int = 0, count: int = PLACES) -> Weather:
    """Let one storm pass over an operator; `count`: over so many namespaces, where it is one of many."""
    random = Random(seed)
    async with server.client() as client, ScopedCache(client, rbac_watch=False, chance=random.random) as cache:
        storm = Storm(server, cache, random, count)
        async with storm.watched():
            try:
                await STORMS[name](storm)
                # The longest bound there was: after trouble, and for all the places.
                bound = cache.bound + 2.0 + (0.0 if isinstance(server, Embedded) else SLACK_SECONDS)
                bound += UNSERVED_SECONDS if name in UNSERVED else 0.0
                slowest = await storm.calm()
                await asyncio.sleep(bound)
                await storm.calm()
            except NotSoError as error:
                return Weather(name, server.name, 0, 0, 0.0, [str(error)])
        places = storm.places.values()
        return Weather(
            name,
            server.name,
            sum(len(place.truth) - 1 for place in places),
            sum(len(place.denied) for place in places),
            slowest,
            storm.wrong(bound),
        )


# That a kind is not served says its next watch, or its list, after a pause; no bound is promised for it.
UNSERVED: Final = frozenset({"a definition deleted, and made again with another version"})
UNSERVED_SECONDS: Final = 60.0
