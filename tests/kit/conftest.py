"""An API server of one dict: enough of versions, conflicts and patches to write against."""

import asyncio
import copy
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from scopedcache.controller.status import merged
from scopedcache.errors import AlreadyExistsError, ConflictError, NotFoundError
from scopedcache.objects import Object
from tests.controller.virtual_time import loop_factories


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return loop_factories(item)


class DictClient:
    """Keeps objects by kind and key; `log` names the requests. `interfere` runs before a write, once."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.log: list[str] = []
        self.interfere: Any = None
        self._versions = itertools.count(1)

    def put(self, data: dict[str, Any]) -> Object:
        body = copy.deepcopy(data)
        metadata = body["metadata"]
        metadata.setdefault("uid", f"uid-{metadata['name']}")
        metadata["resourceVersion"] = str(next(self._versions))
        self.objects[self._key(body["kind"], metadata)] = body
        return Object.from_dict(copy.deepcopy(body))

    async def get(self, kind, key, *, namespace=None) -> Object:
        self.log.append("get")
        return Object.from_dict(copy.deepcopy(self._find(kind.kind, key)))

    async def create(self, obj) -> Object:
        self.log.append("create")
        data = obj.to_dict() if isinstance(obj, Object) else obj
        if self._key(data["kind"], data["metadata"]) in self.objects:
            raise AlreadyExistsError("is there already", status=409)
        return self.put(data)

    async def update(self, obj) -> Object:
        self.log.append("update")
        data = obj.to_dict() if isinstance(obj, Object) else obj
        self._check(self._find(data["kind"], obj.key), data["metadata"])
        return self.put(data)

    async def patch(self, kind, key, patch, *, subresource=None) -> Object:
        self.log.append("patch")
        if self.interfere is not None:
            interfere, self.interfere = self.interfere, None
            interfere()
        found = self._find(kind.kind, key)
        self._check(found, patch.get("metadata") or {})
        return self.put(merged(found, patch))

    def _find(self, kind, key) -> dict[str, Any]:
        found = self.objects.get((kind, key.namespace, key.name))
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


@pytest.fixture
def client() -> DictClient:
    return DictClient()


@pytest.fixture
def config_map() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "a"},
        "data": {"colour": "blue"},
    }
