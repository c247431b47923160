"""The words of kubernetes-controller-sharding between its sharder and a shard: labels, names, times.

https://github.com/timebertt/kubernetes-controller-sharding, docs/implement-sharding.md; the sharder assigns each object
of a ring to a shard by a label, and asks for it back by another one.
"""

from __future__ import annotations

import socket
from typing import Final

import attrs

from ...selectors import LabelSelector
from ..manager.election_rules import (
    LEASE_DURATION_SECONDS,
    RENEW_DEADLINE_SECONDS,
    RETRY_PERIOD_SECONDS,
    LeaderElection,
)

# pkg/apis/sharding/v1alpha1/constants.go there.
RING_LABEL: Final = "alpha.sharding.timebertt.dev/controllerring"
SHARD_PREFIX: Final = "shard.alpha.sharding.timebertt.dev/"
DRAIN_PREFIX: Final = "drain.alpha.sharding.timebertt.dev/"


def _host_name() -> str:
    return socket.gethostname().lower()


@attrs.frozen
class ControllerRing:
    """Be a shard of a ring of kubernetes-controller-sharding: its sharder says which objects each replica works on.

    The replicas need `get`, `create` and `update` on Leases in `namespace`, and `patch` on the primary kinds, to hand
    objects over.

    Attributes:
        name: the ControllerRing, at most 63 characters.
        namespace: where the shard's Lease is kept.
        shard: who we are, and what the Lease is called: unique among all replicas; the host's name (in a Pod: the
            Pod's), unless told otherwise.
        lease_duration: seconds after which the sharder asks what has become of a shard that is not heard of.
        renew_deadline: seconds without a successful renewal after which a shard stops its work.
        retry_period: seconds between two renewals.

    Raises:
        ValueError: a name that no label or Lease can have, or times that make no sense.
    """

    name: str
    namespace: str = attrs.field(kw_only=True)
    shard: str = attrs.field(factory=_host_name, kw_only=True)
    lease_duration: float = attrs.field(default=LEASE_DURATION_SECONDS, kw_only=True)
    renew_deadline: float = attrs.field(default=RENEW_DEADLINE_SECONDS, kw_only=True)
    retry_period: float = attrs.field(default=RETRY_PERIOD_SECONDS, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if wrong := _wrong_name(self.name):
            raise ValueError(f"no ControllerRing can be called {self.name!r}: {wrong}")
        if wrong := _wrong_name(self.shard):
            raise ValueError(f"no shard can be called {self.shard!r}: {wrong}; give shard= another name")
        self.election()  # times that make no sense are told here

    @property
    def shard_label(self) -> str:
        """Return the label whose value is the name of the shard that an object is assigned to."""
        return SHARD_PREFIX + self.name

    @property
    def drain_label(self) -> str:
        """Return the label, of any value, by which the sharder asks for an object."""
        return DRAIN_PREFIX + self.name

    def election(self) -> LeaderElection:
        """Return how the shard keeps its Lease, whose name is that of its holder."""
        return LeaderElection(
            self.shard,
            namespace=self.namespace,
            identity=self.shard,
            lease_duration=self.lease_duration,
            renew_deadline=self.renew_deadline,
            retry_period=self.retry_period,
        )


def _wrong_name(name: str) -> str:
    """Say why something cannot be called so: it is an object's name, and part of a label, with 63 characters."""
    try:
        LabelSelector.parse({SHARD_PREFIX + name: name})
    except ValueError as error:
        return str(error)
    return "" if name == name.lower() and "_" not in name else "names have small letters, digits, - and . only"
