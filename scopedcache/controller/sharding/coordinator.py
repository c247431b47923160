"""Takes part in the sharing of the work: keeps this replica's Lease, and reads and writes the partition as `replica.py`
decides.

Whatever the API server answers ends no process: a round that fails is one in which nothing changes hands. A replica
that can neither renew its Lease nor read the partition stops its work at the renew deadline; two fences in front of the
client see to it that nothing is written after that, whatever runs on.

One list of Leases and one renewal each retry period: one request a second, with the defaults. While something changes
hands, a round comes four times as often.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from ... import metrics
from ...api.shard_support import filters_shards
from ...clock import boot_time, wall_time
from ...errors import AlreadyExistsError, ConflictError, NotFoundError, ScopedCacheError, TransportError
from ...event_logger import event_logger
from ...hash_ranges import HashRange, ring_hash
from ...kinds import GVK
from ...objects import Object
from ..log_words import without_numbers
from ..manager.election_rules import JITTER_FRACTION, LeaseRecord, micro_time
from ..manager.leader_elector import LeaderElector, default_identity
from ..manager.write_fence import WriteFence, unfenced
from .members import GENERATION_ANNOTATION, OBJECTS_ANNOTATION, Member, Members
from .partition import Partition, UnreadablePartitionError, Weights
from .replica import Replica, Round
from .settings import Sharding
from .shard import Shard

if TYPE_CHECKING:
    from ...api import Client

logger: Final = event_logger("scopedcache.controller")

LEASE: Final = GVK("coordination.k8s.io", "v1", "Lease")
PARTITION_LABEL: Final = "sharding.scopedcache.dev/partition"
PARTITION_ANNOTATION: Final = "sharding.scopedcache.dev/partition"
REPLICA_ANNOTATION: Final = "sharding.scopedcache.dev/replica"
# What a release without sharding finds in the Lease that it competes for, if it has the name of ours: somebody leads.
HOLDER: Final = "replicas-that-share-the-work"
FOR_EVER_SECONDS: Final = 2**31 - 1
# Of the retry period: how soon to look again while something changes hands.
MOVING_FRACTION: Final = 0.25
# How often the server is asked whether it knows shards, if nothing has happened to the connection.
ASK_SERVER_SECONDS: Final = 600.0
# Lease durations after which the Lease of a replica that is gone is deleted.
KEPT_DURATIONS: Final = 10
# How long a replica that ends waits for others to be ready to take its part.
HANDOVER_SECONDS: Final = 8.0
FAILURES_AT_MOST: Final = 1
SHOWN_PARTS: Final = 64


class Coordinator:
    """Drives one replica over a client; belongs to the running loop.

    Args:
        shard: what is set to what is ours.
        count: how many primaries are held.
        weigh: counts where all primaries lie.
        is_idle: tells whether no run is under way in a range.
        complete: tells whether the caches hold all that is shown.
    """

    def __init__(
        self,
        client: Client,
        sharding: Sharding,
        shard: Shard,
        *,
        count: Callable[[], int],
        weigh: Callable[[], Awaitable[Weights]],
        is_idle: Callable[[HashRange], bool],
        complete: Callable[[], bool],
        instrumentation: metrics.Instrumentation = metrics.NULL,
        chance: Callable[[], float] = random.random,
        wall: Callable[[], datetime] = wall_time,
        timer: Callable[[], float] = boot_time,
    ) -> None:
        self.identity: Final = sharding.identity or default_identity()
        self.fences: Final = (WriteFence(timer=timer), WriteFence(timer=timer), shard)
        self.server_filters: bool | None = None
        self.reason: str | None = None  # why nothing can be shared out here
        self._client = client
        self._sharding = sharding
        self._shard = shard
        self._count = count
        self._weigh = weigh
        self._is_idle = is_idle
        self._complete = complete
        self._chance = chance
        self._wall = wall
        self._now = timer
        self._own_lease = f"{sharding.name}-{ring_hash(self.identity):016x}"
        self._labels = {PARTITION_LABEL: label_of(sharding.name)}
        self._replica = Replica(self.identity, patience=sharding.lease_duration)
        self._members = Members(sharding.lease_duration)
        self._elector = LeaderElector(
            client,
            sharding.election(self._own_lease, self.identity),
            instrumentation=instrumentation,
            chance=chance,
            wall=wall,
            timer=timer,
            fence=self.fences[0],
            labels=self._labels,
            annotations=self._told,
        )
        self._read_fence = self.fences[1]
        self._lease: Object | None = None  # of the partition, as seen last
        self._strangers: tuple[LeaseRecord, float] | None = None  # whose that Lease was, before it became ours
        self._attempted: str | None = None  # what was written last, and is not known to have arrived
        self._read = float("-inf")  # when the list was sent that was answered last
        self._asked_server = float("-inf")
        self._failures = 0
        self._leaving = False
        self._nudge = asyncio.Event()

    # -- its life ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Share the work until cancelled."""
        while True:
            await self._elector.acquire()
            holding = asyncio.create_task(self._elector.hold(), name="hold")
            rounds = asyncio.create_task(self._rounds(), name="rounds")
            try:
                await asyncio.wait({holding, rounds}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (holding, rounds):
                    task.cancel()
                await asyncio.gather(holding, rounds, return_exceptions=True)
            self._lapse()
            error = None if rounds.cancelled() else rounds.exception()
            if error is None:
                logger.warning("shard.lapsed", extra=self._fields)
            else:  # ours: nothing is done until a round succeeds
                logger.error("shard.failed", extra=self._fields, exc_info=error)
                await asyncio.sleep(self._sharding.retry_period)

    async def leave(self) -> None:
        """Have others get ready for our part, and hand it over as they are; some seconds at most."""
        self._leaving = True
        self._nudge.set()
        loop = asyncio.get_running_loop()
        end = loop.time() + HANDOVER_SECONDS
        while self._replica.writable and self._others and loop.time() < end:  # noqa: ASYNC110 - a round tells, by then
            await asyncio.sleep(self._sharding.retry_period * MOVING_FRACTION)

    async def release(self) -> None:
        """Give up what is still ours, and our Lease. Best effort, a few seconds at most."""
        for fence in self.fences[:2]:
            fence.close()
        had = self._replica.writable
        self._lapse()
        try:
            with unfenced():
                async with asyncio.timeout(self._sharding.retry_period):
                    if had:
                        await self._look()
                        await self._write(self._replica.given_up())
        except (ScopedCacheError, TimeoutError) as error:
            logger.warning("shard.not_released", extra={**self._fields, "error": str(error)})
        await self._elector.release()
        await self._delete_lease(self._own_lease)

    @property
    def active(self) -> bool:
        """Tell whether this process works on something now."""
        return bool(self._replica.writable)

    def state(self) -> dict[str, Any]:
        """Return who works on what, as plain data."""
        partition = self._replica.partition
        there = sorted(self._members.there(self._read))
        return {
            "partition": f"{self._sharding.namespace}/{self._sharding.name}",
            "generation": partition.generation if partition is not None else None,
            "identity": self.identity,
            "replicas": there,
            "objects": self._count(),
            "parts": [
                {"from": f"{range_.start:#018x}", "to": f"{range_.end:#018x}", "state": state}
                for range_, state in self._replica.states()[:SHOWN_PARTS]
            ],
            "server_filters": self.server_filters and self._shard.filter.refused is None,
            "error": self.reason or self._shard.filter.refused,
        }

    # -- rounds --------------------------------------------------------------------------------------------------

    async def _rounds(self) -> None:
        while True:
            await self._attempt()
            pause = self._sharding.retry_period
            if self._replica.is_moving or self._leaving:
                pause *= MOVING_FRACTION
            else:
                pause *= 1 + JITTER_FRACTION * self._chance()
            self._nudge.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._nudge.wait()
            except TimeoutError:
                pass

    async def _attempt(self) -> None:
        """Go through one round; one that fails, or takes too long, changes nothing."""
        sent = self._now()
        left = max(0.0, max(sent, self._read) + self._sharding.renew_deadline - sent)
        try:
            async with asyncio.timeout(left):
                await self._round()
        except (ScopedCacheError, TimeoutError) as error:
            self._note_failure(error)
        else:
            self._failures = 0
        if self._now() >= self._read + self._sharding.renew_deadline:
            self._lapse()

    async def _round(self) -> None:
        with unfenced():
            await self._ask_server()
            await self._look()
            partition = self._replica.partition
            if partition is None or self._lease is None:
                return
            round_ = self._round_now()
            weights = None
            if self._replica.must_count(round_, self._members.objects(round_.there)):
                weights = await self._weights()
            changed = self._replica.next(round_, weights)
            if changed is not None:
                self._apply()
                await self._write(changed)
            await self._tidy(round_)

    def _round_now(self) -> Round:
        alive, there = self._members.alive(self._read), self._members.there(self._read)
        return Round(
            now=self._read,
            alive=alive | {self.identity},
            there=there | {self.identity},
            synced=self._complete(),
            leaving=self._leaving,
            is_idle=self._is_idle,
        )

    async def _look(self) -> None:
        """Read all Leases, and take note of them.

        What is judged is judged as of when the list was sent: a process that was suspended since knows no more.
        """
        sent = self._now()
        leases = await self._client.list(LEASE, namespace=self._sharding.namespace, labels=self._labels)
        answered = self._now()
        members: dict[str, Member] = {}
        self._lease = None
        for lease in leases.items:
            if lease.name == self._sharding.name:
                self._lease = lease
            elif name := lease.annotations.get(REPLICA_ANNOTATION):
                members[name] = _member(lease)
        if self._lease is None:
            await self._begin(members)
        if self._lease is not None:
            self._take_in(self._lease, answered)
        partition = self._replica.partition
        self._members.observe(members, partition.replicas if partition is not None else (), answered)
        self._read = sent
        self._read_fence.open_until(sent + self._sharding.renew_deadline)
        self._apply()

    def _take_in(self, lease: Object, now: float) -> None:
        text = lease.annotations.get(PARTITION_ANNOTATION, "")
        try:
            partition = Partition.parse(text)
        except UnreadablePartitionError as error:
            self._replica.lose_all()
            self._refuse(f"{error}: nobody works until it is as it was, or deleted (the replicas write it anew then)")
            self._lease = None
            return
        if text == self._attempted:
            self._replica.written(partition, now)
        else:
            self._replica.observe(partition, now)
        self._attempted = None
        self.reason = None

    async def _begin(self, members: Mapping[str, Member]) -> None:
        """Write the partition where there is none: as it was seen last, or the first one."""
        known = self._replica.partition
        if known is None and any(member.generation for member in members.values()):
            return  # deleted: those who know it write it anew
        first = Partition() if known is None else known.changed(known.parts)
        try:
            self._lease = await self._client.create(self._manifest(first, None))
        except AlreadyExistsError:
            await self._convert(first)

    async def _convert(self, first: Partition) -> None:
        """Make the Lease ours that a release without sharding led by, once nobody does."""
        try:
            lease = await self._client.get(LEASE, self._sharding.name, namespace=self._sharding.namespace)
        except NotFoundError:
            return
        if lease.labels.get(PARTITION_LABEL):
            return  # another replica was faster
        record, now = LeaseRecord.of(lease), self._now()
        if self._strangers is None or self._strangers[0] != record:
            self._strangers = record, now
        if record.holder and now < self._strangers[1] + record.duration:
            self._refuse(f"it is held by {record.holder}, of a release that does not share its work")
            return
        self._lease = await self._client.update(self._manifest(first, lease.resource_version))

    async def _write(self, partition: Partition) -> None:
        lease = self._lease
        if lease is None:
            return
        self._attempted = str(partition)
        try:
            self._lease = await self._client.update(self._manifest(partition, lease.resource_version))
        except ConflictError:
            self._attempted = None
            self._nudge.set()
            return
        self._attempted = None
        before = self._replica.writable
        self._replica.written(partition, self._now())
        if self._replica.writable != before:
            logger.info("shard.changed", extra={**self._fields, "ranges": len(self._replica.writable.ranges)})
        self._apply()

    def _apply(self) -> None:
        replica = self._replica
        self._shard.set(replica.shown, replica.worked_on, replica.writable)

    def _lapse(self) -> None:
        self._replica.lapse()
        self._apply()

    async def _weights(self) -> Weights:
        """Count where objects lie; where that cannot be done the ring is cut evenly, which is worse and no more."""
        try:
            return await self._weigh()
        except ScopedCacheError as error:
            logger.warning("shard.not_counted", extra={**self._fields, "error": str(error)})
            return {}

    async def _tidy(self, round_: Round) -> None:
        """Delete the Leases of replicas that are long gone, if it is our turn."""
        if min(round_.there) != self.identity:
            return
        kept = KEPT_DURATIONS * self._sharding.lease_duration
        for name in self._members.ended(round_.now, kept):
            await self._delete_lease(f"{self._sharding.name}-{ring_hash(name):016x}")

    async def _delete_lease(self, name: str) -> None:
        try:
            with unfenced():
                async with asyncio.timeout(self._sharding.retry_period):
                    await self._client.delete(LEASE, name, namespace=self._sharding.namespace)
        except NotFoundError:
            pass
        except (ScopedCacheError, TimeoutError) as error:
            logger.info("shard.lease_left", extra={**self._fields, "lease": name, "error": str(error)})

    # -- the server's part ---------------------------------------------------------------------------------------

    async def _ask_server(self) -> None:
        """Ask whether the server leaves out what lies outside a shard, now and then and after trouble."""
        now = self._now()
        if now < self._asked_server + ASK_SERVER_SECONDS:
            return
        knows = await filters_shards(self._client, LEASE, namespace=self._sharding.namespace)
        self._asked_server = now
        if knows != self.server_filters:
            self.server_filters = self._shard.filter.asks_server = knows
            logger.info("shard.server_asked", extra={**self._fields, "filters": knows})

    # -- what is written and told --------------------------------------------------------------------------------

    @property
    def _others(self) -> set[str]:
        partition = self._replica.partition
        leaving = set(partition.leaving) if partition is not None else set()
        return self._members.there(self._read) - leaving - {self.identity}

    def _told(self) -> dict[str, str]:
        partition = self._replica.partition
        return {
            REPLICA_ANNOTATION: self.identity,
            OBJECTS_ANNOTATION: str(self._count()),
            GENERATION_ANNOTATION: str(partition.generation if partition is not None else 0),
        }

    def _manifest(self, partition: Partition, version: str | None) -> dict[str, Any]:
        metadata: dict[str, Any] = {
            "name": self._sharding.name,
            "namespace": self._sharding.namespace,
            "labels": self._labels,
            "annotations": {PARTITION_ANNOTATION: str(partition)},
        }
        if version is not None:
            metadata["resourceVersion"] = version
        stamp = micro_time(self._wall())
        spec = {"holderIdentity": HOLDER, "leaseDurationSeconds": FOR_EVER_SECONDS, "renewTime": stamp}
        return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": spec}

    def _refuse(self, why: str) -> None:
        reason = f"cannot share the work by Lease {self._sharding.namespace}/{self._sharding.name}: {why}"
        if reason != self.reason:
            self.reason = reason
            logger.error("shard.refused", extra={**self._fields, "error": why})

    def _note_failure(self, error: BaseException) -> None:
        if isinstance(error, TransportError | TimeoutError):
            self._asked_server = float("-inf")  # it may be another server that answers next
        self._failures += 1
        words = f"{type(error).__name__}: {error}"
        reason = f"cannot share the work by Lease {self._sharding.namespace}/{self._sharding.name}: {words}"
        if self._failures > FAILURES_AT_MOST and without_numbers(reason) != without_numbers(self.reason or ""):
            self.reason = reason
            logger.warning("shard.round_failed", extra={**self._fields, "error": words})

    @property
    def _fields(self) -> dict[str, str]:
        return {"lease": self._sharding.name, "namespace": self._sharding.namespace, "identity": self.identity}


def label_of(name: str) -> str:
    """Return a partition's name as the value of a label, which has 63 characters."""
    return name if len(name) <= 63 else f"{name[:40]}-{ring_hash(name):016x}"


def _member(lease: Object) -> Member:
    annotations = lease.annotations
    return Member(
        LeaseRecord.of(lease),
        objects=_count(annotations.get(OBJECTS_ANNOTATION, "")),
        generation=_count(annotations.get(GENERATION_ANNOTATION, "")),
    )


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0
