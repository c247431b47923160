"""What may be seen, by whom, right now: pool ▸ lister ▸ resource_cache ▸ scoped_cache."""

from .informer_handle import InformerHandle
from .lister import Lister
from .owner import OwnerChanged, OwnerId
from .resource_cache import ResourceCache
from .scoped_cache import ScopedCache
from .snapshot import Snapshot

__all__ = ["InformerHandle", "Lister", "OwnerChanged", "OwnerId", "ResourceCache", "ScopedCache", "Snapshot"]
