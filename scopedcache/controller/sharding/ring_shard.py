"""This process as one shard of a ring: its Lease, what is assigned to it, and how that is handed over.

As kubernetes-controller-sharding asks of a shard (docs/implement-sharding.md there):

- It keeps a Lease that is labelled with its ring, has its name, and is held under that name. It works for as long as it
  holds that, and stops at the renew deadline. The elector of leader election does all of this. An annotation of our own
  says which process it is: of two that were given one name, one waits.
- It watches what carries its label. What stops doing so arrives as DELETED and was not deleted (`label_shard.py`).
- An object that carries the drain label is let go by a patch that takes away both labels, once no run for it is under
  way: from then on it is another's. The patch names the version it was decided at, so that nothing newer is undone.

Labels are anybody's to edit. An object whose label changes while a run for it is under way is another's at once; what
that run still writes is refused here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from ... import metrics
from ...api.request_info import RequestInfo
from ...clock import boot_time
from ...errors import ConfigurationError, ConflictError, NotFoundError, NotLeaderError, ScopedCacheError
from ...event_logger import event_logger
from ...informer.label_shard import LabelShard
from ...kinds import ObjectKey, Resource
from ...objects import Object
from ..log_words import without_numbers
from ..manager.election_rules import LeaseRecord
from ..manager.leader_elector import LeaderElector, default_identity
from ..manager.leader_fence import is_fenced
from ..manager.write_fence import WriteFence
from ..reconcile_run import CURRENT_RUN
from .controller_ring import RING_LABEL, ControllerRing

if TYPE_CHECKING:
    from ...api import Client

logger: Final = event_logger("scopedcache.controller")

# Which process keeps a Lease: its name and its holder are those of the shard, and two may have been given one name.
PROCESS_ANNOTATION: Final = "sharding.scopedcache.dev/process"
# How soon to look again whether another controller has ended its run for an object that is to be handed over.
BUSY_SECONDS: Final = 1.0


class RingShard:
    """Belongs to the running loop.

    Attributes:
        filter: which objects of the primary kinds are held.
        elector: keeps the Lease.
        fences: what stands in front of the client's writes.
    """

    def __init__(
        self,
        client: Client,
        ring: ControllerRing,
        *,
        instrumentation: metrics.Instrumentation = metrics.NULL,
        timer: Callable[[], float] = boot_time,
    ) -> None:
        self._process: Final = default_identity()
        self._now: Final = timer
        self.filter: Final = LabelShard(ring.shard_label, ring.shard)
        fence = WriteFence(timer=timer)
        self.fences: Final = (fence, self)
        self.elector: Final = LeaderElector(
            client,
            ring.election(),
            instrumentation=instrumentation,
            timer=timer,
            fence=fence,
            labels={RING_LABEL: ring.name},
            annotations=lambda: {PROCESS_ANNOTATION: self._process},
            check=self._check,
        )
        self._client = client
        self._ring = ring
        self._runs: dict[tuple[str, ObjectKey], set[str]] = {}  # which controllers run what
        self._moved: set[tuple[str, ObjectKey]] = set()  # by controller: runs under way for what is another's now
        self._twin: tuple[LeaseRecord, float] | None = None  # the Lease as another process of our name keeps it
        self._refused: str | None = None  # why objects cannot be handed over

    # -- the Lease -----------------------------------------------------------------------------------------------

    def _check(self, lease: Object) -> None:
        """Refuse a Lease that another ring's shard holds under our name, or another process of our ring."""
        record, ring = LeaseRecord.of(lease), lease.labels.get(RING_LABEL)
        named = f"Lease {self._ring.namespace}/{self._ring.shard}"
        if ring not in (None, self._ring.name) and record.holder:
            raise ConfigurationError(
                f"{named} is that of a shard of the ring {ring}, not {self._ring.name}: "
                "give shard= a name that nobody else has there"
            )
        if record.holder != self._ring.shard or lease.annotations.get(PROCESS_ANNOTATION) in (None, self._process):
            return
        if self._twin is None or self._twin[0] != record:
            self._twin = record, self._now()
        if self._now() < self._twin[1] + record.duration:
            raise ConfigurationError(
                f"{named} is kept by another process, or was until a moment ago: this one takes it once it has not "
                f"been renewed for {record.duration:g} s; if two replicas have this name, give shard= another one"
            )

    @property
    def reason(self) -> str | None:
        """Return why nothing is worked on here, in words; None where it is."""
        holder = self.elector.state()["holder"]
        if self.elector.reason is None and not self.elector.leading and holder not in (None, self._ring.shard):
            return (
                f"Lease {self._ring.namespace}/{self._ring.shard} is held by {holder}: "
                f"until that is over, this shard of {self._ring.name} works on nothing"
            )
        return self.elector.reason

    def state(self) -> dict[str, Any]:
        """Return what a person would ask, as plain data."""
        return {
            "ring": self._ring.name,
            "shard": self._ring.shard,
            "lease": self.elector.state(),
            "error": self.reason or self._refused,
        }

    # -- handing over --------------------------------------------------------------------------------------------

    def is_asked_for(self, obj: Object) -> bool:
        """Tell whether the sharder wants an object for another shard."""
        return self._ring.drain_label in obj.labels

    async def hand_over(self, resource: Resource, obj: Object) -> float | None:
        """Let an object go, unless a run for it is under way; return the seconds after which to try again.

        None: it is done, or failed in a way that its next event, or a pause with growing steps, is to mend.

        Raises:
            ScopedCacheError: it was refused, or nobody answered; told in the log, once for each cause.
        """
        if self._runs.get((str(resource), obj.key)):
            return BUSY_SECONDS
        gone = {self._ring.shard_label: None, self._ring.drain_label: None}
        patch = {"metadata": {"resourceVersion": obj.resource_version, "labels": gone}}
        try:
            await self._client.patch(resource, obj.name, patch, namespace=obj.namespace or None)
        except (NotFoundError, ConflictError):
            return BUSY_SECONDS  # something newer is on its way to us
        except ScopedCacheError as error:
            self._note_refused(resource, obj, error)
            raise
        self._refused = None
        logger.info("shard.handed_over", extra=self._fields(resource, obj))
        return None

    def _note_refused(self, resource: Resource, obj: Object, error: ScopedCacheError) -> None:
        why = f"cannot hand over objects of {resource}: {error}"
        if self._refused is None or without_numbers(why) != without_numbers(self._refused):
            logger.warning("shard.not_handed_over", extra={**self._fields(resource, obj), "error": str(error)})
        self._refused = why

    def _fields(self, resource: Resource, obj: Object) -> dict[str, str]:
        return {"ring": self._ring.name, "shard": self._ring.shard, "kind": str(resource), "key": str(obj.key)}

    # -- runs under way ------------------------------------------------------------------------------------------

    def run_begun(self, controller: str, resource: Resource, key: ObjectKey) -> None:
        """A controller begins to reconcile a key."""
        self._runs.setdefault((str(resource), key), set()).add(controller)

    def run_ended(self, controller: str, resource: Resource, key: ObjectKey) -> None:
        """It has ended."""
        self._moved.discard((controller, key))
        controllers = self._runs.get((str(resource), key), set())
        controllers.discard(controller)
        if not controllers:
            self._runs.pop((str(resource), key), None)

    def moved(self, resource: Resource, key: ObjectKey) -> None:
        """An object is another's now: what runs for it writes no more."""
        for controller in self._runs.get((str(resource), key), ()):
            self._moved.add((controller, key))
            logger.warning(
                "shard.moved_meanwhile",
                extra={"ring": self._ring.name, "shard": self._ring.shard, "controller": controller, "key": str(key)},
            )

    @asynccontextmanager
    async def admit(self, info: RequestInfo) -> AsyncIterator[None]:
        """Let a write of a run pass, unless its object is another's now; a WriteFence of the client.

        Raises:
            NotLeaderError: it is.
        """
        run = CURRENT_RUN.get()
        if self._moved and run is not None and (run.controller, run.key) in self._moved and is_fenced(info):
            raise NotLeaderError(f"may not {info.verb} {info.resource}: {run.key} is another shard's to work on now")
        yield
