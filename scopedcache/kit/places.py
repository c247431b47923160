"""One owner at work in many namespaces: what may be done is done, what may not is named, and heals.

places = await in_each(cache, owner, [Need(SECRET, verbs=("create",))], namespaces, copy_into)
await patch_status(client, owner, {"conditions": places.condition(owner)})
places.check()
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from math import inf
from typing import Any, Final, Generic, TypeVar

import attrs

from ..cache import ResourceCache, ScopedCache
from ..controller import Cluster
from ..controller.outcome import leaves_of
from ..controller.reporting.conditions import Condition, set_condition
from ..controller.reporting.event_recorder import EventRecorder
from ..errors import ForbiddenError
from ..identity import as_whom
from ..kinds import Kind
from ..needs import Need
from ..objects import Object
from .cluster_places import ClusterPlaces, split

T = TypeVar("T")
V = TypeVar("V")
Work = Callable[[ResourceCache], Awaitable[T]]

# As many requests at a time as a worker of the server's flow control gives to one client without making it wait.
AT_ONCE: Final = 16
# To open a thousand namespaces takes seconds. Half of a reconcile's deadline: what takes longer is told of when it is
# there, and each time that costs a run over all of them.
SYNC_TIMEOUT_SECONDS: Final = 15.0
# Where none has come for so long, those that are left are in trouble, and the run need not wait for them.
QUIET_SECONDS: Final = 1.0
# A server that falls silent in the middle of some work must not hold what is done elsewhere.
ELSEWHERE_SECONDS: Final = 10.0
# Of many namespaces that failed, so many are named.
NAMED_FAILURES: Final = 5
PERMITTED: Final = "Permitted"
FORBIDDEN: Final = "Forbidden"


@attrs.frozen
class Places(Generic[T]):
    """What became of some work in each of many namespaces.

    Attributes:
        done: what the work returned.
        denied: where a right is missing: which. The owner is told when it is there.
        failed: what else was raised. `check` raises it.
    """

    done: Mapping[str, T]
    denied: Mapping[str, ForbiddenError]
    failed: Mapping[str, Exception] = attrs.field(factory=dict)

    @property
    def message(self) -> str:
        """Return what is missing where, in words: `app: may not list secrets`; nothing where nothing is missing."""
        return "; ".join(f"{name}: {_words(name, error)}" for name, error in sorted(self.denied.items()))

    @property
    def failures(self) -> str:
        """Return what failed otherwise, in words: `app: …`, of the first namespaces; nothing where nothing did."""
        first = sorted(self.failed)[:NAMED_FAILURES]
        told = [f"{name}: {', '.join(map(str, leaves_of(self.failed[name])))}" for name in first]
        more = [f"and {len(self.failed) - len(first)} more"] if len(self.failed) > len(first) else []
        return "; ".join([*told, *more])

    def condition(
        self, owner: Object, type: str = PERMITTED, *, reason: str = FORBIDDEN, otherwise: str = PERMITTED
    ) -> list[Condition]:
        """Return the owner's conditions with one that names what is missing: False, or True where nothing is.

        Plain: it writes nothing. `reason` goes with False, `otherwise` with True.
        """
        return set_condition(
            owner.at("status", "conditions"),
            type,
            not self.denied,
            reason if self.denied else otherwise,
            self.message,
            observed_generation=owner.generation or None,
        )

    def record(self, recorder: EventRecorder, owner: Object, *, reason: str = FORBIDDEN) -> None:
        """Say it in a Warning Event, where something is missing: for a kind without conditions."""
        if self.denied:
            recorder.record(owner, reason, self.message, type="Warning")

    def among(self, namespaces: Iterable[str]) -> Places[T]:
        """Return what became of it in these alone: where a denial is worth a word, for one."""
        names = set(namespaces)

        def chosen(mapping: Mapping[str, V]) -> dict[str, V]:
            return {name: value for name, value in mapping.items() if name in names}

        return Places(chosen(self.done), chosen(self.denied), chosen(self.failed))

    def check(self) -> None:
        """Raise what failed otherwise than for want of a right, so that it is tried again.

        Raises:
            ExceptionGroup: of all that was raised, each with the namespace as a note.
        """
        if self.failed:
            names = sorted(self.failed)
            more = f" and {len(names) - NAMED_FAILURES} more" if len(names) > NAMED_FAILURES else ""
            raise ExceptionGroup(f"failed in {', '.join(names[:NAMED_FAILURES])}{more}", list(self.failed.values()))


async def in_each(
    cache: ScopedCache,
    owner: Object,
    needs: Iterable[Kind | Need],
    namespaces: Iterable[str],
    work: Work[T],
    *,
    at_once: int = AT_ONCE,
    exclusive: bool = True,
    sync_timeout: float = SYNC_TIMEOUT_SECONDS,
    clusters: Mapping[str, Cluster] | None = None,
) -> Places[T]:
    """Open what an owner needs in each namespace and do some work there; one that is denied delays no other.

    `work` is given the ResourceCache of a namespace. It runs where every declared right is there, in so many namespaces
    at the same time. What it raises concerns its own namespace alone. Where a right is missing, the owner is told when
    it is granted, as where `open` raised it. Returns when every namespace has had its turn.

    Args:
        at_once: in how many namespaces the work may run at the same time.
        exclusive: what the owner has open in other namespaces, its own apart, is closed.
        sync_timeout: seconds for which namespaces are waited for that are being opened, as long as one comes each
            second. The work of others does not wait.
        clusters: those of the manager: `east/app` is the namespace `app` of its cluster `east`. Where that is not
            there, or does not answer, the place has failed with a NotSyncedError.

    Raises:
        ValueError: `at_once` is less than 1.
    """

    async def in_scope(_: str, scope: ResourceCache) -> T:
        return await work(scope)

    places = ClusterPlaces(cache, clusters)
    return await work_in_each(
        places, owner, needs, namespaces, in_scope, at_once=at_once, exclusive=exclusive, sync_timeout=sync_timeout
    )


async def work_in_each(
    places: ClusterPlaces,
    owner: Object,
    needs: Iterable[Kind | Need],
    names: Iterable[str],
    work: Callable[[str, ResourceCache], Awaitable[T]],
    *,
    at_once: int = AT_ONCE,
    exclusive: bool = True,
    sync_timeout: float = SYNC_TIMEOUT_SECONDS,
) -> Places[T]:
    """Do what `in_each` does; the work is given the name of the place too."""
    if at_once < 1:
        raise ValueError(f"at_once= is at least 1, not {at_once}")
    names, wanted = list(dict.fromkeys(names)), list(needs)
    if exclusive:
        _close_others(places, owner, names)
    done: dict[str, T] = {}
    denied: dict[str, ForbiddenError] = {}
    failed: dict[str, Exception] = {}
    turn = asyncio.Semaphore(at_once)
    opening = _Opening()

    async def visit(name: str) -> None:
        try:
            cache, namespace = places.find(name)
            scope = await opening.wait(
                lambda patience: cache.open(owner, *wanted, namespace=namespace, sync_timeout=patience)
            )
            scope.check()
            async with turn, asyncio.timeout(None if cache is places.home else ELSEWHERE_SECONDS):
                done[name] = await work(name, scope)
        except ForbiddenError as error:
            if error.by == "admission":
                failed[name] = _noted(error, name)
            else:
                denied[name] = error
                cache.await_grant(owner, error)
        except Exception as error:
            failed[name] = _noted(error, name)

    async with asyncio.TaskGroup() as group:
        visits = [group.create_task(visit(name)) for name in names]
        watching = asyncio.create_task(opening.give_up_in_time(sync_timeout))
        try:
            if visits:
                await asyncio.wait(visits)
        finally:
            watching.cancel()
    return Places(_in_order(names, done), _in_order(names, denied), _in_order(names, failed))


def _close_others(places: ClusterPlaces, owner: Object, names: Iterable[str]) -> None:
    kept: dict[str, list[str]] = {}
    for cluster, namespace in map(split, names):
        kept.setdefault(cluster, []).append(namespace)
    for cluster, cache in places.caches():
        cache.close_others(owner, keep=kept.get(cluster, ()))


class _Opening:
    """The namespaces that are being opened: they are waited for while one after the other comes."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._given_up: set[asyncio.Task[Any]] = set()
        self._opened = 0

    async def wait(self, open: Callable[[float], Awaitable[ResourceCache]]) -> ResourceCache:
        """Wait for a namespace, until it is given up; `open` then says that it takes longer, and its owner is told."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            return await open(inf)
        except asyncio.CancelledError:
            if task not in self._given_up or task.uncancel():
                raise
            return await open(0.0)
        finally:
            self._tasks.discard(task)
            self._opened += 1

    async def give_up_in_time(self, limit: float) -> None:
        """Wait until none has come for a while, or for so many seconds, and give up all that are not there."""
        loop = asyncio.get_running_loop()
        end, before = loop.time() + limit, -1
        while loop.time() < end and self._opened != before:
            before = self._opened
            await asyncio.sleep(min(QUIET_SECONDS, limit))
        for task in list(self._tasks):
            self._given_up.add(task)
            task.cancel()


def _in_order(names: Iterable[str], found: Mapping[str, T]) -> dict[str, T]:
    return {name: found[name] for name in names if name in found}


def _noted(error: Exception, namespace: str) -> Exception:
    error.add_note(f"in namespace {namespace}")
    return error


def _words(place: str, error: ForbiddenError) -> str:
    """Return `may not list secrets, watch secrets as alice`: the place is said already, unless it is another one."""
    whom, (_, namespace) = as_whom(error.identity), split(place)
    subjects = [subject.removesuffix(whom).removesuffix(f" in namespace {namespace}") for subject in error.subjects]
    return "may not " + ", ".join(subjects) + whom
