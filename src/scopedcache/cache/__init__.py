"""What may be seen, by whom, right now: pool ▸ lister ▸ resource_cache ▸ scoped_cache."""

from .changes import OwnerChanged, OwnerId
from .lease import InformerLease
from .lister import Lister
from .resource_cache import ResourceCache
from .scoped_cache import ScopedCache
from .snapshot import Snapshot

__all__ = ["InformerLease", "Lister", "OwnerChanged", "OwnerId", "ResourceCache", "ScopedCache", "Snapshot"]
