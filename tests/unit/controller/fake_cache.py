"""A cache that a test moves by hand: what a controller sees of the real one, and nothing more."""

import asyncio
from contextlib import asynccontextmanager

from scopedcache.cache import OwnerChanged, Snapshot
from scopedcache.errors import ForbiddenError, NotSyncedError
from scopedcache.kinds import GVK, GVR, ObjectKey, Resource
from scopedcache.objects import Object
from tests.unit.controller.dict_client import DictClient

MEMCACHED = GVK("cache.example.com", "v1alpha1", "Memcached")
POD = GVK("", "v1", "Pod")
NAMESPACE = GVK("", "v1", "Namespace")
_SERVED = {
    "Memcached": Resource(GVR("cache.example.com", "v1alpha1", "memcacheds"), MEMCACHED, True),
    "Pod": Resource(GVR("", "v1", "pods"), POD, True),
    "Namespace": Resource(GVR("", "v1", "namespaces"), NAMESPACE, False),
}


def memcached(name="m", namespace="a", *, uid=None, generation=1, **metadata):
    identity = {"name": name, "namespace": namespace, "uid": uid or f"uid-{name}", "generation": generation}
    return {"apiVersion": MEMCACHED.api_version, "kind": "Memcached", "metadata": {**identity, **metadata}}


def pod(name="p", namespace="a", *, owner=None):
    references = [{"apiVersion": MEMCACHED.api_version, "kind": "Memcached", "name": owner, "uid": f"uid-{owner}"}]
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**metadata, "ownerReferences": references if owner else []}}


class FakeLease:
    def __init__(self, cache, resource, namespace):
        self.resource, self.namespace = resource, namespace
        self.handlers = []
        self._cache = cache
        self._changed = asyncio.Event()
        self._synced = True
        self.denied = None
        if (resource.gvk.kind, namespace) in cache.withheld:
            self._synced = False

    @property
    def synced(self):
        return self._synced and self.denied is None

    async def wait_synced(self):
        while not self.synced:
            self._changed.clear()
            await self._changed.wait()

    async def wait_denied(self):
        while self.denied is None:
            self._changed.clear()
            await self._changed.wait()
        return self.denied

    def add_handler(self, handler):
        self.handlers.append(handler)
        if self.synced:
            self.tell_everything(handler)
        return lambda: self.handlers.remove(handler)

    def tell_everything(self, handler):
        for obj in self.list():
            if handler.on_add is not None:
                handler.on_add(obj, True)

    def get(self, key):
        self._check()
        found = self._cache.client.objects.get((self.resource.gvk.kind, *key))
        return Object.from_dict(found) if found is not None else None

    def list_keys(self):
        return [obj.key for obj in self.list()]

    def list(self):
        self._check()
        return [
            Object.from_dict(data)
            for (kind, namespace, _), data in self._cache.client.objects.items()
            if kind == self.resource.gvk.kind and self.namespace in (None, namespace)
        ]

    def _check(self):
        if self.denied is not None:
            raise self.denied
        if not self._synced:
            raise NotSyncedError("not yet")

    def sync(self):
        self._synced = True
        for handler in self.handlers:
            self.tell_everything(handler)
        self._changed.set()

    def deny(self):
        self.denied = ForbiddenError(
            verb="list", resource=str(self.resource), namespace=self.namespace, by="authorizer", cached=True
        )
        self._changed.set()

    def grant(self):
        self.denied = None
        self.sync()


class FakeCache:
    """`put` and `remove` change the cluster and tell the handles; `withheld` handles wait for their first `sync`."""

    def __init__(self, *, withheld=()):
        self.client = DictClient(discovery=self)
        self.withheld = set(withheld)
        self.unserved: dict[str, Exception] = {}  # by kind: what discovery says of it
        self.handles = []
        self.closed = []
        self.awaited = []
        self.subscribers = []

    async def resolve(self, kind):
        name = kind.gvk.kind if isinstance(kind, Resource) else kind.kind
        if name in self.unserved:
            raise self.unserved[name]
        return _SERVED[name]

    @asynccontextmanager
    async def informer(self, kind, *, namespace=None, metadata_only=False):
        handle = FakeLease(self, await self.resolve(kind), namespace)
        self.handles.append(handle)
        try:
            yield handle
        finally:
            self.handles.remove(handle)

    def subscribe(self, subscriber):
        self.subscribers.append(subscriber)
        return lambda: self.subscribers.remove(subscriber)

    def close(self, owner):
        self.closed.append(owner.uid)

    def await_grant(self, owner, error):
        self.awaited.append((owner.uid, error.verb, error.resource, error.namespace))

    bound = 7.5

    def snapshot(self):
        return Snapshot({}, [], [], [], [], len(self.handles), 0, 0, 0, 0, self.bound, False)

    def report(self, instrumentation):
        pass

    def handle(self, kind, namespace=None):
        (found,) = [handle for handle in self.handles if (handle.resource.gvk, handle.namespace) == (kind, namespace)]
        return found

    def put(self, data):
        key = (data["kind"], data["metadata"].get("namespace", ""), data["metadata"]["name"])
        before = self.client.objects.get(key)
        new = self.client.put(data)
        for handler in self._handlers(new):
            if before is None:
                handler.on_add(new, False)
            else:
                handler.on_update(Object.from_dict(before), new)

    def remove(self, data):
        metadata = data["metadata"]
        gone = Object.from_dict(self.client.objects.pop((data["kind"], metadata["namespace"], metadata["name"])))
        for handler in self._handlers(gone):
            handler.on_delete(gone, False)

    def _handlers(self, obj):
        return [
            handler
            for handle in self.handles
            if handle.resource.gvk == obj.gvk and handle.namespace in (None, obj.namespace) and handle.synced
            for handler in handle.handlers
        ]

    def publish(self, cause, *, name="m", namespace="a", initial=False, kind=MEMCACHED):
        change = OwnerChanged(kind, ObjectKey(namespace, name), f"uid-{name}", cause, initial=initial)
        for subscriber in list(self.subscribers):
            subscriber(change)
