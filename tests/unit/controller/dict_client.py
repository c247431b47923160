"""An API server of one dict: enough of versions, conflicts and patches to write against."""

import copy
import itertools
from collections.abc import Callable
from typing import Any

from scopedcache.controller.reporting.status import merge_patch
from scopedcache.errors import AlreadyExistsError, ConflictError, NotFoundError
from scopedcache.objects import Object


class DictClient:
    """Keeps objects by kind and key.

    `log` names the requests; `interfere` runs before the next patch, once; `error` is what every request raises;
    `pruned` are the fields of a status that the schema does not know.
    """

    def __init__(self, discovery: Any = None) -> None:
        self.discovery = discovery
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.log: list[str] = []
        self.interfere: Callable[[], Any] | None = None
        self.error: BaseException | None = None
        self.pruned: set[str] = set()
        self._versions = itertools.count(1)

    def put(self, data: dict[str, Any]) -> Object:
        body = copy.deepcopy(data)
        metadata = body["metadata"]
        metadata.setdefault("uid", f"uid-{metadata['name']}")
        metadata["resourceVersion"] = str(next(self._versions))
        for field in self.pruned:
            body.get("status", {}).pop(field, None)
        self.objects[self._key(body["kind"], metadata)] = body
        return Object.from_dict(copy.deepcopy(body))

    async def get(self, kind, key, *, namespace=None) -> Object:
        self._asked("get")
        return Object.from_dict(copy.deepcopy(self._find(kind.kind, key, namespace)))

    async def create(self, obj) -> Object:
        self._asked("create")
        data = obj.to_dict() if isinstance(obj, Object) else obj
        if self._key(data["kind"], data["metadata"]) in self.objects:
            raise AlreadyExistsError("is there already", status=409)
        return self.put(data)

    async def update(self, obj) -> Object:
        self._asked("update")
        data = obj.to_dict() if isinstance(obj, Object) else obj
        metadata = data["metadata"]
        self._check(self._find(data["kind"], metadata["name"], metadata.get("namespace")), metadata)
        return self.put(data)

    async def patch(self, kind, key, patch, *, namespace=None, subresource=None) -> Object:
        self._asked("patch")
        if self.interfere is not None:
            interfere, self.interfere = self.interfere, None
            interfere()
        found = self._find(kind.kind, key, namespace)
        self._check(found, patch.get("metadata") or {})
        return self.put(merge_patch(found, patch))

    def _asked(self, verb) -> None:
        self.log.append(verb)
        if self.error is not None:
            raise self.error

    def _find(self, kind, key, namespace) -> dict[str, Any]:
        place = (namespace or "", key) if isinstance(key, str) else tuple(key)
        found = self.objects.get((kind, *place))
        if found is None:
            raise NotFoundError("is not there", status=404)
        return found

    def _check(self, found, metadata) -> None:
        wanted = metadata.get("resourceVersion")
        if wanted and wanted != found["metadata"]["resourceVersion"]:
            raise ConflictError("the object has been modified", status=409)

    @staticmethod
    def _key(kind, metadata) -> tuple[str, str, str]:
        return kind, metadata.get("namespace", ""), metadata["name"]
