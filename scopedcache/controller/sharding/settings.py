"""How replicas share the work: what an operator's author says about it."""

from __future__ import annotations

from typing import Final

import attrs

from ..manager.election_rules import (
    LEASE_DURATION_SECONDS,
    RENEW_DEADLINE_SECONDS,
    RETRY_PERIOD_SECONDS,
    LeaderElection,
)

# What is left of a name for the hash that tells one replica's Lease from another's.
NAME_CHARACTERS: Final = 230


@attrs.frozen
class Sharding:
    """Let several replicas work at the same time, each on a part of the objects: of the namespaces, by their hash.

    The replicas need `get`, `list`, `create`, `update` and `delete` on Leases in `namespace`.

    Attributes:
        name, namespace: the Lease that says who works on what; each replica has one more, named after it.
        identity: who we are: unique to this process; host and process id, unless told otherwise.
        lease_duration: seconds after which others take the part of a replica that is not heard of.
        renew_deadline: seconds without a successful renewal after which a replica stops its work.
        retry_period: seconds between two renewals, and between two looks at who works on what.
    """

    name: str
    namespace: str = attrs.field(kw_only=True)
    identity: str | None = attrs.field(default=None, kw_only=True)
    lease_duration: float = attrs.field(default=LEASE_DURATION_SECONDS, kw_only=True)
    renew_deadline: float = attrs.field(default=RENEW_DEADLINE_SECONDS, kw_only=True)
    retry_period: float = attrs.field(default=RETRY_PERIOD_SECONDS, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not self.name or len(self.name) > NAME_CHARACTERS:
            raise ValueError(f"sharding needs a name of at most {NAME_CHARACTERS} characters, not {self.name!r}")
        self.election(self.name, None)  # times that make no sense are told here

    def election(self, name: str, identity: str | None) -> LeaderElection:
        """Return how a replica keeps the Lease of a name."""
        return LeaderElection(
            name,
            namespace=self.namespace,
            identity=identity,
            lease_duration=self.lease_duration,
            renew_deadline=self.renew_deadline,
            retry_period=self.retry_period,
        )
