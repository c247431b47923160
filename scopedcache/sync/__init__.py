"""The blocking facade: the same names, for code without an event loop.

    with scopedcache.sync.ScopedCache.connect() as cache:
        scope = cache.open(owner, DEPLOYMENT, POD)
        pods = scope.list(POD)

The loop runs in a thread of its own, owned by the block; each call is one hop to it and back. Any thread may call.
`of` is for the other case: a loop that runs already, and a worker thread, such as that of a plain `def reconcile`,
that wants to use what lives there.

- A call that waits ends its work when it is interrupted (Ctrl-C) or takes longer than `timeout=`, and raises then.
- Reads from memory hop as well. On the loop everything a denial takes away goes in one step; a read from another
  thread could fall into the middle of it, and take an object that may not be seen any more for one that is not there.
- Handlers, subscribers, index and route functions are called on the loop's thread: they should only enqueue
  (`cache.subscribe(queue.put)`). There, reads from memory are answered at once, and whatever waits raises CacheError
  instead of waiting for ever.
- Once the loop has ended, every call raises CacheError.
"""

from .client import Client
from .informer_handle import InformerHandle
from .lister import Lister, ResourceCache
from .portal import Portal
from .scoped_cache import ClusterCache, ScopedCache, of

__all__ = ["Client", "ClusterCache", "InformerHandle", "Lister", "Portal", "ResourceCache", "ScopedCache", "of"]
